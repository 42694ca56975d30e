//! Who leads, and whether this member may while it does.
//!
//! Owns the way to the lead and from it: alone at once, and over to another member, which is the one that has
//! most of the log. Keeps the invariant that time which was not found good is not taken for a version's. Leaves
//! the judgement to `duty`, and elections to Raft.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use meridian_clock::Clock;
use openraft::type_config::async_runtime::watch::WatchReceiver as _;
use openraft::{BasicNode, ServerState};

use super::Group;
use crate::duty::{Stamping, Standing};
use crate::identity;

/// What a leader waits for before it takes writes.
pub(super) const UNVERIFIED: &str = "the event log could not be read since this process started";
pub(super) const UNCOMPARED: &str = "the clocks of the other members are not known";

/// How long a leader waits for another member to take its place.
const HAND_OVER: Duration = Duration::from_secs(3);

impl Group {
    /// Makes this member the whole group, if it is new, and leads it.
    pub(crate) async fn lead_alone(&self) -> io::Result<()> {
        if self.is_initialized().await? {
            let membership = crate::members::membership(&self.raft);
            if membership.voter_ids().any(|voter| voter != self.me()) {
                return Err(io::Error::other(
                    "this member belongs to a group of several; set metadata.group.advertise to \
                     where the others reach it",
                ));
            }
            // Nobody else can lead, so there is no reason to wait for an election time-out.
            let election = self.raft.trigger().elect(false).await;
            election.map_err(io::Error::other)?;
        } else {
            let cluster = self.claim().cluster();
            let cluster = cluster.unwrap_or_else(identity::draw_cluster);
            self.claim().adopt(&cluster).map_err(io::Error::other)?;
            let me = BTreeMap::from([(self.me(), BasicNode::new(""))]);
            self.raft.initialize(me).await.map_err(io::Error::other)?;
            fail::fail_point!("meta.member.after_append");
        }
        self.raft
            .wait(Some(self.deadline))
            .state(ServerState::Leader, "the only member leads")
            .await
            .map_err(io::Error::other)?;
        Ok(())
    }

    /// Who leads, as far as this member knows.
    pub(crate) fn leader(&self) -> Option<u64> {
        self.raft.server_metrics().borrow_watched().current_leader
    }

    /// Whether this member leads, as [`Group::until`] sees it. `Raft::is_leader` sees another channel,
    /// which is told a moment later: whoever is woken by the one and asks the other sleeps on as long as
    /// that member leads, and nobody does the leader's work.
    pub(crate) fn is_leader(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let state = metrics.borrow_watched().state;
        state.is_leader()
    }

    /// Returns when this member leads, or does not, as `leads` says.
    pub(crate) async fn until(&self, leads: bool) {
        let mut metrics = self.raft.server_metrics();
        while metrics.borrow_watched().state.is_leader() != leads {
            if metrics.changed().await.is_err() {
                // Raft has stopped, which `failed` reports.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Has another member lead, if this one does.
    pub(crate) async fn hand_over(&self) {
        self.hand_over_among(|_| true).await;
    }

    /// Has one of these members lead, if this one does.
    pub(crate) async fn hand_over_to(&self, heirs: &[u64]) {
        self.hand_over_among(|node| heirs.contains(&node)).await;
    }

    /// Has that member lead, of those that may, which has most of the log.
    async fn hand_over_among(&self, may: impl Fn(u64) -> bool) {
        if !self.is_leader() {
            return;
        }
        let heir = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let voters: Vec<u64> = metrics.membership_config.voter_ids().collect();
            let replication = metrics.replication.as_ref();
            let matched = replication.into_iter().flatten();
            matched
                .filter(|(node, _)| **node != self.me() && voters.contains(node) && may(**node))
                .max_by_key(|(_, matched)| **matched)
                .map(|(node, _)| *node)
        };
        let Some(heir) = heir else {
            return;
        };
        if let Err(error) = self.lead_from(heir).await {
            tracing::warn!(error, "no other member took the lead");
        }
    }

    /// Has `heir` lead in place of this member.
    pub(crate) async fn lead_from(&self, heir: u64) -> Result<(), String> {
        let asked = self.raft.trigger().transfer_leader(heir).await;
        asked.map_err(|error| error.to_string())?;
        let me = self.me();
        let another = |leader: Option<u64>| leader.is_some_and(|leader| leader != me);
        let gone = self
            .raft
            .wait(Some(HAND_OVER))
            .metrics(
                |metrics| another(metrics.current_leader),
                "another member leads",
            )
            .await;
        gone.map(drop).map_err(|error| error.to_string())
    }

    /// Where this member stands, for the one that leads.
    pub(crate) fn standing(&self) -> Standing {
        self.door.look(0);
        Standing {
            millis: self.now(),
            has_room: self.door.has_room(),
        }
    }

    /// The wall clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What the wall clock shows, if that was found to be good, and it was not set since.
    pub(super) fn good_time(&self) -> Option<u64> {
        match &*self.stamping.borrow() {
            Stamping::Allowed(reading) => reading.next(&*self.clock),
            Stamping::Unknown | Stamping::Refused(_) => None,
        }
    }

    /// Why this member takes no writes, if it leads and does not take any.
    pub(crate) fn hindrance(&self) -> Option<String> {
        if !self.is_leader() {
            return None;
        }
        if !self.is_verified() {
            return Some(UNVERIFIED.to_owned());
        }
        match &*self.stamping.borrow() {
            Stamping::Allowed(reading) if reading.next(&*self.clock).is_some() => None,
            Stamping::Allowed(_) | Stamping::Unknown => Some(UNCOMPARED.to_owned()),
            Stamping::Refused(why) => Some(why.clone()),
        }
    }

    /// Whether this member leads and its clock was found wrong.
    pub(crate) fn refuses_to_stamp(&self) -> bool {
        matches!(*self.stamping.borrow(), Stamping::Refused(_))
    }

    /// From now on, this member may stamp, or may not. Returns whether that is news.
    pub(crate) fn stamp(&self, stamping: Stamping) -> bool {
        self.stamping.send_if_modified(|now| {
            let changes = *now != stamping;
            *now = stamping;
            changes
        })
    }
}
