//! CONV: in the end every region shows the same under each tag, and that is the newest that anybody was
//! told to have written.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use harness::Client;
use meridian_oci::Digest;

use super::{Breach, breach};
use crate::history::{Call, Name, Op, Outcome, Version};

/// How long regions may take to agree.
const SOON: Duration = Duration::from_secs(90);
const AGAIN: Duration = Duration::from_millis(500);
/// Tags that are looked at at once.
const AT_ONCE: usize = 4;

/// What a frontend shows under a tag: a manifest, or none, or nothing that counts.
type Shown = Result<Option<Digest>, String>;

pub(super) async fn breaches(ops: &[Op], clients: &[Client]) -> Vec<Breach> {
    let mut tags: BTreeMap<&Name, Vec<&Op>> = BTreeMap::new();
    for op in ops {
        if let Some(name) = op.call.name() {
            tags.entry(name).or_default().push(op);
        }
    }
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let looked = stream::iter(&tags).map(|(name, ops)| look(name, ops, clients));
        let lines: Vec<String> = { looked.buffered(AT_ONCE) }
            .filter_map(std::future::ready)
            .collect()
            .await;
        if lines.is_empty() || tokio::time::Instant::now() > end {
            return lines.into_iter().map(breach("CONV")).collect();
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What is wrong with a tag.
async fn look(name: &Name, ops: &[&Op], clients: &[Client]) -> Option<String> {
    let mut shown = Vec::new();
    for client in clients {
        shown.push(show(name, client).await);
    }
    let first = &shown[0];
    if let Some(other) = shown.iter().position(|it| it != first) {
        return Some(format!(
            "{name}: frontend 0 shows {first:?}, frontend {other} {:?}",
            shown[other]
        ));
    }
    match first {
        Ok(winner) => judge(ops, *winner).map(|why| format!("{name}: {why}")),
        Err(why) => Some(format!("{name}: {why}")),
    }
}

async fn show(name: &Name, client: &Client) -> Shown {
    let answer = client.manifest(&name.repository, &name.tag).await;
    let answer = answer.map_err(|error| error.to_string())?;
    match answer.status.as_u16() {
        200 => Ok(Some(harness::digest(&answer.body))),
        404 => Ok(None),
        status => Err(status.to_string()),
    }
}

/// Why this cannot have won. Writes whose outcome is unknown may have won, or not.
fn judge(ops: &[&Op], winner: Option<Digest>) -> Option<String> {
    let newest = ops.iter().filter_map(|op| version(op)).max()?;
    let may_be = |op: &&&Op| match &op.outcome {
        Outcome::Done(version) => *version == Some(newest),
        outcome => matches!(outcome, Outcome::Unknown(_)),
    };
    let mut possible = ops.iter().filter(may_be);
    let has_won = possible.any(|op| match (&op.call, winner) {
        (Call::Put(_, digest), Some(winner)) => *digest == winner,
        (Call::Untag(_), None) => true,
        _ => false,
    });
    (!has_won).then(|| format!("{winner:?} is shown, and the newest is of {newest:?}"))
}

const fn version(op: &Op) -> Option<Version> {
    match op.outcome {
        Outcome::Done(version) => version,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(call: Call, outcome: Outcome) -> Op {
        Op {
            client: 0,
            front: 0,
            call,
            begun: Duration::ZERO,
            ended: Duration::ZERO,
            outcome,
            is_stale: false,
            retry_after: false,
        }
    }

    fn name() -> Name {
        Name {
            repository: "r".to_owned(),
            tag: "t".to_owned(),
        }
    }

    fn value(text: &str) -> Digest {
        harness::digest(text.as_bytes())
    }

    fn put(text: &str, version: u64) -> Op {
        let done = Outcome::Done(Some(Version::at(version)));
        op(Call::Put(name(), value(text)), done)
    }

    #[test]
    fn the_newest_wins_wherever_it_was_written() {
        let (old, new) = (put("a", 1), put("b", 2));
        assert_eq!(judge(&[&new, &old], Some(value("b"))), None);
        assert!(judge(&[&new, &old], Some(value("a"))).is_some());
        assert!(judge(&[&new, &old], None).is_some());
    }

    #[test]
    fn what_was_deleted_last_is_gone() {
        let done = Outcome::Done(Some(Version::at(3)));
        let (put, untag) = (put("a", 1), op(Call::Untag(name()), done));
        assert_eq!(judge(&[&put, &untag], None), None);
        assert!(judge(&[&put, &untag], Some(value("a"))).is_some());
    }

    #[test]
    fn what_nobody_knows_the_outcome_of_may_have_won() {
        let unknown = Outcome::Unknown(String::new());
        let (put, lost) = (put("a", 1), op(Call::Put(name(), value("b")), unknown));
        assert_eq!(judge(&[&put, &lost], Some(value("a"))), None);
        assert_eq!(judge(&[&put, &lost], Some(value("b"))), None);
    }
}
