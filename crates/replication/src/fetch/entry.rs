//! A row of the table of wants.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use meridian_clock::Region;
use meridian_oci::RepositoryName;

use super::spans::Spans;
use super::turns::Place;
use super::{Body, Class, Kind, Landing, Want};
use crate::Now;
use crate::backoff::Backoff;

/// A body that is wanted.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(super) repository: RepositoryName,
    /// Its age: the smaller, the older.
    pub(crate) order: u64,
    pub(super) class: Class,
    /// A search has found it.
    pub(crate) is_found: bool,
    /// How many clients wait for it.
    pub(super) demands: u32,
    /// How many events name it that are not merged.
    pub(super) unmerged: u32,
    /// It arrived at its origin a moment ago, and a manifest is expected to name it until then.
    pub(super) expected_until: Option<Duration>,
    /// A manifest that names it, whose event is merged: before that manifest is here, the state does not know what
    /// it needs.
    pub(super) awaits: Option<Body>,
    holders: Vec<(Region, Standing)>,
    /// What is neither here nor under way.
    pub(super) spans: Spans,
    pub(crate) received: u64,
    /// How many ranges of it are under way.
    pub(super) active: usize,
    /// From whom what is here came.
    pub(super) sources: Vec<Region>,
    /// Some of it was here before, nobody knows from whom.
    pub(super) is_resumed: bool,
    /// All of it is to come from one peer, so that it is known who lies.
    pub(super) solo: bool,
    pub(super) state: State,
    pub(super) timer: Option<Duration>,
    pub(super) backoff: Backoff,
    /// Memory that is set aside for it, in bytes.
    pub(super) reserved: u64,
    /// Who failed to send it last.
    pub(super) avoid: Option<Region>,
    /// What went wrong last.
    pub(crate) trouble: Option<Trouble>,
}

/// What is known of a peer and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has it.
    Says,
    /// It is being asked.
    Asked,
    /// It has it not.
    Gone,
    /// What it sent was something else.
    Lied,
}

/// Where a body is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The state is to be asked.
    New,
    /// The state is being asked.
    Checking,
    /// There is no room for it before its event is merged.
    Unstaged,
    /// It is in a peer's line.
    Queued(Region),
    /// As much of it is under way as may be.
    Busy,
    /// No peer that could be asked is known to have it.
    Searching,
    /// It is tried again later.
    Resting,
    /// It is complete, and being verified and put away.
    Landing(Landing),
    /// It lies in memory.
    Staged,
}

/// What went wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A transfer broke off.
    BrokeOff(Region),
    /// What a peer sent was not what the digest says.
    Corrupt(Region),
    /// No peer has it.
    Missing,
    /// Those who may have it do not answer.
    Unreachable,
    /// It could not be put away here.
    NotStored,
    /// There was no room for it while it came.
    NoRoom,
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(want: &Want, class: Class, order: u64) -> Self {
        Self {
            kind: want.kind,
            size: want.size,
            repository: want.repository.clone(),
            order,
            class,
            is_found: false,
            demands: 0,
            unmerged: 0,
            expected_until: None,
            awaits: None,
            holders: Vec::new(),
            spans: Spans::whole(want.size),
            received: 0,
            active: 0,
            sources: Vec::new(),
            is_resumed: false,
            solo: false,
            state: State::New,
            timer: None,
            backoff: Backoff::default(),
            reserved: 0,
            avoid: None,
            trouble: None,
        }
    }

    /// What is wanted, again.
    pub(crate) fn want(&self, body: Body) -> Want {
        Want {
            body,
            kind: self.kind,
            size: self.size,
            repository: self.repository.clone(),
            holders: self.holders().collect(),
        }
    }

    /// Learns how long it is, if nobody knew when it was wanted first.
    pub(super) fn measure(&mut self, size: u64) {
        if self.size == 0 && size > 0 {
            self.size = size;
            self.spans = Spans::whole(size);
        }
    }

    /// Whether it is kept although the state does not want it.
    pub(super) fn is_expected(&self, now: Now) -> bool {
        let is_awaited = self.expected_until.is_some_and(|end| now.elapsed < end);
        self.unmerged > 0 || is_awaited
    }

    /// The same, because a manifest names it that is on its way.
    pub(super) fn is_named(&self, others: &BTreeMap<Body, Self>) -> bool {
        let manifest = self.awaits.as_ref();
        manifest.is_some_and(|manifest| others.contains_key(manifest))
    }

    pub(super) const fn place(&self, body: Body) -> Place {
        (self.kind, self.order, body)
    }

    pub(super) fn standing(&self, peer: Region) -> Option<Standing> {
        let found = self.holders.iter().find(|(region, _)| *region == peer);
        found.map(|(_, standing)| *standing)
    }

    pub(super) fn set_standing(&mut self, peer: Region, standing: Standing) {
        match self.holders.iter_mut().find(|(region, _)| *region == peer) {
            Some((_, former)) => *former = standing,
            None => self.holders.push((peer, standing)),
        }
    }

    /// A peer has it, for all that it knows; who lied has to be asked again first.
    pub(super) fn holder_says(&mut self, peer: Region) {
        if self.standing(peer) != Some(Standing::Lied) {
            self.set_standing(peer, Standing::Says);
        }
    }

    /// An event says that a peer has it: news only if nothing was known.
    pub(super) fn holder_named(&mut self, peer: Region) {
        if self.standing(peer).is_none() {
            self.set_standing(peer, Standing::Says);
        }
    }

    pub(super) fn forget_holder(&mut self, peer: Region) {
        self.holders.retain(|(region, _)| *region != peer);
    }

    /// Whoever had it not, or sent something else, may have it by now.
    pub(super) fn forget_refusals(&mut self) {
        self.holders
            .retain(|(_, standing)| *standing == Standing::Says);
    }

    /// Those that have it, the nearest first.
    pub(super) fn holders(&self) -> impl Iterator<Item = Region> {
        let says =
            |(peer, standing): &(Region, Standing)| (*standing == Standing::Says).then_some(*peer);
        self.holders.iter().filter_map(says)
    }

    /// The region whose event named it first, as far as it is known.
    pub(crate) fn first_holder(&self) -> Option<Region> {
        self.holders.first().map(|(peer, _)| *peer)
    }

    /// Throws away what is here.
    pub(super) fn restart(&mut self) {
        self.spans = Spans::whole(self.size);
        self.received = 0;
        self.sources.clear();
        self.is_resumed = false;
    }

    /// Learns which parts are here from before it was wanted; later it knows better itself.
    pub(super) fn resume(&mut self, parts: &[Range<u64>]) {
        if self.received == 0 && self.active == 0 {
            self.received = parts.iter().map(|part| self.spans.remove(part)).sum();
            self.is_resumed = self.received > 0;
        }
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.active == 0 && self.spans.is_empty()
    }

    /// Whether it goes along with others in one transfer.
    pub(super) fn is_small(&self, limit: u64) -> bool {
        self.size <= limit && self.received == 0 && self.active == 0
    }
}
