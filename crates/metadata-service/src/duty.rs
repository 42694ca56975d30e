//! Whether a member that leads may, and should.
//!
//! Owns three judgements, of which the leader makes one after another every moment: whether its clock is
//! that of a majority of the voters, whether the newest version is too far ahead of that clock (both
//! design §6.5), and whether its disk is full while another's is not. Keeps the invariant that a leader
//! stamps nothing before its clock was found good since it leads, once it was found wrong, or was set since.
//! For each of the three there may be a better leader: then it hands over. Leaves how that is done to the
//! group.

use std::sync::Arc;
use std::time::Duration;

use meridian_catalog::query;
use meridian_clock::Clock;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::group::Group;
use crate::raft::peer::Call;

/// Between two times that a member gives the lead away: whoever gets it may know no better.
const BETWEEN: Duration = Duration::from_secs(30);
/// Between two judgements.
const PAUSE: Duration = Duration::from_secs(1);
/// How long another member may take to say where it stands.
const ASK: Duration = Duration::from_secs(1);
/// How far the clocks of two members may be apart, in milliseconds (design §6.5).
const APART: u64 = 10_000;
/// How far versions may be ahead of the clock of whoever stamps the next one (design §6.5).
const AHEAD: u64 = 60_000;

/// Where a member stands, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Its clock, in milliseconds.
    pub(crate) millis: u64,
    /// Whether its disk has room to grow.
    pub(crate) has_room: bool,
}

/// Whether the leader may stamp versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stamping {
    /// Nobody has looked since it leads.
    Unknown,
    /// It may, while its clock goes on from there as time does.
    Allowed(Reading),
    /// It may not, for this reason.
    Refused(String),
}

/// What the leader's clock showed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    millis: u64,
    at: Instant,
}

/// What the leader knows of another voter.
#[derive(Debug, Clone, Copy)]
struct Known {
    node: u64,
    standing: Standing,
    /// How far its clock is ahead of ours, in milliseconds; given how long it took to answer, as little as
    /// may be.
    ahead: i64,
}

// === impl Reading ===

impl Reading {
    pub(crate) fn of(clock: &dyn Clock) -> Self {
        Self {
            millis: clock.now_millis(),
            at: Instant::now(),
        }
    }

