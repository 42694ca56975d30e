//! Whether a run broke an invariant.
//!
//! Each checker reads the history, and what is there in the end, and says what may not be, in words.
//! Names are those of the fault matrix: DUR, LIN, INTEG, EVT, between regions CONV and CLOS, and coverage:
//! a run in which nothing was done proves nothing.

mod closed;
mod converged;
mod durable;
mod events;
mod linear;

use std::fmt;

use harness::Client;
use meridian_eventlog::{EventLog, Topic};

use crate::history::{Call, Op};

/// How the names of tags begin that all regions write.
pub(crate) const SHARED: &str = "shared-";

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

/// Everything that is wrong with regions that replicate each other. `ends` has what is there in each
/// region that is left, by its number; the images are those of all.
///
/// Tags whose names say that regions share them are registers of no region: they only have to agree in
/// the end. All others are written and read in one region.
pub(crate) async fn breaches_between(ops: &[Op], ends: &[(usize, End<'_>)]) -> Vec<Breach> {
    let is_shared = |op: &&Op| op.call.name().is_some_and(|it| it.tag.starts_with(SHARED));
    let (_, own): (Vec<_>, Vec<_>) = ops.iter().partition(is_shared);
    let own: Vec<_> = own.into_iter().cloned().collect();
    let mut found = linear::breaches(&own);
    found.extend(durable::online(ops));
    let clients: Vec<_> = { ends.iter() }
        .flat_map(|(_, end)| end.clients.iter().cloned())
        .collect();
    found.extend(converged::breaches(ops, &clients).await);
    for (region, end) in ends {
        let here = ops.iter().filter(|op| op.region() == *region);
        let here: Vec<_> = here.cloned().collect();
        found.extend(covered(&here));
        found.extend(closed::breaches(&here, end.images));
        found.extend(durable::at_the_end(ops, end).await);
        // What was put elsewhere is nothing that this topic may tell: no echo.
        if let Some((log, topic)) = end.events {
            found.extend(events::breaches(&here, log, topic).await);
        }
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
