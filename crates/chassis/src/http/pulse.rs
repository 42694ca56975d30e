//! What a connection is doing, and how long it may go on doing that.
//!
//! Owns the facts that the byte stream and the request handling of one connection report, and the
//! rule that turns them into a deadline. Keeps the invariant that a client's time runs only while
//! we wait for the client: for the rest of a head, for a next request, for room to write. Sans-IO:
//! time is passed in. Leaves to `driver` what happens at a deadline, and to `body` the time of
//! request bodies, of which an HTTP/2 connection has many.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::HttpConfig;
use super::refusal::Refusal;

/// A client that was shown out and still does something gets so many times the time of one that is
/// silent, and no more: whoever dribbles does not stay.
const FAREWELL: u32 = 2;

/// How long each wait may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) head: Duration,
    pub(super) keep_alive: Duration,
    /// `None` for a connection that cannot rest.
    pub(super) rest_after: Option<Duration>,
    pub(super) write_stall: Duration,
    /// For a client to take its leave: to read the last answer, to acknowledge a close.
    pub(super) leave: Duration,
}

/// Why a connection's time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// The head of a request is not complete.
    Head,
    /// There was no request for a while, but one may come.
    Rest,
    /// There was no request.
    Idle,
    /// The client takes nothing of what is written.
    Write,
    /// The client does not go.
    Leave,
}

/// The facts, shared by the parts of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    facts: Mutex<Facts>,
}

#[derive(Debug)]
struct Facts {
    head_since: Option<Instant>,
    head_expired: bool,
    write_since: Option<Instant>,
    idle_since: Instant,
    in_flight: u32,
    /// Pieces of HTTP/2 responses that wait for the client's window.
    untaken: u32,
    taken_at: Instant,
    leaving_since: Option<Instant>,
    shut_since: Option<Instant>,
    /// When it was shut, whatever the client has done since.
    shut_at: Option<Instant>,
    calls: u64,
    refused: Option<(u64, Refusal)>,
}

// === impl Patience ===

impl Patience {
    pub(super) const fn new(config: &HttpConfig) -> Self {
        Self {
            head: config.head_timeout,
            keep_alive: config.keep_alive,
            rest_after: Some(config.rest_after),
            write_stall: config.write_stall_timeout,
            leave: config.leave_timeout,
        }
    }
}

// === impl Pulse ===

