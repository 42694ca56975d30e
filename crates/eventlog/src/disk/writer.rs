//! The thread that writes.
//!
//! Owns every topic's [`Tail`] and the lock on the folder. Takes commands from a bounded queue and
//! commits together what has queued up while the last sync was under way: one write and one sync per
//! topic, whatever the number of appenders and shards. Deletes what retention no longer covers.
//!
//! After the first failure that leaves the disk's content unknown it only refuses.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use meridian_clock::Clock;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::config::DiskConfig;
use super::directory::Directory;
use super::durable;
use super::stream::Stream;
use super::tail::{CommitError, Tail};
use crate::log::MAX_SHARDS;
use crate::{AppendError, Appended, CreateTopicError, Outage, ShardBatch, Topic};

/// A group takes no further append once it has this size.
const GROUP_BYTES: usize = 16 << 20;

/// What the thread is asked to do.
pub(super) enum Command {
    Append(Append),
    CreateTopic {
        topic: Topic,
        shards: u16,
        reply: oneshot::Sender<Result<(), CreateTopicError>>,
        share: OwnedSemaphorePermit,
    },
}

/// Batches of one caller for a topic that exists, within all limits.
pub(super) struct Append {
    pub(super) topic: Topic,
    pub(super) batches: Vec<ShardBatch>,
    pub(super) reply: oneshot::Sender<Result<Vec<Appended>, AppendError>>,
    /// The caller's share of the queue, given back with the answer.
    pub(super) share: OwnedSemaphorePermit,
}

/// The state of the thread.
pub(super) struct Writer {
    pub(super) root: PathBuf,
    pub(super) config: DiskConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) directory: Arc<Directory>,
    pub(super) tails: BTreeMap<Topic, Tail>,
    /// Held until the last write is done.
    pub(super) lock: File,
}

// === impl Writer ===

impl Writer {
    /// Serves until every sender of commands is gone.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let pause =
            (self.config.retention_age / 8).clamp(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            match commands.recv_timeout(pause) {
                Ok(command) => self.serve(command, commands),
                Err(RecvTimeoutError::Timeout) => self.retain(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.directory.poison().is_none()
            && let Err(error) = self.mark()
        {
            self.directory.set_poison(error);
        }
        drop(self.lock);
    }

    /// Says in each topic that what it holds is durable.
    pub(super) fn mark(&mut self) -> io::Result<()> {
        let now = self.clock.now_millis();
        for tail in self.tails.values_mut() {
            match tail.mark(now) {
                // A mark is a help for the next opening. Without space there is none.
                Ok(()) | Err(CommitError::Full(_)) => {}
                Err(CommitError::Unacknowledged(error) | CommitError::Unknown(error)) => {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Does a command, together with those that wait behind it.
    fn serve(&mut self, command: Command, commands: &Receiver<Command>) {
        let mut appends = Vec::new();
        let mut bytes = 0;
        let mut waiting = Some(command);
        while let Some(command) = waiting {
            match command {
                Command::Append(append) => {
                    bytes += append.batches.iter().map(ShardBatch::size).sum::<usize>();
                    appends.push(append);
                }
                Command::CreateTopic {
                    topic,
                    shards,
                    reply,
                    share,
                } => {
                    // The caller may have gone away; the topic is created all the same.
                    let _ = reply.send(self.create_topic(&topic, shards));
                    drop(share);
                }
            }
            waiting = (bytes < GROUP_BYTES)
                .then(|| commands.try_recv().ok())
                .flatten();
        }
        self.append(appends);
    }

    /// Commits appends, one group per topic, in the order of arrival.
    fn append(&mut self, appends: Vec<Append>) {
        let mut by_topic: BTreeMap<Topic, Vec<Append>> = BTreeMap::new();
        for append in appends {
            by_topic
                .entry(append.topic.clone())
                .or_default()
                .push(append);
        }
        for (topic, appends) in by_topic {
            match self.commit(&topic, &appends) {
                Ok(appended) => acknowledge(appends, appended),
                Err(outage) => refuse(appends, &outage),
            }
        }
    }

    fn commit(&mut self, topic: &Topic, appends: &[Append]) -> Result<Vec<Appended>, Outage> {
        self.directory.check()?;
        // In a whole process, whose Raft log must not fail along with its events.
        fail::fail_point!(
            "eventlog.events.fail",
            topic.as_str().starts_with("meridian."),
            |_| {
                let error = io::Error::other("failpoint eventlog.events.fail");
                Err(self.outage(CommitError::Unknown(error)))
            }
        );
        let now = self.clock.now_millis();
        let tail = self.tails.get_mut(topic).ok_or(Outage::Closed)?;
        let segments = tail.segments();
        let batches: Vec<&ShardBatch> = appends.iter().flat_map(|append| &append.batches).collect();
        let outcome = tail.append(&batches, now);
        if tail.segments() > segments {
            retain(&tail.stream, &self.config, now);
        }
        outcome.map_err(|error| self.outage(error))
    }

    fn create_topic(&mut self, topic: &Topic, shards: u16) -> Result<(), CreateTopicError> {
        if shards == 0 || shards > MAX_SHARDS {
            return Err(CreateTopicError::Shards(shards));
        }
        if let Some(tail) = self.tails.get(topic) {
            let existing = tail.stream.shards();
            return if existing == shards {
                Ok(())
            } else {
                Err(CreateTopicError::ShardsDiffer {
                    topic: topic.clone(),
                    existing,
                    asked: shards,
                })
            };
        }
        self.directory.check()?;
        let folder = self.root.join(topic.as_str());
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Outage::Unavailable(Arc::new(error)).into());
            }
            _ => {}
        }
        durable::sync_folder(&self.root)
            .map_err(|error| self.outage(CommitError::Unknown(error)))?;
        let next: Box<[u64]> = vec![0; usize::from(shards)].into();
        let stream = Arc::new(Stream::new(topic.clone(), folder, [].into(), &next));
        let size = self.config.segment_size.as_u64();
        let mut tail = Tail::new(Arc::clone(&stream), next, None, 0, size);
        tail.create_if_missing()
            .map_err(|error| self.outage(error))?;
        self.tails.insert(topic.clone(), tail);
        self.directory.insert(stream);
        Ok(())
    }

    fn retain(&self) {
        let now = self.clock.now_millis();
        for tail in self.tails.values() {
            retain(&tail.stream, &self.config, now);
        }
    }

    fn outage(&self, error: CommitError) -> Outage {
        match error {
            CommitError::Full(error) => Outage::Full(Arc::new(error)),
            CommitError::Unacknowledged(error) => Outage::Unavailable(Arc::new(error)),
            CommitError::Unknown(error) => Outage::Poisoned(self.directory.set_poison(error)),
        }
    }
}

/// Applies retention. What cannot be deleted now is tried again later.
fn retain(stream: &Stream, config: &DiskConfig, now_millis: u64) {
    if let Err(error) = stream.retain(config, now_millis) {
        tracing::warn!(
            topic = %stream.topic,
            %error,
            "segments that retention no longer covers could not be deleted"
        );
    }
}

/// Hands each caller the places of its batches. Callers that went away are not missed.
fn acknowledge(appends: Vec<Append>, appended: Vec<Appended>) {
    let mut appended = appended.into_iter();
    for append in appends {
        let places = appended.by_ref().take(append.batches.len()).collect();
        drop(append.share);
        let _ = append.reply.send(Ok(places));
    }
}

fn refuse(appends: Vec<Append>, outage: &Outage) {
    for append in appends {
        drop(append.share);
        let _ = append.reply.send(Err(outage.clone().into()));
    }
}
