//! A topic, as readers see it: its segments and the bounds of its shards.
//!
//! Owns which segments there are, and retention. Keeps the invariant that a shard's low watermark is
//! where the oldest segment says that the shard goes on, and that both change together.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::config::DiskConfig;
use super::durable;
use super::fault::ReadFault;
use super::segment::{Harvest, Segment};
use crate::{Bounds, ReadError, ReadLimits, StoredRecord, Topic};

/// No read brings more, whatever it asks for, so that readers cannot exhaust memory.
const MAX_READ_BYTES: usize = 8 << 20;

/// A topic's segments.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) topic: Topic,
    pub(super) folder: PathBuf,
    bounds: Box<[watch::Sender<Bounds>]>,
    /// In order; the last one is being written.
    segments: RwLock<VecDeque<Arc<Segment>>>,
}

// === impl Stream ===

impl Stream {
    /// A topic with at least one segment, whose shards go on at `next`.
    pub(super) fn new(
        topic: Topic,
        folder: PathBuf,
        segments: VecDeque<Arc<Segment>>,
        next: &[u64],
    ) -> Self {
        let lows = segments.front().map(|oldest| oldest.bases.clone());
        let lows = lows.unwrap_or_else(|| next.into());
        let bounds = |(low, high): (&u64, &u64)| {
            watch::Sender::new(Bounds {
                low: *low,
                high: *high,
            })
        };
        Self {
            topic,
            folder,
            bounds: lows.iter().zip(next).map(bounds).collect(),
            segments: RwLock::new(segments),
        }
    }

    pub(super) fn shards(&self) -> u16 {
        u16::try_from(self.bounds.len()).expect("a topic has at most 1024 shards")
    }

    /// The bounds of a shard, to look at or to wait for.
    pub(super) fn bounds(&self, shard: u16) -> Result<&watch::Sender<Bounds>, ReadError> {
        let bounds = self.bounds.get(usize::from(shard));
        bounds.ok_or_else(|| ReadError::UnknownShard {
            topic: self.topic.clone(),
            shard,
        })
    }

    /// Lets readers see that a shard now goes on at `high`.
    pub(super) fn advance(&self, shard: usize, high: u64) {
        self.bounds[shard].send_if_modified(|bounds| {
            let risen = bounds.high < high;
            bounds.high = bounds.high.max(high);
            risen
        });
    }

    /// Adds the segment that is written next.
    pub(super) fn push(&self, segment: Arc<Segment>) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.push_back(segment);
    }

    /// Reads records that exist, from `from` on. Blocks on the disk.
    pub(super) fn read(
        &self,
        shard: u16,
        from: u64,
        limits: ReadLimits,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        let bytes = limits.bytes.min(MAX_READ_BYTES);
        let mut harvest = Harvest::new(from, limits.records.max(1), bytes);
        while !harvest.is_full() {
            let segment = match self.locate(shard, harvest.from) {
                Ok(Some(segment)) => segment,
                Ok(None) => break,
                // Retention has overtaken the read; what was gathered is good.
                Err(ReadError::OutOfRange { .. }) if !harvest.records.is_empty() => break,
                Err(error) => return Err(error),
            };
            match segment.read(shard, &mut harvest) {
                // Retention took the file after it was located.
                Err(ReadFault::Gone(_)) if !self.holds(&segment) => {}
                outcome => outcome?,
            }
        }
        Ok(harvest.records)
    }

    /// The segment in which an offset of a shard lies: the last that begins at or below it. `None`
    /// if nothing has reached the offset yet.
    fn locate(&self, shard: u16, offset: u64) -> Result<Option<Arc<Segment>>, ReadError> {
        // Retention changes segments and low watermarks under this lock.
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let Bounds { low, high } = *self.bounds(shard)?.borrow();
        if offset < low {
            return Err(ReadError::OutOfRange { low, high });
        }
        if offset >= high {
            return Ok(None);
        }
        let after = segments.partition_point(|segment| segment.bases[usize::from(shard)] <= offset);
        let at = after.checked_sub(1).and_then(|at| segments.get(at));
        Ok(at.cloned())
    }

    /// The number of the newest segment, and how far it may be read.
    pub(super) fn end(&self) -> Option<(u64, u64)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let newest = segments.back()?;
        Some((newest.number, newest.end()))
    }

    fn holds(&self, segment: &Arc<Segment>) -> bool {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.iter().any(|held| Arc::ptr_eq(held, segment))
    }

    /// Deletes the oldest segments while they are too many or too old. The newest one stays.
    pub(super) fn retain(&self, config: &DiskConfig, now_millis: u64) -> io::Result<()> {
        self.delete_while(|segments| is_due(segments, config, now_millis))
    }

    /// Deletes the oldest segments while all of their records lie before the offset given for their
    /// shard. The newest one stays.
    pub(super) fn trim(&self, before: &[u64]) -> io::Result<()> {
        self.delete_while(|segments| {
            segments.get(1).is_some_and(|second| {
                let mut shards = second.bases.iter().zip(before);
                second.bases.len() == before.len() && shards.all(|(base, before)| base <= before)
            })
        })
    }

    fn delete_while(&self, is_due: impl Fn(&VecDeque<Arc<Segment>>) -> bool) -> io::Result<()> {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut deleted = false;
        while segments.len() > 1 && is_due(&segments) {
            let Some(oldest) = segments.front() else {
                break;
            };
            std::fs::remove_file(&oldest.path)?;
            segments.pop_front();
            deleted = true;
            if let Some(oldest) = segments.front() {
                for (bounds, low) in self.bounds.iter().zip(&oldest.bases) {
                    bounds.send_modify(|bounds| bounds.low = *low);
                }
            }
        }
        drop(segments);
        // A deletion that a crash undoes shows older records again, which harms nobody.
        if deleted {
            durable::sync_folder(&self.folder)?;
        }
        Ok(())
    }
}

/// Whether the oldest segment has to go.
fn is_due(segments: &VecDeque<Arc<Segment>>, config: &DiskConfig, now_millis: u64) -> bool {
    let size: u64 = segments.iter().map(|segment| segment.end()).sum();
    let age = segments.front().map_or(0, |oldest| {
        now_millis.saturating_sub(oldest.newest_millis())
    });
    size > config.retention_size.as_u64() || u128::from(age) > config.retention_age.as_millis()
}