impl Pulse {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            facts: Mutex::new(Facts {
                head_since: None,
                head_expired: false,
                write_since: None,
                idle_since: now,
                in_flight: 0,
                untaken: 0,
                taken_at: now,
                leaving_since: None,
                shut_since: None,
                shut_at: None,
                calls: 0,
                refused: None,
            }),
        }
    }

    /// The reader wants bytes and there are none; `in_head` if a head is under way.
    pub(super) fn starved(&self, in_head: bool, now: Instant) {
        let mut facts = self.facts();
        if in_head {
            facts.head_since.get_or_insert(now);
        }
    }

    /// The reader got what it can use.
    pub(super) fn fed(&self) {
        self.facts().head_since = None;
    }

    /// The time of a head is up. What it lacks will not be waited for.
    pub(super) fn expire_head(&self) {
        let mut facts = self.facts();
        facts.head_expired = true;
        facts.head_since = None;
    }

    pub(super) fn head_expired(&self) -> bool {
        self.facts().head_expired
    }

    /// The writer has bytes and there is no room.
    pub(super) fn blocked(&self, now: Instant) {
        self.facts().write_since.get_or_insert(now);
    }

    /// The writer got on.
    pub(super) fn unblocked(&self) {
        self.facts().write_since = None;
    }

    /// A request begins. Returns why it is refused, if it was refused on the wire.
    pub(super) fn begin_exchange(&self) -> Option<Refusal> {
        let mut facts = self.facts();
        let number = facts.calls;
        facts.calls += 1;
        facts.in_flight += 1;
        facts
            .refused
            .and_then(|(refused, why)| (refused == number).then_some(why))
    }

    /// A response is complete, or given up.
    pub(super) fn end_exchange(&self, now: Instant) {
        let mut facts = self.facts();
        facts.in_flight -= 1;
        facts.idle_since = now;
    }

    /// The library took a piece of a response, which it may keep until the client has room.
    pub(super) fn keep(&self) {
        self.facts().untaken += 1;
    }

    /// The client took a piece.
    pub(super) fn taken(&self, now: Instant) {
        let mut facts = self.facts();
        facts.untaken -= 1;
        facts.taken_at = now;
    }

    /// The request after `before` others is refused.
    pub(super) fn refuse(&self, before: u64, why: Refusal) {
        self.facts().refused = Some((before, why));
    }

    /// The connection takes no more requests.
    pub(super) fn leave(&self, now: Instant) {
        self.facts().leaving_since.get_or_insert(now);
    }

    /// Everything is written, and the client is to close as well.
    pub(super) fn shut(&self, now: Instant) {
        let mut facts = self.facts();
        facts.shut_since.get_or_insert(now);
        facts.shut_at.get_or_insert(now);
    }

    /// The client, which is to close, still does something: it reads what was written.
    pub(super) fn still_reads(&self, now: Instant) {
        self.facts().shut_since = Some(now);
    }

    /// When the last exchange ended, or else the connection began.
    pub(super) fn idle_since(&self) -> Instant {
        self.facts().idle_since
    }

    /// Until when the connection may go on as it is.
    pub(super) fn deadline(&self, patience: &Patience) -> Option<(Instant, Expiry)> {
        let facts = self.facts();
        if let Some(since) = facts.shut_since {
            let longest = facts.shut_at.unwrap_or(since) + patience.leave * FAREWELL;
            return Some((longest.min(since + patience.leave), Expiry::Leave));
        }
        if let Some(since) = facts.write_since {
            return Some((since + patience.write_stall, Expiry::Write));
        }
        if let Some(since) = facts.head_since {
            return Some((since + patience.head, Expiry::Head));
        }
        if facts.in_flight > 0 {
            return None;
        }
        if facts.untaken > 0 {
            let since = facts.taken_at.max(facts.idle_since);
            return Some((since + patience.write_stall, Expiry::Write));
        }
        if let Some(since) = facts.leaving_since {
            return Some((since.max(facts.idle_since) + patience.leave, Expiry::Leave));
        }
        Some(match patience.rest_after {
            Some(rest) if rest < patience.keep_alive => (facts.idle_since + rest, Expiry::Rest),
            _ => (facts.idle_since + patience.keep_alive, Expiry::Idle),
        })
    }

    /// No change of the facts can stop half-way, so poison means nothing here.
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        keep_alive: Duration::from_secs(120),
        rest_after: None,
        write_stall: Duration::from_secs(60),
        leave: Duration::from_secs(2),
    };

    struct Case {
        start: Instant,
        pulse: Pulse,
    }

    impl Case {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                start,
                pulse: Pulse::new(start),
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn due(&self) -> Option<(u64, Expiry)> {
            let (at, expiry) = self.pulse.deadline(&PATIENCE)?;
            Some(((at - self.start).as_secs(), expiry))
        }
    }

    #[test]
    fn a_head_has_its_time_from_its_first_byte_however_it_dribbles() {
        let case = Case::new();
        case.pulse.starved(true, case.at(5));
        case.pulse.starved(true, case.at(9));
        assert_eq!(case.due(), Some((15, Expiry::Head)));
        case.pulse.fed();
        case.pulse.starved(true, case.at(20));
        assert_eq!(case.due(), Some((30, Expiry::Head)), "the next head");
    }

    #[test]
    fn idleness_counts_from_the_end_of_the_last_exchange() {
        let case = Case::new();
        assert_eq!(case.due(), Some((120, Expiry::Idle)));
        case.pulse.begin_exchange();
        case.pulse.starved(false, case.at(1));
        assert_eq!(case.due(), None, "the time of a handler is its own");
        case.pulse.end_exchange(case.at(50));
        assert_eq!(case.due(), Some((170, Expiry::Idle)));
    }

    #[test]
    fn a_connection_that_can_rest_rests_before_it_is_idle() {
        let case = Case::new();
        let patience = Patience {
            rest_after: Some(Duration::from_secs(1)),
            ..PATIENCE
        };
        let due = case.pulse.deadline(&patience);
        assert_eq!(due, Some((case.at(1), Expiry::Rest)));
        case.pulse.starved(true, case.at(0));
        let due = case.pulse.deadline(&patience);
        assert_eq!(due, Some((case.at(10), Expiry::Head)), "not amid a head");
    }

    #[test]
    fn a_writer_without_room_waits_from_its_last_progress() {
        let case = Case::new();
        case.pulse.begin_exchange();
        case.pulse.blocked(case.at(1));
        case.pulse.blocked(case.at(30));
        assert_eq!(case.due(), Some((61, Expiry::Write)));
        case.pulse.unblocked();
        assert_eq!(case.due(), None);
        case.pulse.blocked(case.at(40));
        assert_eq!(case.due(), Some((100, Expiry::Write)));
    }

    #[test]
    fn a_client_that_was_shown_out_goes_soon_but_not_before_its_answer() {
        let case = Case::new();
        case.pulse.begin_exchange();
        case.pulse.leave(case.at(1));
        assert_eq!(case.due(), None);
        case.pulse.end_exchange(case.at(7));
        assert_eq!(case.due(), Some((9, Expiry::Leave)));
        case.pulse.blocked(case.at(8));
        assert_eq!(case.due(), Some((68, Expiry::Write)), "it still reads");
        case.pulse.shut(case.at(10));
        assert_eq!(case.due(), Some((12, Expiry::Leave)));
    }

    #[test]
    fn an_answer_that_waits_for_a_window_is_waited_for_as_long_as_the_client_takes_of_it() {
        let case = Case::new();
        case.pulse.begin_exchange();
        case.pulse.leave(case.at(1));
        case.pulse.keep();
        case.pulse.keep();
        case.pulse.end_exchange(case.at(5));
        assert_eq!(case.due(), Some((65, Expiry::Write)));
        case.pulse.taken(case.at(50));
        assert_eq!(case.due(), Some((110, Expiry::Write)));
        case.pulse.taken(case.at(51));
        assert_eq!(case.due(), Some((7, Expiry::Leave)));
    }

    #[test]
    fn a_client_that_dribbles_after_the_end_does_not_stay() {
        let case = Case::new();
        case.pulse.shut(case.at(10));
        case.pulse.still_reads(case.at(11));
        assert_eq!(case.due(), Some((13, Expiry::Leave)));
        case.pulse.still_reads(case.at(13));
        assert_eq!(case.due(), Some((14, Expiry::Leave)));
    }

    #[test]
    fn only_the_refused_request_is_refused() {
        let case = Case::new();
        case.pulse.refuse(1, Refusal::SlowHead);
        assert_eq!(case.pulse.begin_exchange(), None);
        assert_eq!(case.pulse.begin_exchange(), Some(Refusal::SlowHead));
    }
}
