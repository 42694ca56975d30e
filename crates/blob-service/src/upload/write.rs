//! The bytes of a body, into the object of a draft.
//!
//! Keeps the invariant that a draft, its object and its hash agree after every outcome but a lost
//! object: a body that breaks off leaves what is synced, a body that is refused leaves nothing.

use bytes::Bytes;
use meridian_blobstore::{BlobWriter, WriteError};
use meridian_clients::{StorageKey, UploadError};
use meridian_error::{Classify, Code};
use tokio::sync::OwnedSemaphorePermit;

use super::body::{Body, Fault};
use super::draft::Draft;
use super::record::Owner;
use super::{Uploads, failure, key_in};
use crate::ticket::Ticket;

/// Why an upload does not go on now.
#[derive(Debug)]
pub(super) enum Stop {
    /// The draft is as good as it was, or better.
    Kept(UploadError),
    /// Its bytes are gone, or worthless.
    Lost(UploadError),
    /// Another process goes on with it: nothing of it is ours any more.
    Taken,
}

/// The beginning of a body, in memory, and what comes after.
pub(super) struct Gathered {
    pub(super) pieces: Vec<Bytes>,
    pub(super) rest: Rest,
}

/// What comes after the beginning of a body.
pub(super) enum Rest {
    /// Nothing.
    None,
    /// More than is held in memory.
    More(Body),
    /// A fault.
    Fault(Fault),
}

/// What interrupts the writing of a body.
enum Interruption {
    Body(Fault),
    Store(WriteError),
    NoRoom,
}

impl Stop {
    /// What a writer's failure means to the upload.
    pub(super) fn of(error: WriteError) -> Self {
        match error.code() {
            Code::Conflict => Self::Taken,
            _ => Self::Lost(failure::of_store(error)),
        }
    }
}

impl Gathered {
    /// Refuses what ends in a fault and leaves nothing to keep.
    fn worth_writing(self) -> Result<Self, UploadError> {
        let Self { pieces, rest } = self;
        match rest {
            Rest::Fault(fault) if pieces.is_empty() || !fault.keeps => Err(fault.error),
            rest => Ok(Self { pieces, rest }),
        }
    }
}

impl Uploads {
    /// Reads a body until it ends, or has more than `few` bytes.
    pub(super) async fn gather(mut body: Body, few: usize) -> Gathered {
        let mut pieces = Vec::new();
        let mut held = 0;
        let rest = loop {
            match body.next().await {
                Ok(None) => break Rest::None,
                Err(fault) => break Rest::Fault(fault),
                Ok(Some(piece)) => {
                    held += piece.len();
                    pieces.push(piece);
                    if held > few {
                        break Rest::More(body);
                    }
                }
            }
        };
        Gathered { pieces, rest }
    }

    /// Appends a body to the draft's object. Nothing is synced yet if all is well.
    pub(super) async fn write(
        &self,
        owner: Owner<'_>,
        draft: &mut Draft,
        gathered: Gathered,
    ) -> Result<Box<dyn BlobWriter>, Stop> {
        let gathered = gathered.worth_writing().map_err(Stop::Kept)?;
        let key = match draft.key() {
            Some(key) => key,
            None => self
                .key_for(owner, draft.ticket)
                .await
                .map_err(Stop::Kept)?,
        };
        let mark = draft.mark();
        let mut writer = draft.writer(&*self.store, key).await?;
        let fault = match self.pump(draft, &mut *writer, gathered).await {
            Ok(()) => return Ok(writer),
            Err(Interruption::Store(error)) => return Err(Stop::of(error)),
            Err(Interruption::NoRoom) => return Err(Stop::Lost(UploadError::StoreFull)),
            Err(Interruption::Body(fault)) => fault,
        };
        if !fault.keeps {
            draft.rewind(mark);
            let truncated = writer.truncate(draft.offset()).await;
            truncated.map_err(Stop::of)?;
        }
        self.sync(draft, writer).await?;
        Err(Stop::Kept(fault.error))
    }

    async fn key_for(&self, owner: Owner<'_>, ticket: Ticket) -> Result<StorageKey, UploadError> {
        match owner {
            Owner::Repository(repository) => self.key_of(repository, ticket).await,
            Owner::Registry(registry) => Ok(key_in(registry, ticket)),
        }
    }

    /// Makes what was written durable.
    pub(super) async fn sync(
        &self,
        draft: &mut Draft,
        mut writer: Box<dyn BlobWriter>,
    ) -> Result<(), Stop> {
        let synced = writer.sync().await;
        let synced = synced.map_err(Stop::of)?;
        if synced != draft.offset() {
            return Err(Stop::Lost(failure::lost("the store synced another length")));
        }
        draft.settle(writer, self.keep_writer());
        Ok(())
    }

    /// A permit to keep an object open between requests, if there is one.
    pub(super) fn keep_writer(&self) -> Option<OwnedSemaphorePermit> {
        self.kept_writers.clone().try_acquire_owned().ok()
    }

    async fn pump(
        &self,
        draft: &mut Draft,
        writer: &mut dyn BlobWriter,
        gathered: Gathered,
    ) -> Result<(), Interruption> {
        for piece in gathered.pieces {
            self.push(draft, writer, piece).await?;
        }
        let mut body = match gathered.rest {
            Rest::None => return Ok(()),
            Rest::Fault(fault) => return Err(Interruption::Body(fault)),
            Rest::More(body) => body,
        };
        fail::fail_point!("fe.patch.mid_body");
        while let Some(piece) = body.next().await.map_err(Interruption::Body)? {
            self.push(draft, writer, piece).await?;
        }
        Ok(())
    }

    async fn push(
        &self,
        draft: &mut Draft,
        writer: &mut dyn BlobWriter,
        piece: Bytes,
    ) -> Result<(), Interruption> {
        if !self.shelf.takes(piece.len()).await {
            return Err(Interruption::NoRoom);
        }
        let few = self.config.inline_bytes.as_usize();
        let pushed = draft.push(writer, piece, few).await;
        pushed.map_err(Interruption::Store)
    }
}
