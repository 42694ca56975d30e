//! LIN: each tag behaves as one register.
//!
//! Every image is pushed once, so a read says which write it saw; every acknowledged write says its
//! version, so that the order of writes is known. What is left to check is time: nobody sees what
//! was not written yet, and nobody sees less than what had been seen or acknowledged before they
//! asked. Writes whose outcome is unknown may have any place from their call on. One pass over the
//! calls of each tag in the order of time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use meridian_oci::Digest;

use super::{Breach, breach};
use crate::history::{Call, Name, Op, Outcome, Version};

/// The writes of a tag.
#[derive(Default)]
struct Writes<'a> {
    /// Who put each value.
    puts: HashMap<Digest, &'a Op>,
    deletions: Vec<&'a Op>,
}

/// Everything that no order of the calls can explain.
pub(super) fn breaches(ops: &[Op]) -> Vec<Breach> {
    let mut tags: BTreeMap<&Name, Vec<&Op>> = BTreeMap::new();
    for op in ops {
        // An answer that says that it may be old promises nothing of time.
        if let Some(name) = op.call.name().filter(|_| !op.is_stale) {
            tags.entry(name).or_default().push(op);
        }
    }
    let lines = tags.into_iter().flat_map(|(name, ops)| {
        let lines = tag(&ops).into_iter();
        lines.map(move |line| format!("{name}: {line}"))
    });
    lines.map(breach("LIN")).collect()
}

fn tag(ops: &[&Op]) -> Vec<String> {
    let mut writes = Writes::default();
    for op in ops {
        match &op.call {
            Call::Put(_, digest) => drop(writes.puts.insert(*digest, op)),
            Call::Untag(_) => writes.deletions.push(op),
            Call::Upload(_) | Call::Read(_) | Call::Fetch(..) => {}
        }
    }
    let mut lines = twice(ops);
    let seen = Seen::of(ops, &writes);
    for op in ops {
        let floor = seen.before(op.begun);
        if let Err(line) = judge(op, floor, &writes) {
            lines.push(line);
        }
    }
    lines
}

/// Versions that two writes have.
fn twice(ops: &[&Op]) -> Vec<String> {
    let mut owners: HashMap<Version, &Op> = HashMap::new();
    let mut lines = Vec::new();
    for op in ops {
        if let Outcome::Done(Some(version)) = op.outcome
            && let Some(other) = owners.insert(version, op)
        {
            let (one, two) = (&other.call, &op.call);
            lines.push(format!("{one:?} and {two:?} have the same version"));
        }
    }
    lines
}

/// Whether a call may have been answered so, when `floor` had been seen before it began.
fn judge(op: &Op, floor: Option<Version>, writes: &Writes<'_>) -> Result<(), String> {
    match (&op.call, &op.outcome) {
        (Call::Put(..) | Call::Untag(_), Outcome::Done(None)) => {
            Err(format!("{:?} has no version", op.call))
        }
        (Call::Put(..) | Call::Untag(_), Outcome::Done(Some(version)))
            if floor.is_some_and(|floor| *version <= floor) =>
        {
            Err(format!(
                "{:?} at {:?} is ordered before what was there",
                op.call, op.begun
            ))
        }
        (Call::Read(_), Outcome::Found(digest)) => {
            let Some(put) = writes.puts.get(digest) else {
                return Err(format!("{digest} was read, and never put"));
            };
            if put.begun > op.ended {
                return Err(format!("{digest} was read before it was put"));
            }
            match (version(put), floor) {
                (Some(version), Some(floor)) if version < floor => Err(format!(
                    "{digest} was read at {:?}, when it had been replaced",
                    op.begun
                )),
                _ => Ok(()),
            }
        }
        (Call::Read(_), Outcome::Absent) if !writes.allow_nothing(op, floor) => Err(format!(
            "nothing was read at {:?}, and nobody had deleted it",
            op.begun
        )),
        _ => Ok(()),
    }
}

const fn version(op: &Op) -> Option<Version> {
    match op.outcome {
        Outcome::Done(version) => version,
        _ => None,
    }
}

// === impl Writes ===

impl Writes<'_> {
    /// Whether a deletion explains that nothing is there.
    fn allow_nothing(&self, read: &Op, floor: Option<Version>) -> bool {
        let Some(floor) = floor else {
            return true;
        };
        let mut begun = self.deletions.iter().filter(|it| it.begun <= read.ended);
        begun.any(|deletion| match &deletion.outcome {
            Outcome::Done(Some(version)) => *version >= floor,
            Outcome::Unknown(_) => true,
            // It deleted nothing.
            _ => false,
        })
    }
}

/// The highest version that somebody had seen at each moment.
struct Seen {
    /// When each was known, and the highest until then.
    known: Vec<(Duration, Version)>,
}

// === impl Seen ===

