//! CLOS: what a region answers is closed.
//!
//! From the moment on at which a region has answered with a manifest, or has acknowledged it, nobody is
//! told there that one of its leaves does not exist. That it cannot be had now may be said.

use std::collections::HashMap;
use std::time::Duration;

use harness::Image;
use meridian_oci::Digest;

use super::{Breach, breach};
use crate::history::{Call, Op, Outcome};

/// Everything that is wrong in a region, whose calls these are.
pub(super) fn breaches(ops: &[Op], images: &[Image]) -> Vec<Breach> {
    let owed = owed(ops, images);
    let broken = ops.iter().filter_map(|op| {
        let (Call::Fetch(kind, digest), Outcome::Absent) = (&op.call, &op.outcome) else {
            return None;
        };
        let since = owed.get(digest).filter(|since| **since < op.begun)?;
        Some(format!(
            "{kind}/{digest} was not there at {:?}, and what needs it was at {since:?}",
            op.begun
        ))
    });
    broken.map(breach("CLOS")).collect()
}

/// Since when each piece of content has to be there.
fn owed(ops: &[Op], images: &[Image]) -> HashMap<Digest, Duration> {
    let images: HashMap<_, _> = images.iter().map(|image| (image.digest(), image)).collect();
    let mut owed = HashMap::new();
    for op in ops {
        let Some((digest, image)) = shown(op).and_then(|it| Some((it, images.get(&it)?))) else {
            continue;
        };
        let blobs = image.blobs.iter().map(|blob| harness::digest(blob));
        for content in blobs.chain([digest]) {
            let since = owed.entry(content).or_insert(op.ended);
            *since = op.ended.min(*since);
        }
    }
    owed
}

/// The manifest that a call has shown to be there.
const fn shown(op: &Op) -> Option<Digest> {
    match (&op.call, &op.outcome) {
        (Call::Put(_, digest), Outcome::Done(_)) | (Call::Read(_), Outcome::Found(digest)) => {
            Some(*digest)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use harness::Content;

    use super::*;
    use crate::history::Name;

    fn op(begun: u64, call: Call, outcome: Outcome) -> Op {
        Op {
            client: 0,
            front: 0,
            call,
            begun: Duration::from_millis(begun),
            ended: Duration::from_millis(begun + 1),
            outcome,
            is_stale: false,
            retry_after: false,
        }
    }

    #[test]
    fn a_leaf_is_there_from_the_moment_on_at_which_its_manifest_is_shown() {
        let image = Content::new(1).image(&[10]);
        let leaf = harness::digest(&image.blobs[1]);
        let name = Name {
            repository: "r".to_owned(),
            tag: "t".to_owned(),
        };
        let miss = |at| op(at, Call::Fetch("blobs", leaf), Outcome::Absent);
        let found = Outcome::Found(image.digest());
        let ops = [miss(0), op(2, Call::Read(name), found), miss(4)];
        let images = [image];
        assert_eq!(breaches(&ops[..2], &images), []);
        assert_eq!(breaches(&ops, &images).len(), 1);
    }
}
