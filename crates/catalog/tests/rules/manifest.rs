//! Manifests: leaves first, conditions, foreign blobs, referrers, lists.

use std::ops::ControlFlow;

use meridian_catalog::{BlobPlace, Condition, NewManifest, Refusal, Reply, query};
use meridian_event::{Event, Leaf};
use meridian_oci::Digest;

use crate::stage::{
    Manifested, SETTINGS, Stage, blob, delete_manifest, image, index, object, put_blob, repository,
};

fn refused(refusal: Refusal) -> Reply {
    Reply::Refused(refusal)
}

fn is_done(reply: &Reply) -> bool {
    matches!(reply, Reply::Done { .. })
}

#[test]
fn a_manifest_stands_on_leaves_that_are_there() {
    let mut stage = Stage::new(SETTINGS);
    let here = stage.upload("a", 1);
    let absent = refused(Refusal::LeavesUnknown(vec![blob(2).digest, blob(3).digest]));
    let new = image(&[here, blob(2), blob(3)]);
    assert_eq!(stage.put(new.clone()), absent);
    assert!(!stage.has_manifest("a", new.digest));
    // What another repository has is not here.
    stage.upload("b", 2);
    stage.upload("b", 3);
    assert_eq!(stage.put(new.clone()), absent);
    stage.mount("a", Some("b"), blob(2).digest);
    stage.mount("a", None, blob(3).digest);
    assert!(is_done(&stage.put(new)));
}

#[test]
fn the_children_of_an_index_are_manifests() {
    let mut stage = Stage::new(SETTINGS);
    let layer = stage.upload("a", 1);
    let child = image(&[]).leaf();
    let absent = refused(Refusal::LeavesUnknown(vec![child.digest]));
    assert_eq!(stage.put(index(&[child])), absent);
    // A blob is none, even if its bytes are: it could not be pulled as one.
    stage.done(put_blob("a", child, BlobPlace::Stored(object(77))));
    assert_eq!(stage.put(index(&[child])), absent);
    let only_layer = refused(Refusal::LeavesUnknown(vec![layer.digest]));
    assert_eq!(stage.put(index(&[layer])), only_layer);
    stage.put(image(&[]));
    let top = stage.push(index(&[child]));
    assert_eq!(
        stage.delete("a", child.digest),
        refused(Refusal::InUse(vec![top.digest]))
    );
}

#[test]
fn a_leaf_of_another_size_is_another_leaf() {
    let mut stage = Stage::new(SETTINGS);
    let right = stage.upload("a", 1);
    let child = stage.push(image(&[]));
    let wrong = |leaf: Leaf| Leaf {
        size: leaf.size + 1,
        ..leaf
    };
    assert_eq!(
        stage.put(image(&[wrong(right)])),
        refused(Refusal::SizesDiffer(vec![right.digest]))
    );
    assert_eq!(
        stage.put(index(&[wrong(child)])),
        refused(Refusal::SizesDiffer(vec![child.digest]))
    );
}

#[test]
fn what_a_present_manifest_names_cannot_be_deleted() {
    let mut stage = Stage::new(SETTINGS);
    let child = stage.push(image(&[blob(1)]));
    let parents: Vec<_> = (10..30)
        .map(|number| {
            let other = stage.push(image(&[blob(number)]));
            stage.push(index(&[child, other]))
        })
        .collect();
    let Reply::Refused(Refusal::InUse(named)) = stage.delete("a", child.digest) else {
        panic!("a child in use was deleted");
    };
    let mut digests: Vec<_> = parents.iter().map(|leaf| leaf.digest).collect();
    digests.sort();
    assert_eq!(named, digests[..16], "the first sixteen are named");
    assert_eq!(
        stage.delete_blob("a", blob(1).digest),
        refused(Refusal::InUse(vec![child.digest]))
    );
    for parent in parents {
        assert!(is_done(&stage.delete("a", parent.digest)));
    }
    assert!(is_done(&stage.delete("a", child.digest)));
    assert!(is_done(&stage.delete_blob("a", blob(1).digest)));
}

#[test]
fn a_condition_on_a_digest_decides() {
    let mut stage = Stage::new(SETTINGS);
    let new = image(&[]);
    let points_at = Condition::PointsAt(new.digest);
    let failed = |current: Option<Digest>| refused(Refusal::ConditionFailed(current));
    assert_eq!(stage.put(new.clone().given(points_at)), failed(None));
    assert!(is_done(&stage.put(new.clone().given(Condition::Absent))));
    assert_eq!(
        stage.put(new.clone().given(Condition::Absent)),
        failed(Some(new.digest))
    );
    assert!(is_done(&stage.put(new.clone().given(points_at))));
    let delete = |condition| delete_manifest("a", new.digest, Some(condition));
    let other = Condition::PointsAt(blob(1).digest);
    assert_eq!(stage.say(delete(other)), failed(Some(new.digest)));
    assert!(is_done(&stage.say(delete(points_at))));
    assert_eq!(stage.say(delete(points_at)), failed(None));
}

