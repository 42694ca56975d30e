//! Blobs that come from other regions.
//!
//! Owns the way of such a blob: an upload in one step, whose bytes are verified, durable and recorded
//! in the same order as a client's, but for a registry instead of a repository. Keeps the invariant
//! that one which fails leaves nothing behind but what the sweep finds: an object whose record was
//! proposed and may be on its way. Leaves to the metadata who needs the blob, and to the origin how
//! large blobs may be.

use std::sync::Arc;

use meridian_clients::{ByteStream, Transfer, UploadError};
use meridian_event::{Leaf, RegistryId};
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::draft::Draft;
use super::finish::Whole;
use super::record::{Owner, Target};
use super::session::Progress;
use super::write::Stop;
use super::{Uploads, failure};
use crate::ticket::Ticket;

impl Uploads {
    /// Takes a whole blob for a registry. Two of the same at once are placed twice and kept once.
    pub(crate) async fn arrive(
        self: &Arc<Self>,
        registry: RegistryId,
        blob: Leaf,
        body: ByteStream,
    ) -> Result<(), UploadError> {
        // Better than after all bytes were sent.
        if !self.shelf.takes(0).await {
            return Err(UploadError::StoreFull);
        }
        let ticket = self.new_ticket(blob.digest.algorithm()).await?;
        self.generations
            .claim(ticket.epoch, ticket.generation, true);
        let gone = CancellationToken::new();
        let _tells = gone.clone().drop_guard();
        let body = Body::new(whole(blob, body), 0, u64::MAX, gone)?;
        let uploads = Arc::clone(self);
        self.detach("blob.ingest", async move {
            let target = Target {
                owner: Owner::Registry(registry),
                digest: blob.digest,
            };
            let kept = Box::pin(uploads.keep_or_discard(&target, ticket, body));
            match &uploads.sharing {
                Some(sharing) => sharing.keep_long(ticket, kept).await,
                None => kept.await,
            }
        })
        .await
    }

    async fn keep_or_discard(
        &self,
        target: &Target<'_>,
        ticket: Ticket,
        body: Body,
    ) -> Result<(), UploadError> {
        let mut progress = Progress::open(Draft::new(ticket, target.digest.algorithm()));
        let kept = self.keep(target, &mut progress, body).await;
        let Err(stop) = kept else {
            return Ok(());
        };
        if let Some(key) = progress.unwanted() {
            self.discard(key).await;
        }
        Err(stop.into_failed_arrival())
    }

    async fn keep(
        &self,
        target: &Target<'_>,
        progress: &mut Progress,
        body: Body,
    ) -> Result<(), Stop> {
        let Progress::Open(draft) = progress else {
            return Err(Stop::Lost(UploadError::Unknown));
        };
        let mut sealed = match self.take_last(target, draft, body).await? {
            Whole::Small(bytes) => return self.record_inline(target, draft.ticket, bytes).await,
            Whole::Stored(sealed) => sealed,
        };
        let mut kept = self.verify(&mut sealed, target.digest).await;
        if kept.is_ok() {
            kept = self.record_object(target, &mut sealed).await;
        }
        *progress = Progress::Sealed(sealed);
        kept
    }
}

fn whole(blob: Leaf, body: ByteStream) -> Transfer {
    Transfer {
        range: None,
        length: Some(blob.size),
        body,
    }
}

// === impl Stop ===

impl Stop {
    /// What a sender is told who has no session to go on with: an object that is gone is no fault of
    /// his, and he may begin anew.
    fn into_failed_arrival(self) -> UploadError {
        match self {
            Self::Taken | Self::Lost(UploadError::Unknown) => {
                failure::lost("the object was doomed before it was recorded")
            }
            Self::Kept(error) | Self::Lost(error) => error,
        }
    }
}
