//! What becomes of content when all of it is here.

use std::sync::Arc;

use meridian_clients::UploadError;
use meridian_clients::replica::Stored;
use meridian_event::Leaf;
use meridian_oci::Digest;
use meridian_replication::{Body, Finished, Kind, Landing};

use super::Shell;
use crate::spool::{Fate, Haste, Slot};

impl Shell {
    pub(super) async fn finish(
        self: Arc<Self>,
        body: Body,
        kind: Kind,
        size: u64,
        landing: Landing,
    ) {
        // What is empty, or was here from before, is complete before anything came.
        let want = self.engine.look(|agent, _| agent.want_of(&body));
        let slot = want.and_then(|want| self.spool.slot(body, want, kind, size, Haste::None).ok());
        let slot = slot.filter(|slot| slot.is_complete() && slot.size() == size);
        let finished = match slot {
            None => Finished::Failed,
            Some(slot) => match (kind, landing) {
                (Kind::Blob, _) => self.keep_blob(body, slot).await,
                (Kind::Manifest, Landing::Stage) => stage(&body, &slot),
                (Kind::Manifest, Landing::Store) => match stage(&body, &slot) {
                    Finished::Stored => self.keep_manifest(body).await,
                    other => other,
                },
            },
        };
        self.finished(body, finished, landing == Landing::Store);
    }

    pub(super) async fn store(self: Arc<Self>, body: Body) {
        let finished = self.keep_manifest(body).await;
        self.finished(body, finished, true);
    }

    fn finished(&self, body: Body, finished: Finished, is_last: bool) {
        let fate = match finished {
            Finished::Stored if is_last => Some(Fate::Stored),
            Finished::Stored => None,
            Finished::Corrupt | Finished::Failed => Some(Fate::Lost),
        };
        // In one go: whoever begins to wait afterwards has a slot of their own.
        self.engine.tell(|agent, now| {
            if let Some((fate, want)) = fate.zip(agent.want_of(&body)) {
                self.spool.forget(&body, want, fate);
            }
            agent.finished(now, body, finished);
        });
    }

    async fn keep_blob(&self, body: Body, slot: Arc<Slot>) -> Finished {
        let leaf = Leaf {
            digest: body.digest,
            size: slot.size(),
        };
        let bytes = Box::pin(slot.read(0..leaf.size));
        match self.ports.ingest.ingest(body.registry, leaf, bytes).await {
            Ok(()) => Finished::Stored,
            Err(UploadError::DigestDiffers | UploadError::LengthDiffers { .. }) => {
                Finished::Corrupt
            }
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::warn!(%body, error, "a blob from another region was not stored");
                Finished::Failed
            }
        }
    }

    async fn keep_manifest(&self, body: Body) -> Finished {
        let Some(manifest) = self.manifest(&body) else {
            return Finished::Failed;
        };
        let stored = self.ports.replica.store_manifest(manifest);
        match self.in_time(stored).await {
            Some(Ok(Stored::Kept)) => Finished::Stored,
            Some(Ok(Stored::Unreadable { reason })) => {
                tracing::error!(%body, reason, "a manifest from another region cannot be read");
                Finished::Failed
            }
            Some(Err(error)) => {
                let error = meridian_error::chain(&error);
                tracing::warn!(%body, error, "a manifest from another region was not stored");
                Finished::Failed
            }
            None => Finished::Failed,
        }
    }
}

/// Whether what lies in memory is what its digest says.
fn stage(body: &Body, slot: &Slot) -> Finished {
    match slot.bytes() {
        Some(bytes) if Digest::of(body.digest.algorithm(), &bytes) == body.digest => {
            Finished::Stored
        }
        Some(_) => Finished::Corrupt,
        None => Finished::Failed,
    }
}
