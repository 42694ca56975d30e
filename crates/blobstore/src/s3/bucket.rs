//! The requests that are made of S3, one method each.
//!
//! Owns how they are written: conditions, checksums, what an answer must have. Leaves what an
//! unexpected answer means to the callers, and attempts and deadlines to the [`client`](super::client).

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Object,
};
use bytes::Bytes;

use super::checksum::Checksum;
use super::failure::Failure;
use super::note::Part;

/// Where a token is written.
const TOKEN: &str = "token";

/// A bucket, and the client that reaches it.
pub(super) struct Bucket {
    client: Client,
    name: String,
    /// Whether bodies are signed. Over TLS nobody can change them, and hashing costs more than all
    /// else that is done with them.
    signs_bodies: bool,
}

/// What there is under a name.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) token: Option<String>,
    pub(super) checksum: Option<String>,
}

/// An object that is being read.
pub(super) struct Got {
    /// The size of all of it.
    pub(super) size: u64,
    pub(super) etag: String,
    /// What its body is of it.
    pub(super) range: Range<u64>,
    pub(super) checksum: Option<String>,
    pub(super) body: ByteStream,
}

/// What has to be under a name for it to be written.
#[derive(Debug, Clone, Copy)]
pub(super) enum When<'a> {
    /// Nothing.
    Absent,
    /// That.
    Is(&'a str),
}

// === impl Bucket ===

impl Bucket {
    pub(super) const fn new(client: Client, name: String, signs_bodies: bool) -> Self {
        Self {
            client,
            name,
            signs_bodies,
        }
    }

