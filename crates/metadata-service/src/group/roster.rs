//! Which agents work for the region, and which dispatchers.
//!
//! Owns what they say of themselves, in the memory of whoever leads: it is of use for seconds, and no member
//! needs to know it after the next start. Keeps the invariant that whoever says nothing for a while is forgotten, and that
//! a leader that knows nobody yet says so. Leaves to the agents what they make of it: they share their work by
//! it, and nothing is wrong if two do the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use meridian_clients::ReadError;
use meridian_clients::replica::{AgentId, Attendance};
use tokio::time::Instant;

use super::{Group, unavailable};
use crate::raft::peer::Call;

/// How many agents are remembered. One that does not fit counts itself, and does some work twice.
const MOST: usize = 256;

/// What is shared among those who work for the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// That of agents.
    Replication,
    /// That of dispatchers.
    Webhooks,
}

/// The agents that said that they work.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When each of them said so last.
    agents: BTreeMap<u64, Instant>,
    /// Since when there is no time at which nobody did.
    since: Option<Instant>,
}

// === impl Roster ===

impl Roster {
    /// An agent says so now.
    fn attend(&self, agent: AgentId, now: Instant) -> Attendance {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lately = |said: Instant| now.saturating_duration_since(said) < Attendance::ABSENT;
        known.agents.retain(|_, said| is_lately(*said));
        if known.agents.is_empty() {
            known.since = Some(now);
        }
        if known.agents.len() < MOST || known.agents.contains_key(&agent.0) {
            known.agents.insert(agent.0, now);
        }
        Attendance {
            agents: known.agents.keys().copied().map(AgentId).collect(),
            is_settled: known.since.is_some_and(|since| !is_lately(since)),
        }
    }
}

// === impl Group ===

impl Group {
    /// Notes at whoever leads that an agent works, and says which do.
    pub(crate) async fn attend(&self, work: Work, agent: AgentId) -> Result<Attendance, ReadError> {
        if self.is_leader() {
            return Ok(told(self.attend_here(work, agent.0)));
        }
        let leader = self.leader().filter(|leader| *leader != self.me());
        let leader = leader.ok_or_else(|| unavailable("no leader is known"))?;
        self.hears_leader()?;
        let asked = async {
            let peer = self.members.peer(&self.raft, leader)?;
            let call = match work {
                Work::Replication => Call::Attend,
                Work::Webhooks => Call::AttendDispatch,
            };
            peer.ask(call, &agent.0, self.deadline).await
        };
        let answer: Result<(Vec<u64>, bool), _> = asked.await;
        answer
            .map(told)
            .map_err(|error| unavailable(meridian_error::chain(&error)))
    }

    /// The same at this member, which leads.
    pub(crate) fn attend_here(&self, work: Work, agent: u64) -> (Vec<u64>, bool) {
        let roster = match work {
            Work::Replication => &self.agents,
            Work::Webhooks => &self.dispatchers,
        };
        let attendance = roster.attend(AgentId(agent), Instant::now());
        let agents = attendance.agents.iter().map(|agent| agent.0);
        (agents.collect(), attendance.is_settled)
    }
}

/// What members tell each other, in the words of the contract.
fn told((agents, is_settled): (Vec<u64>, bool)) -> Attendance {
    Attendance {
        agents: agents.into_iter().map(AgentId).collect(),
        is_settled,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn names(attendance: &Attendance) -> Vec<u64> {
        attendance.agents.iter().map(|agent| agent.0).collect()
    }

    #[test]
    fn who_says_nothing_for_a_while_works_no_more() {
        let (roster, begin) = (Roster::default(), Instant::now());
        roster.attend(AgentId(7), begin);
        let both = roster.attend(AgentId(3), begin + SECOND);
        assert_eq!(names(&both), [3, 7]);
        let end = begin + Attendance::ABSENT;
        assert_eq!(names(&roster.attend(AgentId(3), end - SECOND)), [3, 7]);
        assert_eq!(names(&roster.attend(AgentId(3), end)), [3]);
    }

    #[test]
    fn who_begins_to_keep_it_says_that_it_may_not_know_all() {
        let (roster, begin) = (Roster::default(), Instant::now());
        let mut now = begin;
        while now < begin + Attendance::ABSENT {
            assert!(!roster.attend(AgentId(1), now).is_settled);
            now += SECOND;
        }
        assert!(roster.attend(AgentId(1), now).is_settled);
        // Another one led meanwhile.
        now += 10 * Attendance::ABSENT;
        assert!(!roster.attend(AgentId(1), now).is_settled);
    }

    #[test]
    fn no_more_are_remembered_than_fit() {
        let (roster, now) = (Roster::default(), Instant::now());
        for agent in 0..2 * MOST as u64 {
            roster.attend(AgentId(agent), now);
        }
        let told = roster.attend(AgentId(0), now);
        assert_eq!(told.agents.len(), MOST);
    }
}
