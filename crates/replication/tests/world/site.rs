//! An agent, and what its shell keeps for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use meridian_replication::{Agent, Body, Cursor, Order, StreamId, TransferId};

/// A machine on which an agent runs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) agent: Agent,
    /// Answers to an earlier life are lost.
    pub(crate) life: u32,
    pub(crate) consumers: BTreeMap<StreamId, usize>,
    pub(crate) partial: BTreeMap<Body, Partial>,
    pub(crate) staged: BTreeSet<Body>,
    pub(crate) transfers: BTreeMap<TransferId, Running>,
    /// Parts of them that nobody wants any more.
    pub(crate) orphans: BTreeSet<(TransferId, usize)>,
    /// The highest cursors that it was seen with.
    pub(crate) seen: BTreeMap<StreamId, Cursor>,
    pub(crate) wake: Option<u64>,
}

/// What is here of a body that is not complete.
#[derive(Debug, Default, Clone)]
pub(crate) struct Partial {
    pub(crate) ranges: Vec<Range<u64>>,
    /// Some of it is not what it should be.
    pub(crate) is_tainted: bool,
}

/// A transfer that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) order: Order,
    pub(crate) part: usize,
    pub(crate) offset: u64,
}

// === impl Partial ===

impl Partial {
    pub(crate) fn add(&mut self, range: Range<u64>) {
        self.ranges.push(range);
        self.ranges.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in self.ranges.drain(..) {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        self.ranges = merged;
    }

    pub(crate) fn overlaps(&self, other: &Range<u64>) -> bool {
        let overlap = |it: &Range<u64>| it.start.max(other.start) < it.end.min(other.end);
        self.ranges.iter().any(overlap)
    }

    pub(crate) fn covers(&self, size: u64) -> bool {
        size == 0 || matches!(&self.ranges[..], [all] if *all == (0..size))
    }
}

// === impl Site ===

impl Site {
    /// What comes of a body that was under way counts for nothing.
    pub(crate) fn orphan(&mut self, body: &Body) {
        for (id, running) in &self.transfers {
            for (n, part) in running.order.parts.iter().enumerate() {
                if part.body == *body {
                    self.orphans.insert((*id, n));
                }
            }
        }
    }

    pub(crate) fn is_under_way(&self, body: &Body, range: &Range<u64>) -> bool {
        self.transfers.iter().any(|(id, running)| {
            running.order.parts.iter().enumerate().any(|(n, part)| {
                let is_open = n >= running.part && !self.orphans.contains(&(*id, n));
                let overlaps = part.start.max(range.start) < part.end.min(range.end);
                part.body == *body && is_open && overlaps
            })
        })
    }
}
