//! Reading a finished object.
//!
//! Keeps the invariants that memory is that of one chunk, and that a body which breaks off is never
//! taken for the end: it is asked for again from where it broke off, of the very same object, a bounded
//! number of times in a row, and then fails. Where all of an object is read that was put in one
//! piece, and the store tells its checksum, the last chunk is yielded only if that is right.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::{Stream, stream};
use tokio::time::timeout;

use super::Shared;
use super::bucket::Got;
use super::checksum::Checksum;
use super::failure::Failure;
use super::notes::pause;

/// How often a body may break off before as much as [`PROGRESS`] has come.
const BREAKS: u32 = 5;

/// After so many bytes, earlier breaks are forgotten.
const PROGRESS: u64 = 8 << 20;

/// A body that is being read.
struct Reading {
    store: Arc<Shared>,
    name: String,
    etag: String,
    left: Range<u64>,
    body: Option<ByteStream>,
    /// How often it broke off lately, and since when that counts.
    breaks: u32,
    counted_from: u64,
    check: Option<Check>,
}

/// What all bytes together have to be.
struct Check {
    read: Checksum,
    told: String,
}

/// The bytes of a range of an object that was opened.
pub(super) fn read(
    store: Arc<Shared>,
    name: String,
    got: Got,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let is_whole = got.range == (0..got.size);
    // That of an object of several parts says nothing of its bytes.
    let told = got.checksum.filter(|told| is_whole && !told.contains('-'));
    let told = told.filter(|_| {
        fail::fail_point!("s3.skip_read_check", |_| false);
        !got.etag.contains('-')
    });
    let reading = Reading {
        store,
        name,
        counted_from: got.range.start,
        left: got.range,
        etag: got.etag,
        body: Some(got.body),
        breaks: 0,
        check: told.map(|told| Check {
            read: Checksum::default(),
            told,
        }),
    };
    stream::try_unfold(reading, |mut reading| async move {
        let chunk = reading.next().await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    })
}

// === impl Reading ===

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.left.is_empty() {
            let Some(body) = &mut self.body else {
                self.go_on().await?;
                continue;
            };
            let why = match timeout(self.store.patience, body.next()).await {
                Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
                Ok(Some(Ok(chunk))) => return self.take(chunk).map(Some),
                Ok(Some(Err(error))) => meridian_error::chain(&error),
                Ok(None) => "it ended early".to_owned(),
                Err(_elapsed) => "it paused for too long".to_owned(),
            };
            self.broke(why).await?;
        }
        Ok(None)
    }

    fn take(&mut self, chunk: Bytes) -> io::Result<Bytes> {
        let len = chunk.len() as u64;
        if len > self.left.end - self.left.start {
            let text = "the store yielded more bytes than were asked for";
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        self.left.start += len;
        if self.left.start - self.counted_from >= PROGRESS {
            (self.breaks, self.counted_from) = (0, self.left.start);
        }
        if let Some(check) = &mut self.check {
            check.read = check.read.then(Checksum::of(&chunk));
            if self.left.is_empty() && check.read.text() != check.told {
                let text = "an object's bytes do not have the checksum that the store tells";
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
        }
        Ok(chunk)
    }

    async fn broke(&mut self, why: String) -> io::Result<()> {
        self.body = None;
        self.breaks += 1;
        let left = self.left.end - self.left.start;
        if self.breaks > BREAKS {
            let text = format!("an object broke off {left} bytes before its end: {why}");
            return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
        }
        tracing::debug!(object = %self.name, left, why, "a body broke off and is asked for again");
        pause(self.breaks).await;
        Ok(())
    }

    /// Asks for the rest.
    async fn go_on(&mut self) -> io::Result<()> {
        let rest = self.left.clone();
        let (bucket, etag) = (&self.store.bucket, Some(&*self.etag));
        match bucket.get(&self.name, Some(rest.clone()), etag).await {
            Ok(got) if got.range == rest => {
                self.body = Some(got.body);
                Ok(())
            }
            Ok(_other) => self.broke("another range was answered".to_owned()).await,
            Err(failure) if failure.is_absent() || failure.is_condition() => {
                let text = "an object was deleted while it was read";
                Err(io::Error::new(ErrorKind::NotFound, text))
            }
            Err(failure) => self.failed(failure).await,
        }
    }

    async fn failed(&mut self, failure: Failure) -> io::Result<()> {
        let may_pass = failure.may_pass();
        let error = failure.while_doing("read an object");
        if may_pass {
            return self.broke(meridian_error::chain(&error)).await;
        }
        Err(io::Error::other(error))
    }
}
