//! Whether a run broke an invariant.
//!
//! Each checker reads the history, and what is there in the end, and says what may not be, in words.
//! Names are those of the fault matrix: DUR, LIN, INTEG, EVT, and coverage: a run in which nothing
//! was done proves nothing.

mod durable;
mod events;
mod linear;

use std::fmt;

use harness::Client;
use meridian_eventlog::{EventLog, Topic};

use crate::history::{Call, Op};

/// An invariant that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

/// What is there when all is quiet.
pub(crate) struct End<'a> {
    /// Of each frontend.
    pub(crate) clients: &'a [Client],
    /// Everything that clients have sent.
    pub(crate) images: &'a [harness::Image],
    /// The log in Kafka, if events go there.
    pub(crate) events: Option<(&'a dyn EventLog, &'a Topic)>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Everything that is wrong.
pub(crate) async fn breaches(ops: &[Op], end: &End<'_>) -> Vec<Breach> {
    let mut found = covered(ops);
    found.extend(linear::breaches(ops));
    found.extend(durable::online(ops));
    found.extend(durable::at_the_end(ops, end).await);
    if let Some((log, topic)) = end.events {
        found.extend(events::breaches(ops, log, topic).await);
    }
    found
}

/// What is wrong of the order alone. It shows in any part of a history.
pub(crate) fn out_of_order(ops: &[Op]) -> Vec<Breach> {
    linear::breaches(ops)
}

fn breach(invariant: &'static str) -> impl Fn(String) -> Breach {
    move |what| Breach { invariant, what }
}

/// Whether a call is of a kind.
type Is = fn(&Call) -> bool;

/// Each kind of call has succeeded some times.
pub(crate) fn covered(ops: &[Op]) -> Vec<Breach> {
    const ENOUGH: usize = 10;
    let kinds: [(&str, Is); 5] = [
        ("uploads", |call| matches!(call, Call::Upload(_))),
        ("puts", |call| matches!(call, Call::Put(..))),
        ("deletions", |call| matches!(call, Call::Untag(_))),
        ("reads", |call| matches!(call, Call::Read(_))),
        ("fetches", |call| matches!(call, Call::Fetch(..))),
    ];
    let few = kinds.into_iter().filter_map(|(kind, is)| {
        let count = ops.iter().filter(|op| is(&op.call) && op.succeeded());
        let count = count.count();
        (count < ENOUGH).then(|| format!("only {count} {kind} succeeded"))
    });
    few.map(breach("coverage")).collect()
}
