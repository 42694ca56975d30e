//! Bytes that go to another place than was meant.
//!
//! Owns two detours of a finished upload. An object that the metadata does not let be named, because
//! it was doomed or was another record's once, is copied under a new generation while it is still
//! there; if it is not, the session is over and its client uploads anew. And a blob that is recorded
//! already, but under an object that is lost, gets the new object in its stead. Keeps the invariant
//! that an upload which is acknowledged can be read.

use bytes::Bytes;
use futures::StreamExt;
use meridian_blobstore::{BlobReader, BlobWriter, ReadError as OpenError};
use meridian_clients::{BlobLocation, StorageKey, UploadError};
use meridian_oci::{Digest, Hasher};

use super::draft::begin;
use super::record::{Recorded, Target};
use super::session::Sealed;
use super::write::Stop;
use super::{Uploads, failure};
use crate::loss::is_lost;
use crate::ticket::Ticket;
use crate::{ingest, layout};

/// How often bytes are placed at most, for one request.
const PLACES: usize = 3;

impl Uploads {
    /// Records a finished object, or a copy of it.
    pub(super) async fn record_object(
        &self,
        target: &Target<'_>,
        sealed: &mut Sealed,
    ) -> Result<(), Stop> {
        let mut lost = self.losses.of(sealed.key.registry, target.digest);
        for _ in 0..PLACES {
            sealed.proposed = true;
            let (ticket, size) = (sealed.ticket, sealed.size);
            let location = BlobLocation::Stored(sealed.key);
            match self.record(target, ticket, size, location, lost).await? {
                Recorded::Done => {
                    self.heal(target.digest, lost);
                    return Ok(());
                }
                Recorded::Kept(key) => match self.loss(key, size).await? {
                    None => return Ok(()),
                    found => lost = found,
                },
                Recorded::MayBeGone => {}
            }
            *sealed = self.place_again(sealed, target.digest).await?;
        }
        Err(Stop::Lost(UploadError::Unknown))
    }

    /// Records a blob that is small enough to be in its record.
    pub(super) async fn record_inline(
        &self,
        target: &Target<'_>,
        ticket: Ticket,
        bytes: Bytes,
    ) -> Result<(), Stop> {
        let size = bytes.len() as u64;
        let mut lost = None;
        for _ in 0..PLACES {
            let location = BlobLocation::Inline(bytes.clone());
            match self.record(target, ticket, size, location, lost).await? {
                Recorded::Kept(key) if Some(key) != lost => match self.loss(key, size).await? {
                    None => return Ok(()),
                    found => lost = found,
                },
                Recorded::Done | Recorded::Kept(_) => {
                    self.heal(target.digest, lost);
                    return Ok(());
                }
                Recorded::MayBeGone => break,
            }
        }
        Err(Stop::Lost(UploadError::Unknown))
    }

    /// The object that a record keeps, if it is lost.
    async fn loss(&self, key: StorageKey, size: u64) -> Result<Option<StorageKey>, Stop> {
        let is_lost = is_lost(&*self.store, key, size).await;
        let is_lost = is_lost.map_err(|error| Stop::Kept(failure::of_store(error)))?;
        Ok(is_lost.then_some(key))
    }

    fn heal(&self, digest: Digest, lost: Option<StorageKey>) {
        if let Some(key) = lost {
            tracing::info!(
                blob.digest = %digest,
                object = %layout::object(key),
                "a lost object was replaced by an upload",
            );
            self.losses.forget(digest, key);
        }
    }

    /// Copies a finished object under a generation that nobody had.
    async fn place_again(&self, sealed: &Sealed, digest: Digest) -> Result<Sealed, Stop> {
        let from = layout::object(sealed.key);
        let reader = match self.store.open(&from, None).await {
            Ok(reader) => reader,
            Err(OpenError::NotFound(_)) => return Err(Stop::Lost(UploadError::Unknown)),
            Err(error) => return Err(Stop::Kept(failure::of_store(error))),
        };
        let ticket = self.new_ticket(digest.algorithm()).await;
        let ticket = Ticket {
            created: sealed.ticket.created,
            ..ticket.map_err(|error| Stop::Kept(error.into()))?
        };
        self.generations
            .claim(ticket.epoch, ticket.generation, true);
        let key = StorageKey {
            registry: sealed.key.registry,
            epoch: ticket.epoch,
            generation: ticket.generation,
        };
        tracing::info!(%from, to = %layout::object(key), "an upload is placed anew");
        let mut writer = begin(&*self.store, key).await?;
        let mut hasher = Hasher::new(digest.algorithm());
        if let Err(error) = copy(reader, &mut *writer, &mut hasher).await {
            writer.abort().await;
            return Err(Stop::Kept(error));
        }
        if hasher.finish() != digest {
            writer.abort().await;
            return Err(Stop::Lost(failure::lost("a finished object has changed")));
        }
        let committed = writer.commit().await;
        let size = committed.map_err(|error| Stop::Kept(failure::of_store(error)))?;
        Ok(Sealed {
            ticket,
            key,
            size,
            digest: Some(digest),
            proposed: false,
        })
    }
}

async fn copy(
    mut from: BlobReader,
    to: &mut dyn BlobWriter,
    hasher: &mut Hasher,
) -> Result<(), UploadError> {
    while let Some(bytes) = from.next().await {
        let bytes = bytes.map_err(failure::lost)?;
        let pushed = ingest::push(to, Some(hasher), bytes).await;
        pushed.map_err(failure::of_store)?;
    }
    Ok(())
}
