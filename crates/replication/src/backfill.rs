//! Finding again what the state is missing.
//!
//! The table of wants lies in memory and has a bound; the state knows what it is missing whatever
//! becomes of an agent. So it is searched from end to end: once when the agent starts, again soon if
//! something did not fit into the table, and now and then to be sure.

use std::time::Duration;

use meridian_oci::Digest;

use crate::fetch::{Body, Fetch, Want};
use crate::guard::{Guard, stands};
use crate::{Action, BackfillConfig, Now};

/// A page of what the state is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What is missing, in the order of the bodies; of several agents' work, this one's.
    pub found: Vec<Want>,
    /// How far it was read. `None` at the end.
    pub through: Option<Body>,
}

#[derive(Debug)]
pub(crate) struct Backfill {
    config: BackfillConfig,
    after: Option<Body>,
    is_busy: bool,
    not_before: Duration,
    /// Something did not fit since the search began.
    has_overflowed: bool,
}

// === impl Backfill ===

impl Backfill {
    pub(crate) const fn new(config: BackfillConfig) -> Self {
        Self {
            config,
            after: None,
            is_busy: false,
            not_before: Duration::ZERO,
            has_overflowed: false,
        }
    }

    /// Something did not fit into the table of wants.
    pub(crate) fn overflow(&mut self, now: Now) {
        self.has_overflowed = true;
        if self.after.is_none() && !self.is_busy {
            self.not_before = self.not_before.min(now.elapsed + self.config.soon);
        }
    }

    pub(crate) fn poll(&mut self, now: Now, fetch: &Fetch) -> Option<Action> {
        let may = !self.is_busy && now.elapsed >= self.not_before;
        if !may || !self.has_room(fetch) || !stands(Guard::StateIsSearched) {
            return None;
        }
        self.is_busy = true;
        Some(Action::Scan {
            after: self.after,
            limit: self.config.page,
        })
    }

    /// A page is only read if a registry may want all of it.
    fn has_room(&self, fetch: &Fetch) -> bool {
        fetch.room() >= self.config.page.min(fetch.capacity() / 4)
    }

    pub(crate) fn wake(&self, fetch: &Fetch) -> Option<Duration> {
        let waits = !self.is_busy && self.has_room(fetch) && stands(Guard::StateIsSearched);
        waits.then_some(self.not_before)
    }

    /// Learns a page of what is missing, unless the state did not answer.
    pub(crate) fn scanned(&mut self, now: Now, page: Option<&Page>, fetch: &mut Fetch) {
        self.is_busy = false;
        let Some(page) = page else {
            self.not_before = now.elapsed + self.config.soon;
            return;
        };
        for want in &page.found {
            if fetch.entry(&want.body).is_none() && !fetch.admits(want.body.registry) {
                // One that wants more than fits must not keep others from being found.
                self.has_overflowed = true;
                self.after = Some(end_of(want.body));
                return;
            }
            fetch.want_found(want);
        }
        if page.through.is_none() {
            self.begin_again(now);
        } else {
            self.after = page.through;
        }
    }

    fn begin_again(&mut self, now: Now) {
        let wait = if self.has_overflowed {
            self.config.soon
        } else {
            self.config.every
        };
        self.after = None;
        self.has_overflowed = false;
        self.not_before = now.elapsed + wait;
    }
}

/// Beyond all bodies of a registry.
const fn end_of(body: Body) -> Body {
    Body {
        registry: body.registry,
        digest: Digest::Sha512([u8::MAX; 64]),
    }
}