    /// Looks at the bucket itself.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let request = self.client.head_bucket().bucket(&self.name);
        Box::pin(request.send()).await?;
        Ok(())
    }

    pub(super) async fn head(&self, name: &str) -> Result<Option<Found>, Failure> {
        let request = self.client.head_object().bucket(&self.name).key(name);
        let request = request.checksum_mode(ChecksumMode::Enabled);
        let answer = match Box::pin(request.send()).await.map_err(Failure::from) {
            Ok(answer) => answer,
            Err(failure) if failure.is_absent_to_head() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let token = answer.metadata().and_then(|metadata| metadata.get(TOKEN));
        Ok(Some(Found {
            size: length(answer.content_length())?,
            token: token.cloned(),
            checksum: answer.checksum_crc32,
            etag: answer.e_tag.ok_or_else(no_etag)?,
        }))
    }

    /// Writes a whole object; its `ETag`.
    pub(super) async fn put(
        &self,
        name: &str,
        body: Bytes,
        when: When<'_>,
        token: Option<&str>,
    ) -> Result<String, Failure> {
        let request = self.client.put_object().bucket(&self.name).key(name);
        let request = match when {
            When::Absent => request.if_none_match("*"),
            When::Is(etag) => request.if_match(etag),
        };
        let request = request
            .set_metadata(token.map(|token| [(TOKEN.to_owned(), token.to_owned())].into()))
            .content_length(signed(body.len() as u64))
            .checksum_crc32(Checksum::of(&body).text())
            .body(ByteStream::from(body))
            .customize();
        let request = if self.signs_bodies {
            request
        } else {
            request.disable_payload_signing()
        };
        let answer = Box::pin(request.send()).await?;
        answer.e_tag.ok_or_else(no_etag)
    }

    /// Begins to read an object, or a range of it that is not empty; with `etag`, that very one. All of
    /// it is a range as well, so that the answer tells the size apart from the length of its body.
    pub(super) async fn get(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Got, Failure> {
        let wanted = match &range {
            Some(range) => format!("bytes={}-{}", range.start, range.end - 1),
            None => "bytes=0-".to_owned(),
        };
        let request = self.client.get_object().bucket(&self.name).key(name);
        let request = request
            .checksum_mode(ChecksumMode::Enabled)
            .range(wanted)
            .set_if_match(etag.map(str::to_owned));
        let answer = Box::pin(request.send()).await?;
        let length = length(answer.content_length())?;
        let told = answer.content_range();
        let told = told.ok_or_else(|| Failure::odd("with the whole object, not a range"))?;
        let (size, has) = content_range(told)
            .ok_or_else(|| Failure::odd(format!("with a content range of `{told}`")))?;
        if has.end - has.start != length {
            return Err(Failure::odd("with another length than its range has"));
        }
        Ok(Got {
            size,
            range: has,
            checksum: answer.checksum_crc32,
            etag: answer.e_tag.ok_or_else(no_etag)?,
            body: answer.body,
        })
    }

    /// Removes an object; one that is not there is removed already.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Failure> {
        let request = self.client.delete_object().bucket(&self.name).key(name);
        match Box::pin(request.send()).await.map_err(Failure::from) {
            Err(failure) if !failure.is_absent() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Objects whose names begin with `prefix`, in order, behind `after`; whether there are more.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Object>, bool), Failure> {
        let request = self.client.list_objects_v2().bucket(&self.name);
        let request = request
            .prefix(prefix)
            .set_start_after(after)
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = Box::pin(request.send()).await?;
        let more = answer.is_truncated().unwrap_or(false);
        Ok((answer.contents.unwrap_or_default(), more))
    }

    /// Begins a multipart upload; its id.
    pub(super) async fn begin(&self, name: &str) -> Result<String, Failure> {
        let request = self.client.create_multipart_upload().bucket(&self.name);
        let request = request
            .key(name)
            .checksum_algorithm(ChecksumAlgorithm::Crc32);
        let answer = Box::pin(request.send()).await?;
        let upload = answer.upload_id.filter(|id| !id.is_empty());
        upload.ok_or_else(|| Failure::odd("without the id of an upload"))
    }

    /// Uploads the part at `index`, counted from 0.
    pub(super) async fn upload(
        &self,
        name: &str,
        upload: &str,
        index: usize,
        body: Bytes,
    ) -> Result<Part, Failure> {
        let checksum = Checksum::of(&body);
        let request = self.client.upload_part().bucket(&self.name).key(name);
        let request = request
            .upload_id(upload)
            .part_number(number(index))
            .content_length(signed(checksum.len))
            .checksum_crc32(checksum.text())
            .body(ByteStream::from(body))
            .customize();
        let request = if self.signs_bodies {
            request
        } else {
            request.disable_payload_signing()
        };
        let answer = Box::pin(request.send()).await?;
        let etag = answer.e_tag.ok_or_else(no_etag)?;
        Ok(Part { etag, checksum })
    }

    /// Makes one object of exactly these parts, unless there is one.
    pub(super) async fn complete(
        &self,
        name: &str,
        upload: &str,
        parts: &[Part],
    ) -> Result<(), Failure> {
        let size = parts.iter().map(|part| part.checksum.len).sum();
        let parts = parts.iter().enumerate().map(|(index, part)| {
            CompletedPart::builder()
                .part_number(number(index))
                .e_tag(&part.etag)
                .checksum_crc32(part.checksum.text())
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        let request = self.client.complete_multipart_upload().bucket(&self.name);
        let request = request
            .key(name)
            .upload_id(upload)
            .if_none_match("*")
            .mpu_object_size(signed(size))
            .multipart_upload(parts.build());
        Box::pin(request.send()).await?;
        Ok(())
    }

    /// Gives up a multipart upload with all its parts; one that is not there is given up already.
    pub(super) async fn abort(&self, name: &str, upload: &str) -> Result<(), Failure> {
        let request = self.client.abort_multipart_upload().bucket(&self.name);
        let request = request.key(name).upload_id(upload);
        match Box::pin(request.send()).await.map_err(Failure::from) {
            Err(failure) if !failure.is_no_upload() => Err(failure),
            _ => Ok(()),
        }
    }
}

fn number(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

/// A length as S3's own types have it.
fn signed(len: u64) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn length(len: Option<i64>) -> Result<u64, Failure> {
    let len = len.and_then(|len| u64::try_from(len).ok());
    len.ok_or_else(|| Failure::odd("without a length"))
}

fn no_etag() -> Failure {
    Failure::odd("without an ETag")
}

/// The size of an object and the range of it that `bytes 5-9/20` stands for.
fn content_range(text: &str) -> Option<(u64, Range<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (first <= last && last < size).then(|| (size, first..last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read() {
        assert_eq!(content_range("bytes 5-9/20"), Some((20, 5..10)));
        assert_eq!(content_range("bytes 0-0/1"), Some((1, 0..1)));
        for text in [
            "",
            "bytes */20",
            "bytes 9-5/20",
            "bytes 5-20/20",
            "5-9/20",
            "bytes 5-9/*",
        ] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