    /// What the clock shows, unless it was set since this reading.
    pub(crate) fn next(&self, clock: &dyn Clock) -> Option<u64> {
        let now = Self::of(clock);
        let expected = self.millis.saturating_add(millis(now.at - self.at));
        (now.millis.abs_diff(expected) <= APART).then_some(now.millis)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What is the matter with the leader's clock, which shows that; `None` if nobody can tell.
fn clock(reading: Reading, voters: usize, known: &[Known]) -> Option<Stamping> {
    let (agree, differ): (Vec<&Known>, Vec<_>) = known.iter().partition(|it| is_near(it.ahead, 0));
    // The leader agrees with itself.
    if (agree.len() + 1) * 2 > voters {
        return Some(Stamping::Allowed(reading));
    }
    if differ.len() * 2 < voters {
        return None;
    }
    let apart = differ.iter().map(|it| it.ahead.unsigned_abs()).min();
    Some(Stamping::Refused(format!(
        "the clock of the leader is {} s or more from those of {} of {voters} members; set the clocks \
         of the members' machines by NTP",
        apart.unwrap_or_default() / 1_000,
        differ.len(),
    )))
}

/// Who might stamp, if it led: its clock is that of a majority, and not behind the newest version.
fn fit(voters: usize, known: &[Known], last: u64) -> impl Iterator<Item = &Known> {
    known.iter().filter(move |it| {
        // The others, itself, and us.
        let others = known.iter().filter(|other| is_near(other.ahead, it.ahead));
        let agree = others.count() + usize::from(is_near(0, it.ahead));
        agree * 2 > voters && ahead(last, it.standing.millis).is_none()
    })
}

fn is_near(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= APART
}

/// Whether versions are too far ahead of a clock.
fn ahead(last: u64, now: u64) -> Option<Stamping> {
    let ahead = last.saturating_sub(now);
    (ahead > AHEAD).then(|| {
        Stamping::Refused(format!(
            "the newest version is {} s ahead of the clock of the leader; set the clock of its machine \
             by NTP, or wait until it has caught up",
            ahead / 1_000
        ))
    })
}

/// How far a clock is ahead of ours at least, which was read within a span of ours.
fn at_least_ahead(theirs: u64, sent: u64, received: u64) -> i64 {
    let nearest = theirs.clamp(sent, received);
    i64::try_from(i128::from(theirs) - i128::from(nearest)).unwrap_or(i64::MAX)
}

/// Judges, as long as this member leads, until it is stopped.
pub(crate) async fn run(group: &Arc<Group>, stop: CancellationToken) {
    let mut given = None;
    loop {
        let leads = async {
            group.until(true).await;
            let mut ticks = interval(PAUSE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while group.is_leader() {
                ticks.tick().await;
                judge(group, &mut given).await;
            }
            group.stamp(Stamping::Unknown);
        };
        if stop.run_until_cancelled(leads).await.is_none() {
            return;
        }
    }
}

async fn judge(group: &Arc<Group>, given: &mut Option<Instant>) {
    let Look {
        last,
        voters,
        known,
        judged,
    } = look(group).await;
    let is_refused = match judged {
        Some(Stamping::Refused(why)) => {
            if group.stamp(Stamping::Refused(why.clone())) {
                tracing::error!(why, "this member leads and takes no writes");
            }
            true
        }
        _ => false,
    };
    if !is_refused && group.standing().has_room {
        return;
    }
    // Who may stamp; and has the room that this member lacks, if that is all.
    let fit = fit(voters, &known, last).filter(|it| is_refused || it.standing.has_room);
    let heirs: Vec<u64> = fit.map(|it| it.node).collect();
    let was_lately = given.is_some_and(|given| given.elapsed() < BETWEEN);
    if heirs.is_empty() || was_lately || !group.is_leader() {
        return;
    }
    *given = Some(Instant::now());
    tracing::warn!("this member leads and another one is fitter: it is to lead");
    group.hand_over_to(&heirs).await;
}

/// What a leader found.
struct Look {
    /// The newest version.
    last: u64,
    voters: usize,
    known: Vec<Known>,
    judged: Option<Stamping>,
}

/// What the other voters say, and what that means. A leader may stamp as soon as enough have answered:
/// one that does not answer holds nobody up.
async fn look(group: &Arc<Group>) -> Look {
    let last = query::system(&group.view()).ok().flatten();
    let last = last.map_or(0, |system| system.last.millis);
    let reading = Reading::of(group.clock());
    let (voters, mut asked) = ask(group);
    let mut known = Vec::new();
    loop {
        let judged = ahead(last, reading.millis).or_else(|| clock(reading, voters, &known));
        if let Some(allowed @ Stamping::Allowed(_)) = &judged {
            group.stamp(allowed.clone());
        }
        match asked.join_next().await {
            Some(answer) => known.extend(answer.ok().flatten()),
            None => {
                return Look {
                    last,
                    voters,
                    known,
                    judged,
                };
            }
        }
    }
}

/// How many voters there are, and where the others stand.
fn ask(group: &Arc<Group>) -> (usize, JoinSet<Option<Known>>) {
    let membership = crate::members::membership(group.raft());
    let voters: Vec<u64> = membership.voter_ids().collect();
    let mut asked = JoinSet::new();
    for node in voters.iter().copied().filter(|node| *node != group.me()) {
        let group = Arc::clone(group);
        asked.spawn(async move {
            let peer = group.members().peer(group.raft(), node).ok()?;
            let (sent, began) = (group.now(), Instant::now());
            let standing = timeout(ASK, peer.ask(Call::Standing, &(), ASK))
                .await
                .ok()?;
            let standing: Standing = standing.ok()?;
            // Our clock may have been set meanwhile; the time that has passed has not.
            let received = sent.saturating_add(millis(began.elapsed()));
            Some(Known {
                node,
                standing,
                ahead: at_least_ahead(standing.millis, sent, received),
            })
        });
    }
    (voters.len(), asked)
}

#[cfg(test)]
mod tests {
    use meridian_clock::ManualClock;

    use super::*;

    const FAR: i64 = 99_000;
    const NEAR: i64 = APART as i64;

    /// Members 2, 3, … whose clocks are ahead of ours, which shows 1 000 000.
    fn known(ahead: &[i64]) -> Vec<Known> {
        let others = ahead.iter().zip(2..);
        others
            .map(|(ahead, node)| Known {
                node,
                standing: Standing {
                    millis: 1_000_000_u64.saturating_add_signed(*ahead),
                    has_room: true,
                },
                ahead: *ahead,
            })
            .collect()
    }

    fn reading(millis: u64) -> Reading {
        thread_local!(static AT: Instant = Instant::now());
        Reading {
            millis,
            at: AT.with(|at| *at),
        }
    }

    #[test]
    fn a_clock_that_was_set_since_it_was_compared_is_seen() {
        let clock = ManualClock::at(1_000_000);
        let reading = Reading::of(&clock);
        assert_eq!(reading.next(&clock), Some(1_000_000));
        clock.set(1_000_000 + APART - 1_000);
        assert_eq!(reading.next(&clock), Some(1_000_000 + APART - 1_000));
        for set in [1_000_000 + APART + 60_000, 1_000_000 - APART - 1] {
            clock.set(set);
            assert_eq!(reading.next(&clock), None, "{set}");
        }
    }

    #[test]
    fn a_leader_stamps_while_a_majority_has_its_time() {
        for (voters, others, expected) in [
            (1, &[][..], Some(true)),
            (3, &[0, 0], Some(true)),
            (3, &[-NEAR, 1_000_000], Some(true)),
            (3, &[0], Some(true)),
            // It cannot commit either, and cannot know.
            (3, &[], None),
            (3, &[NEAR + 1], None),
            (3, &[NEAR + 1, -NEAR - 1], Some(false)),
            (5, &[0, 0, FAR, FAR], Some(true)),
            (5, &[0, FAR, FAR, FAR], Some(false)),
            (5, &[0, FAR, FAR], None),
            (4, &[0, FAR, FAR], Some(false)),
            (2, &[FAR], Some(false)),
        ] {
            let judged = clock(reading(0), voters, &known(others));
            let allowed = judged.map(|judged| judged == Stamping::Allowed(reading(0)));
            assert_eq!(allowed, expected, "{voters} {others:?}");
        }
    }

    #[test]
    fn only_who_may_stamp_is_to_lead() {
        for (voters, others, last, expected) in [
            (3, &[FAR, FAR][..], 0, &[2, 3][..]),
            // All differ: nobody knows better.
            (3, &[FAR, 2 * FAR], 0, &[]),
            // The one that has room, but not the time.
            (3, &[0, FAR], 0, &[2]),
            // Versions are ahead of all clocks.
            (3, &[0, 0], 1_000_000 + 2 * AHEAD, &[]),
            // Behind two of them, which agree.
            (3, &[FAR, FAR], 1_000_000 + AHEAD + 50_000, &[2, 3]),
            (5, &[0, FAR], 0, &[]),
            (3, &[], 0, &[]),
        ] {
            let known = known(others);
            let found: Vec<u64> = fit(voters, &known, last).map(|it| it.node).collect();
            assert_eq!(found, expected, "{voters} {others:?} {last}");
        }
    }

    #[test]
    fn who_is_refused_hears_by_how_much_and_what_to_do() {
        let Some(Stamping::Refused(why)) = clock(reading(0), 3, &known(&[12_345, 99_000])) else {
            panic!("both differ");
        };
        assert!(
            why.contains("12 s") && why.contains("2 of 3") && why.contains("NTP"),
            "{why}"
        );
        let Some(Stamping::Refused(why)) = ahead(100_000, 39_999) else {
            panic!("it is more than 60 s ahead");
        };
        assert!(why.contains("60 s ahead"), "{why}");
        assert_eq!(ahead(100_000, 40_000), None);
        assert_eq!(ahead(0, 40_000), None);
    }

    #[test]
    fn an_answer_that_took_long_is_given_the_benefit_of_the_doubt() {
        assert_eq!(at_least_ahead(1_500, 1_000, 2_000), 0);
        assert_eq!(at_least_ahead(900, 1_000, 2_000), -100);
        assert_eq!(at_least_ahead(2_100, 1_000, 2_000), 100);
    }
}