#[test]
fn what_is_not_there_is_told_apart() {
    let mut stage = Stage::new(SETTINGS);
    let digest = image(&[]).digest;
    let unknown = stage.delete("a", digest);
    assert_eq!(unknown, refused(Refusal::RepositoryUnknown));
    stage.upload("a", 1);
    let unknown = stage.delete("a", digest);
    assert_eq!(unknown, refused(Refusal::ManifestUnknown));
    let elsewhere = NewManifest {
        registry: "other".parse().unwrap(),
        ..image(&[])
    };
    assert_eq!(stage.put(elsewhere), refused(Refusal::RegistryUnknown));
}

#[test]
fn bytes_are_kept_exactly_and_gone_after_deletion() {
    let mut stage = Stage::new(SETTINGS);
    let new = image(&[blob(1)]).tagged(&["v"]);
    stage.push(new.clone());
    let read = |stage: &Stage, reference: &str| {
        let name = repository("a");
        let reference = reference.parse().unwrap();
        let found = query::manifest(&stage.store, stage.id(), &name, &reference, <[u8]>::to_vec);
        found.unwrap().map(|(view, bytes)| (view.media_type, bytes))
    };
    let expected = Some((new.media_type.clone(), new.bytes.clone()));
    assert_eq!(read(&stage, "v"), expected);
    assert_eq!(read(&stage, &new.digest.to_string()), expected);
    stage.delete("a", new.digest);
    assert_eq!(read(&stage, "v"), None);
    assert_eq!(read(&stage, &new.digest.to_string()), None);
}

#[test]
fn a_manifest_that_is_put_again_has_a_newer_version_and_counts_once() {
    let mut stage = Stage::new(SETTINGS);
    let digest = stage.push(image(&[])).digest;
    let version = |stage: &Stage| {
        let name = repository("a");
        let view = query::manifest_stat(&stage.store, stage.id(), &name, &digest.into());
        view.unwrap().unwrap().version
    };
    let first = version(&stage);
    let usage = stage.usage();
    stage.put(image(&[]));
    assert!(version(&stage) > first);
    assert_eq!(stage.usage(), usage);
    // What an index stands on is raised with it.
    let second = version(&stage);
    stage.put(index(&[image(&[]).leaf()]));
    assert!(version(&stage) > second);
}

#[test]
fn a_foreign_blob_may_be_absent_and_is_held_if_it_is_there() {
    let mut stage = Stage::new(SETTINGS);
    let (absent, pushed) = (blob(8), stage.upload("a", 9));
    let new = NewManifest {
        foreign: vec![absent, pushed],
        ..image(&[])
    };
    assert!(is_done(&stage.put(new.clone())));
    assert_eq!(
        stage.delete_blob("a", pushed.digest),
        refused(Refusal::InUse(vec![new.digest]))
    );
    let Event::ManifestPut { blobs, .. } = stage.events().pop().unwrap().event else {
        panic!("a put is an event");
    };
    assert!(blobs.is_empty(), "peers need not have it");
    stage.now += 10_000;
    assert_eq!(stage.condemn(&[pushed]), 0);

    // What came later is held from the next put on.
    let late = stage.upload("a", 8);
    assert!(is_done(&stage.put(new.clone())));
    assert_eq!(
        stage.delete_blob("a", late.digest),
        refused(Refusal::InUse(vec![new.digest]))
    );
    assert!(is_done(&stage.delete("a", new.digest)));
    stage.now += 10_000;
    assert_eq!(stage.condemn(&[pushed, late]), 2);
}

#[test]
fn a_foreign_blob_of_another_size_is_held_all_the_same() {
    let mut stage = Stage::new(SETTINGS);
    let pushed = stage.upload("a", 9);
    let new = NewManifest {
        foreign: vec![Leaf { size: 1, ..pushed }],
        ..image(&[])
    };
    assert!(is_done(&stage.put(new)));
    stage.now += 10_000;
    assert_eq!(stage.condemn(&[pushed]), 0);
}

