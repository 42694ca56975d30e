//! Merging: one entry that merges events and moves the cursor.

use std::sync::Arc;

use meridian_clients::replica::{ManifestBytes, Merged, Place, RemoteBatch};
use meridian_event::Envelope;
use meridian_replication::{Body, Cursor, Settled, StreamId};

use super::Shell;

impl Shell {
    pub(super) async fn merge(
        self: Arc<Self>,
        stream: StreamId,
        ticket: u64,
        after: Cursor,
        events: Vec<Arc<Envelope>>,
        bodies: &[Body],
    ) {
        let manifests = bodies.iter().filter_map(|body| self.manifest(body));
        let batch = RemoteBatch {
            manifests: manifests.collect(),
            events,
        };
        let merged = async {
            self.introductions.until_open(stream.origin).await;
            self.ports.replica.merge(batch).await
        };
        let settled = match self.in_time(merged).await {
            Some(Ok(Merged::Through(place))) => Settled::Applied(cursor(place)),
            Some(Ok(Merged::Refused(place))) => Settled::Refused(cursor(place)),
            Some(Err(error)) => {
                tracing::debug!(%stream, %after, %error, "events of another region were not merged");
                Settled::Unknown
            }
            None => Settled::Unknown,
        };
        if let Settled::Applied(cursor) | Settled::Refused(cursor) = settled {
            self.engine
                .tell_freshness(|it, _| it.learn_cursor(stream, cursor));
        }
        self.engine
            .tell(|agent, now| agent.settled(now, stream, ticket, settled));
    }

    /// A manifest that lies in memory.
    pub(super) fn manifest(&self, body: &Body) -> Option<ManifestBytes> {
        Some(ManifestBytes {
            registry: body.registry,
            digest: body.digest,
            bytes: self.spool.get(body)?.bytes()?,
        })
    }
}

/// A place in a stream, as the engine has it.
pub(crate) const fn cursor(place: Place) -> Cursor {
    Cursor {
        epoch: place.epoch,
        seq: place.seq,
    }
}
