//! Repositories deleted: at once for whoever asks, in parts for the state, and for good.

use meridian_catalog::{Command, Found, Refusal, Reply, query};
use meridian_event::{Event, Target};

use crate::peer::{Peer, merge};
use crate::stage::{Manifested, SETTINGS, Stage, blob, image, index, repository, tag, writable};

fn repositories(stage: &Stage) -> Vec<String> {
    let listed = query::repositories(&stage.store, stage.id(), None, 10).unwrap();
    listed.items.iter().map(ToString::to_string).collect()
}

fn is_repository(stage: &Stage, name: &str) -> bool {
    query::is_repository(&stage.store, stage.id(), &repository(name)).unwrap()
}

fn sweep(stage: &mut Stage) -> u64 {
    let mut entries = 0;
    while matches!(stage.say(Command::Sweep), Reply::Collected { .. }) {
        entries += 1;
    }
    entries
}

#[test]
fn a_deleted_repository_is_gone_with_all_that_it_held() {
    let mut stage = Stage::new(SETTINGS);
    let one = stage.push(image(&[blob(1), blob(2)]).tagged(&["v", "w"]));
    stage.push(index(&[one]).tagged(&["top"]));
    stage.upload("a", 3);
    stage.push(image(&[blob(4)]).within("b"));
    let version = match stage.delete_repository("a") {
        Reply::Done { version } => version,
        other => panic!("{other:?}"),
    };
    let last = stage.events().pop().unwrap();
    let event = Event::RepositoryDeleted {
        repository: repository("a"),
    };
    assert_eq!((last.version, last.event), (version, event));
    sweep(&mut stage);
    assert_eq!(repositories(&stage), ["b"]);
    // Its blobs have their grace, and make no repository.
    assert!(!is_repository(&stage, "a") && stage.has_blob("a", blob(3).digest));
    assert_eq!(stage.tags("a"), Vec::<String>::new());
    let usage = stage.usage();
    assert_eq!((usage.manifests, usage.tags), (1, 0));
    assert_eq!(
        stage.delete_repository("a"),
        Reply::Refused(Refusal::RepositoryUnknown)
    );
    // A newer put begins a new one.
    let again = stage.push(image(&[blob(1), blob(2)]).tagged(&["v"]));
    assert_eq!((stage.resolve("a", "v"), again), (Some(one.digest), one));
    assert_eq!(stage.tags("a"), ["v"]);
}

#[test]
fn a_large_one_is_hidden_before_it_is_swept() {
    let mut stage = Stage::new(SETTINGS);
    let mut digests = Vec::new();
    for number in 1..=1_500 {
        stage.quietly(crate::stage::put_blob(
            "a",
            blob(number),
            meridian_catalog::BlobPlace::Inline(Vec::new()),
        ));
        let name = format!("t{number:05}");
        let image = image(&[blob(number)]).tagged(&[&name]);
        digests.push(image.digest);
        stage.quietly(Command::PutManifest(Box::new(image)));
    }
    assert!(matches!(stage.delete_repository("a"), Reply::Done { .. }));
    assert!(query::has_sweeps(&stage.store).unwrap());
    assert!(
        digests
            .iter()
            .all(|digest| !stage.has_manifest("a", *digest))
    );
    assert_eq!((stage.tags("a").len(), repositories(&stage).len()), (0, 0));
    assert!(!is_repository(&stage, "a") && stage.resolve("a", "t00001").is_none());
    // What is put meanwhile is there, and stays.
    stage.upload("a", 1_600);
    let new = stage.push(image(&[blob(1_600)]).tagged(&["t00001"]));
    assert_eq!(stage.tags("a"), ["t00001"]);
    assert_eq!(repositories(&stage), ["a"]);
    assert!(sweep(&mut stage) > 1);
    assert_eq!(stage.resolve("a", "t00001"), Some(new.digest));
    let usage = stage.usage();
    assert_eq!((usage.manifests, usage.tags), (1, 1));
}

#[test]
fn an_older_put_comes_too_late_and_a_newer_one_does_not() {
    let mut stage = Stage::new(SETTINGS);
    let (mut us, mut ap) = (Peer::of(&stage, "us"), Peer::of(&stage, "ap"));
    let one = image(&[]).tagged(&["v"]);
    let old = us.puts(&one);
    let old_lock = us.sets("a", &Target::Tag(tag("v")), writable(false));
    ap.now += 1_000;
    stage.say(merge(ap.deletes_repository("a")));
    stage.say(merge(old));
    stage.say(us.bytes(&one));
    stage.say(merge(old_lock));
    assert!(stage.resolve("a", "v").is_none() && !stage.has_manifest("a", one.digest));
    assert!(stage.attributes("a", &Target::Tag(tag("v"))).write);
    us.now += 2_000;
    stage.say(merge(us.puts(&one)));
    stage.say(us.bytes(&one));
    assert_eq!(stage.resolve("a", "v"), Some(one.digest));
    // An older deletion takes nothing away.
    let older = Found::Repository {
        registry: us.registry,
        repository: repository("a"),
        del: ap.last(),
    };
    assert_eq!(stage.say(Command::MergeFound(vec![older])), Reply::Nothing);
    assert_eq!(stage.resolve("a", "v"), Some(one.digest));
}

#[test]
fn what_a_newer_put_needs_outlives_its_repository() {
    let mut stage = Stage::new(SETTINGS);
    let (mut us, mut ap) = (Peer::of(&stage, "us"), Peer::of(&stage, "ap"));
    let inner = image(&[]);
    let middle = index(&[inner.leaf()]);
    let outer = index(&[middle.leaf()]);
    for manifest in [&inner, &middle] {
        stage.say(merge(us.puts(manifest)));
        stage.say(us.bytes(manifest));
    }
    ap.now += 1_000;
    us.now += 2_000;
    let deletion = ap.deletes_repository("a");
    stage.say(merge(us.puts(&outer)));
    stage.say(us.bytes(&outer));
    stage.say(merge(deletion));
    sweep(&mut stage);
    for manifest in [inner, middle, outer] {
        assert!(stage.has_manifest("a", manifest.digest));
    }
}

#[test]
fn attributes_end_with_their_repository() {
    let mut stage = Stage::new(SETTINGS);
    let mut us = Peer::of(&stage, "us");
    let digest = stage.push(image(&[]).tagged(&["v"])).digest;
    for target in [
        Target::Repository,
        Target::Tag(tag("v")),
        Target::Manifest(digest),
    ] {
        stage.lock("a", &target);
    }
    // In a region that had not heard of the locks, nothing forbids it.
    us.now += 5_000;
    stage.say(merge(us.deletes_repository("a")));
    for target in [
        Target::Repository,
        Target::Tag(tag("v")),
        Target::Manifest(digest),
    ] {
        assert!(stage.attributes("a", &target).write, "{target:?}");
    }
    sweep(&mut stage);
    stage.now += 6_000;
    stage.push(image(&[blob(1)]).tagged(&["v"]));
}