#[test]
fn referrers_are_listed_with_or_without_their_subject() {
    let mut stage = Stage::new(SETTINGS);
    let subject = image(&[]).digest;
    let refer = |number: u64, kind: Option<&str>| NewManifest {
        subject: Some(subject),
        referrer: Some((kind.map(ToOwned::to_owned), format!("{{\"n\":{number}}}"))),
        ..image(&[blob(number)])
    };
    let first = stage.push(refer(1, Some("sbom")));
    let second = stage.push(refer(2, Some("signature")));
    let third = stage.push(refer(3, None));
    let listed = |stage: &Stage, after, kinds: &[Option<&str>], most: usize| {
        let mut left = most;
        let page = query::referrers(
            &stage.store,
            stage.id(),
            &repository("a"),
            subject,
            after,
            |_, kind, _| {
                if left == 0 {
                    return ControlFlow::Break(());
                }
                let is_wanted = kinds.is_empty() || kinds.contains(&kind);
                left -= usize::from(is_wanted);
                ControlFlow::Continue(is_wanted)
            },
        )
        .unwrap();
        let digests: Vec<_> = page.items.iter().map(|(digest, _)| *digest).collect();
        (digests, page.more)
    };
    let mut all = [first.digest, second.digest, third.digest];
    all.sort();
    assert_eq!(listed(&stage, None, &[], 9), (all.to_vec(), false));
    assert_eq!(listed(&stage, None, &[], 2), (all[..2].to_vec(), true));
    assert_eq!(
        listed(&stage, Some(all[1]), &[], 9),
        (all[2..].to_vec(), false)
    );
    assert_eq!(
        listed(&stage, None, &[Some("sbom")], 9),
        (vec![first.digest], false)
    );
    // A subject comes and goes; its referrers stay, and do not hold it.
    stage.put(image(&[]));
    assert!(is_done(&stage.delete("a", subject)));
    assert_eq!(listed(&stage, None, &[], 9).0.len(), 3);
    assert!(is_done(&stage.delete("a", second.digest)));
    assert!(!listed(&stage, None, &[], 9).0.contains(&second.digest));
}

#[test]
fn a_referrer_that_is_put_again_shows_itself_anew() {
    let mut stage = Stage::new(SETTINGS);
    let subject = blob(7).digest;
    for descriptor in ["first", "second"] {
        let new = NewManifest {
            subject: Some(subject),
            referrer: Some((None, descriptor.to_owned())),
            ..image(&[])
        };
        assert!(is_done(&stage.put(new)));
        let name = repository("a");
        let all = |_, _: Option<&str>, _| ControlFlow::Continue(true);
        let page = query::referrers(&stage.store, stage.id(), &name, subject, None, all);
        assert_eq!(
            page.unwrap().items,
            [(image(&[]).digest, descriptor.to_owned())]
        );
    }
}

#[test]
fn the_event_of_a_put_names_everything() {
    let mut stage = Stage::new(SETTINGS);
    let layer = stage.upload("a", 1);
    let new = NewManifest {
        subject: Some(blob(7).digest),
        ..image(&[layer]).tagged(&["v", "w"])
    };
    let version = stage.done(meridian_catalog::Command::PutManifest(Box::new(
        new.clone(),
    )));
    let envelope = stage.events().pop().unwrap();
    assert_eq!(envelope.version, version);
    assert_eq!(envelope.registry, stage.id());
    assert_eq!(
        envelope.event,
        Event::ManifestPut {
            repository: repository("a"),
            manifest: new.leaf(),
            media_type: new.media_type,
            tags: new.tags,
            blobs: vec![layer],
            children: Vec::new(),
            subject: Some(blob(7).digest),
        }
    );
}

#[test]
fn repositories_with_manifests_are_listed() {
    let mut stage = Stage::new(SETTINGS);
    for name in ["b", "a/b", "a", "a-b", "only/blobs"] {
        stage.upload(name, 1);
    }
    for name in ["b", "a/b", "a", "a-b"] {
        stage.put(image(&[blob(1)]).within(name));
    }
    let listed = |stage: &Stage, after: Option<&str>, limit| {
        let after = after.map(repository);
        let page = query::repositories(&stage.store, stage.id(), after.as_ref(), limit).unwrap();
        let names: Vec<_> = page.items.iter().map(ToString::to_string).collect();
        (names.join(" "), page.more)
    };
    assert_eq!(listed(&stage, None, 9), ("a a-b a/b b".into(), false));
    assert_eq!(listed(&stage, Some("a"), 2), ("a-b a/b".into(), true));
    stage.delete("a", image(&[blob(1)]).digest);
    assert_eq!(listed(&stage, None, 9), ("a-b a/b b".into(), false));
}
