//! EVT: every acknowledged write is told once, in order and without a gap, and nothing else is.

use std::collections::HashSet;
use std::time::Duration;

use meridian_event::Event;
use meridian_eventlog::{EventLog, Topic};
use meridian_oci::Digest;

use super::{Breach, breach};
use crate::history::{Call, Op, Outcome};

/// How long the last events may be on their way.
const SOON: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(200);

pub(super) async fn breaches(ops: &[Op], log: &dyn EventLog, topic: &Topic) -> Vec<Breach> {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let found = match told(log, topic).await {
            Ok(told) => differences(ops, &told),
            // A gap does not close.
            Err(why) => return vec![breach("EVT")(why)],
        };
        if found.is_empty() || tokio::time::Instant::now() > end {
            return found.into_iter().map(breach("EVT")).collect();
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The manifests that the log says were put.
async fn told(log: &dyn EventLog, topic: &Topic) -> Result<HashSet<Digest>, String> {
    let events = harness::events(log, topic).await?.into_iter();
    let put = events.filter_map(|event| match event.event {
        Event::ManifestPut { manifest, .. } => Some(manifest.digest),
        _ => None,
    });
    Ok(put.collect())
}

fn differences(ops: &[Op], told: &HashSet<Digest>) -> Vec<String> {
    let mut possible = HashSet::new();
    let mut lines = Vec::new();
    for op in ops {
        let Call::Put(name, digest) = &op.call else {
            continue;
        };
        match op.outcome {
            Outcome::Done(_) => {
                possible.insert(*digest);
                if !told.contains(digest) {
                    lines.push(format!("{name} {digest} was acknowledged, and is not told"));
                }
            }
            Outcome::Unknown(_) => drop(possible.insert(*digest)),
            _ => {}
        }
    }
    let invented = told.difference(&possible);
    lines.extend(invented.map(|digest| format!("{digest} is told, and was refused or never put")));
    lines
}
