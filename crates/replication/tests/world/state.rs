//! The state of the region that the agents work for.
//!
//! A model of what the metadata group does with an `ApplyRemote`: it checks what the engine has to
//! keep, and panics where it did not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meridian_clock::Version;
use meridian_event::{Envelope, Event, RegistryId};
use meridian_oci::{Digest, RepositoryName};
use meridian_replication::{Body, Cursor, Kind, Settled, StreamId, Want};

use super::origin::ById;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) cursors: BTreeMap<StreamId, Cursor>,
    pub(crate) merged: ById,
    objects: BTreeMap<(RegistryId, RepositoryName, Digest), Object>,
    /// How many present objects need a body.
    needs: BTreeMap<Body, u32>,
    pub(crate) bodies: BTreeMap<Body, Want>,
    pub(crate) stored: BTreeSet<Body>,
    /// Events may be so far ahead of our clock.
    pub(crate) max_ahead: u64,
}

#[derive(Debug, Default)]
struct Object {
    add: Option<Version>,
    del: Option<Version>,
    needs: Vec<Body>,
}

// === impl State ===

impl State {
    /// One entry of the log.
    pub(crate) fn apply(
        &mut self,
        millis: u64,
        stream: StreamId,
        events: &[Arc<Envelope>],
        bodies: &[Body],
    ) -> Settled {
        let cursor = self.cursors[&stream];
        let places: Vec<_> = events.iter().map(|it| Cursor::of(&it.id)).collect();
        let is_dense = places
            .windows(2)
            .all(|pair| pair[0].epoch == pair[1].epoch && pair[0].seq + 1 == pair[1].seq);
        assert!(is_dense, "a proposal with a gap: {places:?}");
        let (first, last) = (places[0], places[places.len() - 1]);
        let is_next = first.epoch == cursor.epoch && first.seq <= cursor.seq + 1;
        if !is_next || last <= cursor {
            return Settled::Refused(cursor);
        }
        for envelope in events {
            if Cursor::of(&envelope.id) > cursor {
                let ahead = envelope.version.millis.saturating_sub(millis);
                assert!(
                    ahead <= self.max_ahead,
                    "an event from the future: {ahead} ms"
                );
                self.merge(envelope);
            }
        }
        self.stored.extend(bodies);
        self.cursors.insert(stream, last);
        Settled::Applied(last)
    }

    /// Merges an event; any order, any number of times.
    pub(crate) fn merge(&mut self, envelope: &Arc<Envelope>) {
        self.merged.insert(envelope.id, Arc::clone(envelope));
        let registry = envelope.registry;
        let body = |digest| Body { registry, digest };
        let Some(repository) = envelope.event.repository().cloned() else {
            return;
        };
        let mut want = |kind, leaf: &meridian_event::Leaf| {
            let want = Want {
                body: body(leaf.digest),
                kind,
                size: leaf.size,
                repository: repository.clone(),
                holders: Vec::new(),
            };
            self.bodies.insert(want.body, want);
        };
        let (digest, needs, is_put) = match &envelope.event {
            Event::ManifestPut {
                manifest, blobs, ..
            } => {
                want(Kind::Manifest, manifest);
                let mut needs = vec![body(manifest.digest)];
                for blob in blobs {
                    want(Kind::Blob, blob);
                    needs.push(body(blob.digest));
                }
                (manifest.digest, needs, true)
            }
            Event::BlobPut { blob, .. } => {
                want(Kind::Blob, blob);
                (blob.digest, vec![body(blob.digest)], true)
            }
            Event::ManifestDeleted { digest, .. } | Event::BlobDeleted { digest, .. } => {
                (*digest, Vec::new(), false)
            }
            _ => return,
        };
        let key = (registry, repository, digest);
        let object = self.objects.entry(key).or_default();
        let was_present = object.is_present();
        if is_put {
            object.add = object.add.max(Some(envelope.version));
            object.needs = needs;
        } else {
            object.del = object.del.max(Some(envelope.version));
        }
        match (was_present, object.is_present()) {
            (false, true) => {
                for body in &object.needs {
                    *self.needs.entry(*body).or_default() += 1;
                }
            }
            (true, false) => {
                for body in &object.needs {
                    let count = self.needs.get_mut(body).unwrap();
                    *count -= 1;
                    if *count == 0 {
                        self.needs.remove(body);
                        self.stored.remove(body);
                    }
                }
            }
            _ => {}
        }
    }

    pub(crate) fn is_needed(&self, body: &Body) -> bool {
        self.needs.contains_key(body)
    }

    /// What is needed and not stored, after a body.
    pub(crate) fn missing(&self, after: Option<Body>) -> impl Iterator<Item = &Want> {
        let needs = self.needs.keys();
        let missing = needs.filter(move |body| Some(**body) > after && !self.stored.contains(body));
        missing.map(|body| &self.bodies[body])
    }
}

// === impl Object ===

impl Object {
    fn is_present(&self) -> bool {
        self.add.is_some() && self.add > self.del
    }
}
