//! URLs for clients, signed for where they find the store.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::presigning::PresigningConfig;
use meridian_error::Code;

use super::S3BlobStore;
use super::failure::Failure;
use crate::presign::{MAX_PRESIGNED, Presign, Presigned};
use crate::{BlobKey, StorageError};

const PRESIGN: &str = "sign a URL";

#[async_trait]
impl Presign for S3BlobStore {
    async fn presign_get(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
        expires: Duration,
    ) -> Result<Presigned, StorageError> {
        let refused = |why: &'static str| StorageError::new(PRESIGN, Code::InvalidArgument, why);
        if expires.is_zero() || expires > MAX_PRESIGNED {
            return Err(refused("a URL lives for five minutes at most"));
        }
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(refused("a range of no bytes cannot be asked for"));
        }
        let settings = PresigningConfig::expires_in(expires);
        let settings = settings.map_err(|_error| refused("that time cannot be written"))?;
        let range = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let request = self.shared.public.get_object();
        let request = request
            .bucket(&self.shared.bucket_name)
            .key(self.shared.layout.object(key))
            .set_range(range);
        let signed = Box::pin(request.presigned(settings)).await;
        let signed = signed.map_err(|error| Failure::from(error).while_doing(PRESIGN))?;
        let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Presigned {
            url: signed.uri().to_owned(),
            headers: signed.headers().map(text).collect(),
        })
    }
}
