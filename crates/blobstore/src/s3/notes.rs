//! Reading and replacing notes.
//!
//! Owns how an unknown outcome is resolved: by looking, and telling from the token whose writing is
//! there. Keeps the invariant that a note is only replaced by who knows it.

use std::ops::Range;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::{sleep, timeout};

use super::Shared;
use super::bucket::When;
use super::failure::Failure;
use super::note::{Mark, Note, Noted};
use crate::BlobKey;

/// As much of a note as is read at first: enough for a thousand parts.
const HEAD: u64 = 64 << 10;

/// How often something is tried here, on top of the attempts at each request.
pub(super) const TRIES: u32 = 4;

/// Before the second try, and doubled before each later one.
const PAUSE: Duration = Duration::from_millis(50);

/// What a writer signs its notes with.
pub(super) struct Pen {
    nonce: String,
    count: u64,
}

/// Why a note was not written.
#[derive(Debug)]
pub(super) enum NoteError {
    /// It is not there any more: the object was deleted.
    Gone,
    /// Another's is there.
    Overtaken,
    Failed(Failure),
}

/// Waits before another try, longer each time, and not all for the same time.
pub(super) async fn pause(tries: u32) {
    sleep(PAUSE * 2_u32.pow(tries) + PAUSE.mul_f64(rand::random())).await;
}

// === impl Pen ===

impl Pen {
    pub(super) fn new() -> Self {
        Self {
            nonce: format!("{:016x}", rand::random::<u64>()),
            count: 0,
        }
    }

    fn sign(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.nonce, self.count)
    }

    fn wrote(&self, token: Option<&str>) -> bool {
        token.is_some_and(|token| token.starts_with(&self.nonce))
    }
}

impl Shared {
    /// The note of an unfinished object.
    pub(super) async fn note(&self, key: &BlobKey) -> Result<Option<Noted>, Failure> {
        let name = self.layout.note(key);
        let mut tries = 0;
        loop {
            let Some(found) = self.bucket.head(&name).await? else {
                return Ok(None);
            };
            match self.read_head(&name, found.size, &found.etag).await {
                Ok((head, note)) => {
                    let etag = found.etag;
                    return Ok(Some(Noted { etag, head, note }));
                }
                // It was replaced, or deleted, between the two requests.
                Err(failure)
                    if (failure.is_condition() || failure.is_absent()) && tries < TRIES =>
                {
                    tries += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn read_head(&self, name: &str, size: u64, etag: &str) -> Result<(u64, Note), Failure> {
        if size == 0 {
            return Ok((0, Note::default()));
        }
        let mut wanted = HEAD.min(size);
        loop {
            let bytes = self.bytes(name, 0..wanted, etag).await?;
            match Note::decode(&bytes)? {
                Some(read) => return Ok(read),
                None if wanted == size => return Err(Failure::odd("with half a note")),
                None => wanted = wanted.saturating_mul(8).min(size),
            }
        }
    }

    /// Begins a note; `None` if there is one.
    pub(super) async fn begin_note(
        &self,
        key: &BlobKey,
        pen: &mut Pen,
    ) -> Result<Option<Noted>, Failure> {
        match self.write(key, &Bytes::new(), None, pen).await {
            Ok(etag) => Ok(Some(Noted {
                etag,
                head: 0,
                note: Note::default(),
            })),
            Err(NoteError::Gone | NoteError::Overtaken) => Ok(None),
            Err(NoteError::Failed(failure)) => Err(failure),
        }
    }

    /// Replaces a note by another with these tails.
    pub(super) async fn replace_note(
        &self,
        key: &BlobKey,
        noted: &Noted,
        note: Note,
        tails: &[Bytes],
        pen: &mut Pen,
    ) -> Result<Noted, NoteError> {
        let head = note.encode();
        let len = head.len() + tails.iter().map(Bytes::len).sum::<usize>();
        let mut body = BytesMut::with_capacity(len);
        body.put_slice(&head);
        tails.iter().for_each(|tail| body.put_slice(tail));
        let body = body.freeze();
        let etag = self.write(key, &body, Some(&noted.etag), pen).await?;
        let head = head.len() as u64;
        Ok(Noted { etag, head, note })
    }

    /// Writes a note in the place of the one with `etag`, or where there is none.
    async fn write(
        &self,
        key: &BlobKey,
        body: &Bytes,
        etag: Option<&str>,
        pen: &mut Pen,
    ) -> Result<String, NoteError> {
        let name = self.layout.note(key);
        let mut etag = etag.map(str::to_owned);
        let token = pen.sign();
        let mut tries = 0;
        loop {
            let when = etag.as_deref().map_or(When::Absent, When::Is);
            let put = self
                .bucket
                .put(&name, body.clone(), when, Some(&token))
                .await;
            let failure = match put {
                Ok(etag) => return Ok(etag),
                Err(failure) => failure,
            };
            let is_open = failure.may_pass()
                || failure.is_condition()
                || failure.is_conflict()
                || failure.is_absent();
            if !is_open {
                return Err(NoteError::Failed(failure));
            }
            match (self.bucket.head(&name).await?, &etag) {
                (Some(found), _) if found.token.as_ref() == Some(&token) => return Ok(found.etag),
                (None, Some(_)) => return Err(NoteError::Gone),
                (None, None) => {}
                (Some(found), Some(last)) if found.etag == *last => {}
                // An earlier try of this writer, which was given up and succeeded.
                (Some(found), _) if pen.wrote(found.token.as_deref()) => etag = Some(found.etag),
                (Some(_), _) => return Err(NoteError::Overtaken),
            }
            tries += 1;
            if tries == TRIES {
                return Err(NoteError::Failed(failure));
            }
            pause(tries).await;
        }
    }

    /// The tail at a mark of the note.
    pub(super) async fn tail(
        &self,
        key: &BlobKey,
        noted: &Noted,
        mark: &Mark,
    ) -> Result<Bytes, Failure> {
        if mark.tail == 0 {
            return Ok(Bytes::new());
        }
        let from = noted.head + mark.at;
        let name = self.layout.note(key);
        let range = from..from + mark.tail;
        let bytes = self.bytes(&name, range, &noted.etag).await?;
        if crc32fast::hash(&bytes) == mark.crc {
            Ok(bytes)
        } else {
            Err(Failure::odd("with other bytes than were written to a note"))
        }
    }

    /// Reads a range that is small enough for memory, whole or not at all.
    async fn bytes(&self, name: &str, range: Range<u64>, etag: &str) -> Result<Bytes, Failure> {
        let mut tries = 0;
        loop {
            let got = self
                .bucket
                .get(name, Some(range.clone()), Some(etag))
                .await?;
            let is_it = got.range == range;
            let read = match timeout(self.deadline, got.body.collect()).await {
                Ok(Ok(body)) => body.into_bytes(),
                _ => Bytes::new(),
            };
            if is_it && read.len() as u64 == range.end - range.start {
                return Ok(read);
            }
            tries += 1;
            if tries == TRIES {
                return Err(Failure::broken());
            }
            pause(tries).await;
        }
    }
}

impl From<Failure> for NoteError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
