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

#[test]
fn a_blob_that_is_held_elsewhere_leaves_a_deleted_repository_once_its_grace_is_over() {
    let mut stage = Stage::new(SETTINGS);
    stage.push(image(&[blob(1)]));
    stage.push(image(&[blob(1)]).within("b"));
    stage.delete_repository("a");
    sweep(&mut stage);
    // Nobody mounts it from there any more; who fetches for another region still may.
    assert_eq!(stage.mount("c", Some("a"), blob(1).digest), Reply::Nothing);
    stage.condemn(&[blob(1)]);
    assert!(stage.has_blob("a", blob(1).digest));
    stage.now += SETTINGS.grace_millis + 1;
    stage.condemn(&[blob(1)]);
    assert!(!stage.has_blob("a", blob(1).digest) && stage.has_blob("b", blob(1).digest));
    assert_eq!(stage.usage().repositories, 1);
}

#[test]
fn what_is_put_again_in_a_deleted_repository_stays_linked_there() {
    let mut stage = Stage::new(SETTINGS);
    stage.push(image(&[blob(1)]));
    stage.push(image(&[blob(1)]).within("b"));
    stage.delete_repository("a");
    sweep(&mut stage);
    stage.mount("a", Some("b"), blob(1).digest);
    assert!(is_repository(&stage, "a"));
    stage.now += SETTINGS.grace_millis + 1;
    stage.condemn(&[blob(1)]);
    assert!(stage.has_blob("a", blob(1).digest));
}

#[test]
fn what_arrives_after_a_deletion_makes_no_repository_of_what_was_put_before() {
    let mut stage = Stage::new(SETTINGS);
    let (mut us, mut ap) = (Peer::of(&stage, "us"), Peer::of(&stage, "ap"));
    let one = image(&[blob(1)]);
    stage.say(merge(us.puts(&one)));
    stage.say(us.bytes(&one));
    // It was deleted elsewhere before the blob came here.
    ap.now += 1_000;
    let deletion = ap.deletes_repository("a");
    stage.now += 2_000;
    stage.done(us.blob(blob(1)));
    assert!(stage.has_manifest("a", one.digest));
    stage.done(Command::LeaseBlob {
        registry: stage.id(),
        repository: repository("a"),
        digest: blob(1).digest,
    });
    stage.say(merge(deletion));
    sweep(&mut stage);
    assert!(!is_repository(&stage, "a"));
    assert_eq!(
        stage.delete_repository("a"),
        Reply::Refused(Refusal::RepositoryUnknown)
    );
}

#[test]
fn what_is_merged_and_not_complete_can_be_deleted() {
    let mut stage = Stage::new(SETTINGS);
    let mut us = Peer::of(&stage, "us");
    stage.say(merge(us.puts(&image(&[blob(1)]).tagged(&["v"]))));
    stage.lock("a", &Target::Repository);
    assert_eq!(
        stage.delete_repository("a"),
        Reply::Refused(Refusal::Locked)
    );
    stage.set("a", &Target::Repository, writable(true));
    assert!(matches!(stage.delete_repository("a"), Reply::Done { .. }));
    sweep(&mut stage);
    assert_eq!(
        stage.delete_repository("a"),
        Reply::Refused(Refusal::RepositoryUnknown)
    );
}

#[test]
fn what_went_is_not_counted_among_what_a_repository_holds() {
    let mut stage = Stage::new(SETTINGS);
    let images: Vec<_> = (1..=6).map(|number| image(&[blob(number)])).collect();
    for image in &images {
        stage.push(image.clone());
    }
    let mut digests: Vec<_> = images.iter().map(|image| image.digest).collect();
    digests.sort_unstable();
    for digest in &digests[..4] {
        stage.delete("a", *digest);
    }
    let (manifests, _) = query::contents(&stage.store, stage.id(), &repository("a"), 2).unwrap();
    assert_eq!(manifests, digests[4..]);
}

#[test]
fn who_went_with_the_repository_needs_nothing_that_was_put_since() {
    let mut stage = Stage::new(SETTINGS);
    let child = image(&[]);
    stage.push(child.clone());
    stage.push(index(&[child.leaf()]));
    for number in 1..=1_200 {
        let image = image(&[blob(number)]);
        for leaf in &image.blobs {
            let place = meridian_catalog::BlobPlace::Inline(Vec::new());
            stage.quietly(crate::stage::put_blob("a", *leaf, place));
        }
        stage.quietly(Command::PutManifest(Box::new(image)));
    }
    assert!(matches!(stage.delete_repository("a"), Reply::Done { .. }));
    stage.push(child.clone());
    assert!(matches!(
        stage.delete("a", child.digest),
        Reply::Done { .. }
    ));
    assert!(!stage.has_manifest("a", child.digest));
    sweep(&mut stage);
    assert!(!stage.has_manifest("a", child.digest) && !is_repository(&stage, "a"));
}
