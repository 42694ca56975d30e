//! S3, as a service.
//!
//! It is `s3s-fs`, which takes signatures, conditions and ranges as seriously as S3 does. In these
//! points it does not behave as S3 does, and is made to here:
//!
//! * the checksum of a part is not looked at; that of an object is, but the object stays, though it
//!   is refused;
//! * a condition and the writing that depends on it are two steps;
//! * an upload that is not there (any more) is answered with 403 `AccessDenied` instead of 404
//!   `NoSuchUpload`;
//! * a GET does not look at `If-Match`;
//! * `CompleteMultipartUpload` does not compare `ETag`s, checksums nor the announced size, and has
//!   forgotten the upload when it notices that a part is missing.
//!
//! One difference stays: it tells no checksum of an object of several parts.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// What `s3s-fs` does, with what it lacks.
pub(super) struct Faithful {
    fs: FileSystem,
    /// Held by whoever writes.
    turn: tokio::sync::Mutex<()>,
    uploads: Mutex<HashMap<String, BTreeMap<i32, Uploaded>>>,
}

struct Uploaded {
    etag: ETag,
    crc: Option<String>,
    size: usize,
}

async fn gather(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(mut body) = body else {
        return Ok(Bytes::new());
    };
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|_| s3_error!(IncompleteBody))?);
    }
    Ok(bytes.freeze())
}

fn verified(bytes: Bytes, crc: Option<&String>) -> S3Result<StreamingBlob> {
    let found = STANDARD.encode(crc32fast::hash(&bytes).to_be_bytes());
    if crc.is_some_and(|crc| *crc != found) {
        return Err(s3_error!(BadDigest));
    }
    let whole = stream::iter([Ok::<_, std::io::Error>(bytes)]);
    Ok(StreamingBlob::wrap(whole))
}

// === impl Faithful ===

impl Faithful {
    /// With its buckets in a folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            fs: FileSystem::new(folder).unwrap(),
            turn: tokio::sync::Mutex::default(),
            uploads: Mutex::default(),
        }
    }

    fn knows(&self, upload: &str) -> S3Result<()> {
        let known = self.uploads.lock().unwrap().contains_key(upload);
        known.then_some(()).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    fn check_parts(&self, input: &CompleteMultipartUploadInput) -> S3Result<()> {
        let uploads = self.uploads.lock().unwrap();
        let there = uploads.get(&input.upload_id);
        let there = there.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let named = input
            .multipart_upload
            .as_ref()
            .and_then(|it| it.parts.as_ref());
        let named = named.ok_or_else(|| s3_error!(InvalidPart))?;
        let mut size = 0;
        for (index, part) in named.iter().enumerate() {
            let number = part.part_number.unwrap();
            let found = there.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
            let is_it = part.e_tag.as_ref() == Some(&found.etag)
                && part.checksum_crc32.as_ref() == found.crc.as_ref();
            if !is_it {
                return Err(s3_error!(InvalidPart));
            }
            if index + 1 < named.len() && found.size < 5 << 20 {
                return Err(s3_error!(EntityTooSmall));
            }
            size += i64::try_from(found.size).unwrap();
        }
        if input.mpu_object_size.is_some_and(|told| told != size) {
            return Err(s3_error!(InvalidRequest));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3 for Faithful {
    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.fs.head_bucket(req).await
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let _turn = self.turn.lock().await;
        self.fs.head_object(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let _turn = self.turn.lock().await;
        let wanted = req.input.if_match.clone();
        let got = self.fs.get_object(req).await?;
        match (wanted, &got.output.e_tag) {
            (Some(ETagCondition::ETag(wanted)), Some(found)) if wanted != *found => {
                Err(s3_error!(PreconditionFailed))
            }
            _ => Ok(got),
        }
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _turn = self.turn.lock().await;
        self.fs.delete_object(req).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _turn = self.turn.lock().await;
        self.fs.list_objects_v2(req).await
    }

    async fn put_object(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let bytes = gather(req.input.body.take()).await?;
        req.input.body = Some(verified(bytes, req.input.checksum_crc32.as_ref())?);
        let _turn = self.turn.lock().await;
        self.fs.put_object(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let begun = self.fs.create_multipart_upload(req).await?;
        let upload = begun.output.upload_id.clone().unwrap();
        self.uploads.lock().unwrap().insert(upload, BTreeMap::new());
        Ok(begun)
    }

    async fn upload_part(
        &self,
        mut req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let bytes = gather(req.input.body.take()).await?;
        let (size, crc) = (bytes.len(), req.input.checksum_crc32.clone());
        req.input.body = Some(verified(bytes, crc.as_ref())?);
        let _turn = self.turn.lock().await;
        let (upload, number) = (req.input.upload_id.clone(), req.input.part_number);
        self.knows(&upload)?;
        let mut uploaded = self.fs.upload_part(req).await?;
        uploaded.output.checksum_crc32.clone_from(&crc);
        let etag = uploaded.output.e_tag.clone().unwrap();
        if let Some(parts) = self.uploads.lock().unwrap().get_mut(&upload) {
            parts.insert(number, Uploaded { etag, crc, size });
        }
        Ok(uploaded)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _turn = self.turn.lock().await;
        self.check_parts(&req.input)?;
        let upload = req.input.upload_id.clone();
        let done = self.fs.complete_multipart_upload(req).await?;
        self.uploads.lock().unwrap().remove(&upload);
        Ok(done)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let _turn = self.turn.lock().await;
        let upload = req.input.upload_id.clone();
        self.knows(&upload)?;
        let aborted = self.fs.abort_multipart_upload(req).await?;
        self.uploads.lock().unwrap().remove(&upload);
        Ok(aborted)
    }
}
