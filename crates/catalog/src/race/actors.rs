//! What each client does next.
//!
//! They go by the answers that they get, as a pusher does, and remember what was promised to them.

use super::content::{image, layer, name, object, registry};
use super::world::{LEASE, World};
use crate::{BlobPlace, Command, Encoding, NewBlob, Refusal, Reply, query};

/// By how much the generation of a second try is greater than that of the first.
const AGAIN: u64 = 16;

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// Pushes an image of the layer to `a`: asks whether it is there, and uploads it if not.
    Reuser,
    /// Pushes another image of it to `a`: uploads it without asking.
    Uploader,
    /// Mounts it into `b` and pushes an image there.
    Mounter,
    /// Deletes the image that was there from the beginning.
    Deleter,
    /// Deletes the layer from `a`.
    Remover,
    /// Takes any object for an orphan, at any time, and wants it doomed. It is no client: whenever
    /// it is there, its proposals are among the things that may happen.
    Sweeper,
    /// Learns that the layer's bytes are lost, and uploads it to `a` once more.
    Healer,
    /// Proposes the uploader's record once more, whenever, as often as it likes; nobody remembers
    /// the request.
    Ghost,
}

/// How far an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Begin,
    /// Was told that the layer is there, if it touches it.
    MustTouch,
    /// Was told that it is not there, or did not ask.
    MustUpload,
    /// Wrote the bytes.
    MustRecord,
    /// Was told that its object may be gone: places the bytes under another generation.
    MustUploadAgain,
    /// Wrote them.
    MustRecordAgain,
    /// Relies on the layer.
    MustPut,
    Done,
}

impl World {
    /// Lets an actor take its next step.
    pub(super) fn act(&mut self, actor: Actor) {
        let place = self
            .actors
            .iter()
            .position(|(other, _)| *other == actor)
            .unwrap();
        let author = place as u64 + 2;
        let next = match (actor, self.actors[place].1) {
            (Actor::Deleter, _) => self.delete_image(),
            (Actor::Remover, _) => self.remove_layer(),
            (Actor::Ghost, _) => {
                let uploader = self
                    .actors
                    .iter()
                    .position(|(it, _)| *it == Actor::Uploader);
                self.record("a", uploader.unwrap() as u64 + 2, None);
                Progress::Begin
            }
            (Actor::Sweeper, progress) => progress,
            (Actor::Reuser, Progress::Begin) => self.ask(),
            (Actor::Mounter, Progress::Begin) => self.mount(),
            (Actor::Uploader, Progress::Begin) => Progress::MustUpload,
            (Actor::Healer, Progress::Begin) => match self.lost {
                Some(_) => Progress::MustUpload,
                None => Progress::Done,
            },
            (Actor::Healer, Progress::MustRecord) => self.record("a", author, self.lost),
            (Actor::Healer, Progress::MustRecordAgain) => {
                self.record("a", author + AGAIN, self.lost)
            }
            (_, Progress::MustTouch) => self.touch(),
            (_, Progress::MustUpload) => {
                self.disk.insert(author);
                Progress::MustRecord
            }
            (_, Progress::MustRecord) => self.record("a", author, None),
            (_, Progress::MustUploadAgain) => {
                self.disk.insert(author + AGAIN);
                Progress::MustRecordAgain
            }
            (_, Progress::MustRecordAgain) => self.record("a", author + AGAIN, None),
            (Actor::Mounter, Progress::MustPut) => self.put("b", author),
            (_, Progress::MustPut) => self.put("a", author),
            (_, Progress::Done) => Progress::Done,
        };
        self.actors[place].1 = next;
    }

    fn ask(&self) -> Progress {
        let found = query::blob(
            &self.store,
            self.registry,
            &name("a"),
            layer().digest,
            self.now,
        );
        match found.unwrap() {
            None => Progress::MustUpload,
            Some(view) if view.wants_touch => Progress::MustTouch,
            Some(_) => Progress::MustPut,
        }
    }

    fn touch(&mut self) -> Progress {
        let reply = self.say(Command::TouchBlob {
            registry: registry(),
            repository: name("a"),
            digest: layer().digest,
        });
        match reply {
            Reply::Done { .. } => self.leased("a"),
            Reply::Refused(Refusal::BlobUnknown) => Progress::MustUpload,
            other => panic!("a touch was answered {other:?}"),
        }
    }

    fn mount(&mut self) -> Progress {
        let reply = self.say(Command::MountBlob {
            registry: registry(),
            repository: name("b"),
            from: Some(name("a")),
            digest: layer().digest,
        });
        match reply {
            Reply::Done { .. } => self.leased("b"),
            Reply::Nothing => Progress::Done,
            other => panic!("a mount was answered {other:?}"),
        }
    }

    pub(super) fn record(
        &mut self,
        repository: &'static str,
        generation: u64,
        instead_of: Option<u64>,
    ) -> Progress {
        let reply = self.say(Command::RecordBlob(Box::new(NewBlob {
            registry: registry(),
            repository: name(repository),
            blob: layer(),
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(object(generation)),
            owner: Some(self.registry),
            instead_of: instead_of.map(object),
        })));
        match reply {
            Reply::Done { .. } | Reply::Kept { .. } => {
                // Whoever is told so after a loss may rely on the layer again.
                if instead_of.is_some() {
                    self.lost = None;
                }
                self.leased(repository)
            }
            // The sweep came first, or the ghost, and what that recorded is gone again.
            Reply::Refused(Refusal::BlobUnknown) if generation < AGAIN => Progress::MustUploadAgain,
            Reply::Refused(Refusal::BlobUnknown) => Progress::Done,
            other => panic!("a record was answered {other:?}"),
        }
    }

    fn leased(&mut self, repository: &'static str) -> Progress {
        self.leases.insert((repository, self.now + LEASE));
        Progress::MustPut
    }

    pub(super) fn put(&mut self, repository: &'static str, author: u64) -> Progress {
        let reply = self.say(Command::PutManifest(Box::new(image(repository, author))));
        match reply {
            Reply::Done { .. } => drop(self.images.insert((repository, author))),
            Reply::Refused(Refusal::LeavesUnknown(_)) => {}
            other => panic!("an image was answered {other:?}"),
        }
        Progress::Done
    }

    fn delete_image(&mut self) -> Progress {
        self.say(Command::DeleteManifest {
            registry: registry(),
            repository: name("a"),
            digest: image("a", 0).digest,
            condition: None,
        });
        self.images.remove(&("a", 0));
        Progress::Done
    }

    fn remove_layer(&mut self) -> Progress {
        let reply = self.say(Command::DeleteBlob {
            registry: registry(),
            repository: name("a"),
            digest: layer().digest,
        });
        match reply {
            Reply::Done { .. } => self.leases.retain(|(repository, _)| *repository != "a"),
            Reply::Refused(_) => {}
            other => panic!("a deletion was answered {other:?}"),
        }
        Progress::Done
    }
}