impl Seen {
    fn of(ops: &[&Op], writes: &Writes<'_>) -> Self {
        let known = ops.iter().filter_map(|op| {
            let version = match &op.outcome {
                Outcome::Done(version) => (*version)?,
                Outcome::Found(digest) => version(writes.puts.get(digest)?)?,
                _ => return None,
            };
            Some((op.ended, version))
        });
        let mut known: Vec<_> = known.collect();
        known.sort();
        let mut highest: Option<Version> = None;
        for (_, version) in &mut known {
            *version = highest.map_or(*version, |highest| highest.max(*version));
            highest = Some(*version);
        }
        Self { known }
    }

    /// What was known before a moment.
    fn before(&self, moment: Duration) -> Option<Version> {
        let count = self.known.partition_point(|(at, _)| *at < moment);
        Some(self.known[count.checked_sub(1)?].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name {
            repository: "r".to_owned(),
            tag: "t".to_owned(),
        }
    }

    fn value(text: &str) -> Digest {
        harness::digest(text.as_bytes())
    }

    fn op(begun: u64, ended: u64, call: Call, outcome: Outcome) -> Op {
        Op {
            client: 0,
            front: 0,
            call,
            begun: Duration::from_millis(begun),
            ended: Duration::from_millis(ended),
            outcome,
            is_stale: false,
            retry_after: false,
        }
    }

    fn put(begun: u64, ended: u64, text: &str, version: u64) -> Op {
        let done = Outcome::Done(Some(Version::at(version)));
        op(begun, ended, Call::Put(name(), value(text)), done)
    }

    fn lost_put(begun: u64, text: &str) -> Op {
        let unknown = Outcome::Unknown(String::new());
        op(begun, begun + 1, Call::Put(name(), value(text)), unknown)
    }

    fn untag(begun: u64, ended: u64, version: u64) -> Op {
        let done = Outcome::Done(Some(Version::at(version)));
        op(begun, ended, Call::Untag(name()), done)
    }

    fn read(begun: u64, ended: u64, text: Option<&str>) -> Op {
        let found = text.map_or(Outcome::Absent, |text| Outcome::Found(value(text)));
        op(begun, ended, Call::Read(name()), found)
    }

    #[track_caller]
    fn good(ops: &[Op]) {
        assert_eq!(breaches(ops), []);
    }

    #[track_caller]
    fn bad(ops: &[Op], word: &str) {
        let found = breaches(ops);
        assert!(found.iter().any(|it| it.what.contains(word)), "{found:?}");
    }

    #[test]
    fn what_one_after_the_other_says_is_fine() {
        good(&[
            read(0, 1, None),
            put(2, 3, "a", 1),
            read(4, 5, Some("a")),
            put(6, 7, "b", 2),
            read(8, 9, Some("b")),
            untag(10, 11, 3),
            read(12, 13, None),
        ]);
    }

    #[test]
    fn calls_that_overlap_may_go_either_way() {
        good(&[
            put(0, 1, "a", 1),
            put(2, 10, "b", 2),
            read(3, 4, Some("a")),
            read(5, 6, Some("b")),
        ]);
        good(&[put(0, 1, "a", 1), untag(2, 10, 2), read(3, 4, None)]);
    }

    #[test]
    fn nobody_reads_what_was_replaced_before_they_asked() {
        bad(
            &[put(0, 1, "a", 1), put(2, 3, "b", 2), read(4, 5, Some("a"))],
            "had been replaced",
        );
        // Another read has seen the new one, although its write was not over.
        bad(
            &[
                put(0, 1, "a", 1),
                put(2, 20, "b", 2),
                read(3, 4, Some("b")),
                read(5, 6, Some("a")),
            ],
            "had been replaced",
        );
    }

    #[test]
    fn nothing_is_read_only_after_a_deletion() {
        bad(&[put(0, 1, "a", 1), read(2, 3, None)], "nobody had deleted");
        bad(
            &[
                put(0, 1, "a", 1),
                untag(2, 3, 2),
                put(4, 5, "b", 3),
                read(6, 7, None),
            ],
            "nobody had deleted",
        );
    }

    #[test]
    fn a_write_is_ordered_behind_what_was_over_when_it_began() {
        bad(
            &[put(0, 1, "a", 5), put(2, 3, "b", 4)],
            "ordered before what was there",
        );
        bad(&[put(0, 9, "a", 5), put(0, 9, "b", 5)], "same version");
    }

    #[test]
    fn what_nobody_put_is_not_read_nor_before_it_is_put() {
        bad(&[read(0, 1, Some("a"))], "never put");
        bad(&[read(0, 1, Some("a")), put(2, 3, "a", 1)], "before it was");
    }

    #[test]
    fn a_write_of_unknown_outcome_may_show_at_any_time() {
        good(&[
            put(0, 1, "a", 1),
            lost_put(2, "b"),
            read(4, 5, Some("a")),
            read(6, 7, Some("b")),
            read(8, 9, Some("b")),
        ]);
    }
}
