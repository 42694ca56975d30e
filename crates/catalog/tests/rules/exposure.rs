//! Exposure: what is merged is shown when it is complete, and nothing before.

use std::ops::ControlFlow;

use meridian_catalog::{Command, Condition, NewManifest, Refusal, Reply, query};
use meridian_event::Leaf;
use meridian_oci::{Digest, MediaType};
use query::{Fate, Image};

use crate::peer::{Peer, batch, merge, wanted, wanted_blobs};
use crate::stage::{Manifested, SETTINGS, Stage, blob, delete_tag, image, index, repository, tag};

fn stage() -> (Stage, Peer) {
    let mut stage = Stage::new(SETTINGS);
    stage.now += 100;
    let peer = Peer::of(&stage, "us");
    (stage, peer)
}

fn standing(stage: &Stage, digest: Digest) -> Option<Image> {
    query::image(&stage.store, stage.id(), &repository("a"), digest).unwrap()
}

fn fate(stage: &Stage, name: &str) -> Option<(Option<Digest>, Fate)> {
    let winner = query::tag_winner(&stage.store, stage.id(), &repository("a"), &tag(name));
    winner.unwrap().map(|winner| (winner.digest, winner.fate))
}

fn sweep(stage: &mut Stage) -> u64 {
    match stage.say(Command::Sweep) {
        Reply::Collected { objects, .. } => objects,
        Reply::Nothing => 0,
        other => panic!("a sweep was answered {other:?}"),
    }
}

fn sweep_all(stage: &mut Stage) {
    while query::has_sweeps(&stage.store).unwrap() {
        sweep(stage);
    }
}

#[test]
fn an_image_is_as_large_as_its_parts_and_each_counts_once() {
    let (mut stage, mut peer) = stage();
    let one = image(&[blob(1), blob(2)]);
    let two = image(&[blob(2), blob(3)]);
    let all = index(&[one.leaf(), two.leaf()]);
    let extent = |stage: &Stage, limit| {
        let (id, name) = (stage.id(), repository("a"));
        let extent = query::extent(&stage.store, id, &name, all.digest, limit);
        extent.unwrap().map(|mut extent| {
            extent.missing.sort();
            (extent.bytes, extent.missing)
        })
    };
    let sorted = |mut leaves: Vec<Leaf>| {
        leaves.sort();
        leaves
    };
    let manifests = [&all, &one, &two].map(Manifested::leaf);
    let [top, first, second] = manifests.map(|leaf| leaf.size);
    assert_eq!(extent(&stage, 100), None);
    for new in [&one, &two, &all] {
        stage.say(merge(peer.puts(new)));
    }
    assert_eq!(extent(&stage, 100), Some((top, vec![all.leaf()])));
    stage.done(peer.bytes(&all));
    let children = sorted(vec![one.leaf(), two.leaf()]);
    let known = top + first + second;
    assert_eq!(extent(&stage, 100), Some((known, children)));
    stage.done(peer.bytes(&one));
    let missing = sorted(vec![two.leaf(), blob(1), blob(2)]);
    assert_eq!(extent(&stage, 100), Some((known + 1 + 2, missing)));
    stage.done(peer.blob(blob(2)));
    stage.done(peer.bytes(&two));
    let missing = sorted(vec![blob(1), blob(3)]);
    assert_eq!(extent(&stage, 100), Some((known + 1 + 2 + 3, missing)));
    stage.done(peer.blob(blob(1)));
    stage.done(peer.blob(blob(3)));
    assert_eq!(extent(&stage, 100), Some((known + 1 + 2 + 3, vec![])));
    assert_eq!(extent(&stage, 1), Some((top + first, vec![])));
}

#[test]
fn a_tag_shows_its_last_complete_value_and_says_that_there_is_a_newer_one() {
    let (mut stage, mut peer) = stage();
    let old = image(&[blob(1)]).tagged(&["v"]);
    let new = image(&[blob(2)]).tagged(&["v"]);
    let shown = |stage: &Stage| {
        let (name, tag) = (repository("a"), "v".parse().unwrap());
        let view = query::manifest_stat(&stage.store, stage.id(), &name, &tag);
        view.unwrap().map(|view| (view.digest, view.is_overtaken))
    };
    stage.say(merge(peer.puts(&old)));
    stage.done(peer.bytes(&old));
    stage.done(peer.blob(blob(1)));
    assert_eq!(shown(&stage), Some((old.digest, false)));
    stage.say(merge(peer.puts(&new)));
    assert_eq!(shown(&stage), Some((old.digest, true)));
    stage.done(peer.bytes(&new));
    stage.done(peer.blob(blob(2)));
    assert_eq!(shown(&stage), Some((new.digest, false)));
}

#[test]
fn an_image_is_shown_when_its_last_leaf_is_here() {
    let (mut stage, mut peer) = stage();
    let new = image(&[blob(1), blob(2)]).tagged(&["v"]);
    stage.say(merge(peer.puts(&new)));
    assert_eq!(standing(&stage, new.digest), Some(Image::Wanted));
    assert_eq!(wanted(&stage, "a"), [new.digest]);
    assert_eq!(wanted_blobs(&stage), []);
    stage.done(peer.bytes(&new));
    assert_eq!(standing(&stage, new.digest), Some(Image::Waiting(2)));
    let mut both = [blob(1), blob(2)];
    both.sort();
    assert_eq!(wanted_blobs(&stage), both);
    stage.done(peer.blob(blob(1)));
    assert_eq!(standing(&stage, new.digest), Some(Image::Waiting(1)));
    assert_eq!(fate(&stage, "v"), Some((Some(new.digest), Fate::Waiting)));
    assert!(!stage.has_manifest("a", new.digest));
    assert_eq!(stage.resolve("a", "v"), None);
    assert!(stage.tags("a").is_empty());
    let listed = query::repositories(&stage.store, stage.id(), None, 9).unwrap();
    assert!(listed.items.is_empty());
    assert_eq!(stage.usage().manifests, 0);
    assert_eq!(stage.usage().unexposed, 1);

    stage.done(peer.blob(blob(2)));
    assert_eq!(standing(&stage, new.digest), Some(Image::Exposed));
    assert_eq!(fate(&stage, "v"), Some((Some(new.digest), Fate::Shown)));
    assert_eq!(stage.resolve("a", "v"), Some(new.digest));
    assert_eq!(stage.tags("a"), ["v"]);
    assert!(stage.has_blob("a", blob(1).digest));
    assert_eq!((stage.usage().manifests, stage.usage().unexposed), (1, 0));
}

#[test]
fn bytes_may_come_before_or_with_what_puts_them() {
    let (mut stage, mut peer) = stage();
    let new = image(&[blob(1)]).tagged(&["v"]);
    stage.done(peer.blob(blob(1)));
    assert!(
        !stage.has_blob("a", blob(1).digest),
        "it is in no repository"
    );
    let mut events = peer.puts(&new);
    events.events[0].body = Some(crate::peer::body(&new));
    stage.say(merge(events));
    assert_eq!(stage.resolve("a", "v"), Some(new.digest));
    assert!(stage.has_blob("a", blob(1).digest));
    assert_eq!(stage.say(peer.bytes(&new)), Reply::Nothing);
}

#[test]
fn an_index_is_shown_after_its_children() {
    let (mut stage, mut peer) = stage();
    let one = image(&[blob(1)]);
    let two = image(&[blob(2)]);
    let low = index(&[one.leaf(), two.leaf()]);
    let top = index(&[low.leaf(), one.leaf()]).tagged(&["v"]);
    // The children's own events may be another region's, and come later.
    stage.say(merge(peer.puts(&top)));
    stage.done(peer.bytes(&top));
    assert_eq!(standing(&stage, top.digest), Some(Image::Waiting(2)));
    stage.done(peer.bytes(&low));
    stage.done(peer.bytes(&one));
    stage.done(peer.bytes(&two));
    stage.done(peer.blob(blob(1)));
    assert!(stage.has_manifest("a", one.digest));
    assert_eq!(standing(&stage, top.digest), Some(Image::Waiting(1)));
    stage.done(peer.blob(blob(2)));
    assert_eq!(stage.resolve("a", "v"), Some(top.digest));
    assert_eq!(stage.usage().manifests, 4);
}

#[test]
fn a_blob_anywhere_in_the_registry_is_enough() {
    let (mut stage, mut peer) = stage();
    let here = stage.upload("b", 1);
    let (one, two) = (image(&[here]), image(&[blob(2)]));
    stage.say(merge(peer.puts(&one)));
    stage.done(peer.bytes(&one));
    assert!(stage.has_manifest("a", one.digest));
    assert!(stage.has_blob("a", here.digest));
    // It is nobody's lease there, so it goes with the last manifest that needs it.
    stage.now += 10_000;
    assert_eq!(stage.condemn(&[here]), 0);
    stage.delete("a", one.digest);
    stage.now += 400;
    assert_eq!(stage.condemn(&[here]), 1);

    for name in ["a", "a/b"] {
        let two = two.clone().within(name);
        stage.say(merge(peer.puts(&two)));
        stage.done(peer.bytes(&two));
    }
    // A client brings what replication waits for.
    stage.upload("c", 2);
    assert!(stage.has_manifest("a", two.digest) && stage.has_manifest("a/b", two.digest));
}

#[test]
fn a_replicated_blob_lives_for_its_grace_and_for_whoever_needs_it() {
    let (mut stage, mut peer) = stage();
    stage.done(peer.blob(blob(1)));
    stage.done(peer.blob(blob(2)));
    stage.now += 399;
    assert_eq!(stage.condemn(&[blob(1), blob(2)]), 0);
    let new = image(&[blob(1)]);
    stage.say(merge(peer.puts(&new)));
    stage.done(peer.bytes(&new));
    stage.now += 1;
    assert_eq!(stage.condemn(&[blob(1), blob(2)]), 1);
    assert_eq!(stage.remove(&[blob(1), blob(2)]), 1);
    assert!(stage.has_blob("a", blob(1).digest));
    // It comes again, under another object; the one that is kept is told to whoever brings another.
    let again = Command::StoreBlob(Box::new(meridian_catalog::ArrivedBlob {
        registry: stage.id(),
        blob: blob(1),
        encoding: meridian_catalog::Encoding::Plain,
        place: meridian_catalog::BlobPlace::Stored(crate::stage::object(77)),
        owner: None,
        instead_of: None,
    }));
    let kept = stage.say(again);
    assert!(matches!(kept, Reply::Kept { object, .. } if object == crate::stage::object(1)));
    let spent = stage.say(peer.blob(blob(2)));
    assert_eq!(spent, Reply::Refused(Refusal::BlobUnknown));
}

#[test]
fn a_put_here_completes_what_waits_here() {
    let (mut stage, mut peer) = stage();
    let child = image(&[blob(1)]).tagged(&["c"]);
    let top = index(&[child.leaf()]).tagged(&["v"]);
    stage.say(merge(peer.puts(&child)));
    stage.say(merge(peer.puts(&top)));
    stage.done(peer.bytes(&top));
    // What is not complete cannot be pulled, so nothing can be put upon it.
    let absent = Reply::Refused(Refusal::LeavesUnknown(vec![child.digest]));
    assert_eq!(stage.put(top.clone()), absent);
    stage.push(child.clone().tagged(&["d"]));
    assert_eq!(stage.tags("a"), ["c", "d", "v"]);
    assert_eq!(stage.resolve("a", "v"), Some(top.digest));
    assert!(wanted(&stage, "a").is_empty() && wanted_blobs(&stage).is_empty());
    assert_eq!(stage.usage().awaited, 0);

    // So does one whose bytes are here already.
    let other = image(&[blob(2), blob(3)]).tagged(&["w"]);
    stage.say(merge(peer.puts(&other)));
    stage.done(peer.bytes(&other));
    assert_eq!(standing(&stage, other.digest), Some(Image::Waiting(2)));
    stage.upload("a", 2);
    stage.upload("a", 3);
    assert_eq!(stage.resolve("a", "w"), Some(other.digest));
}

#[test]
fn a_tag_shows_what_was_complete_until_the_winner_is() {
    let (mut stage, mut peer) = stage();
    let old = stage.push(image(&[blob(1)]).tagged(&["v"])).digest;
    let new = image(&[blob(2)]).tagged(&["v"]);
    peer.now = stage.now + 5;
    stage.say(merge(peer.puts(&new)));
    assert_eq!(stage.resolve("a", "v"), Some(old));
    assert_eq!(fate(&stage, "v"), Some((Some(new.digest), Fate::Waiting)));
    // Conditions compare with the winner.
    let on_old = image(&[]).tagged(&["v"]).given(Condition::PointsAt(old));
    let failed = Reply::Refused(Refusal::ConditionFailed(Some(new.digest)));
    assert_eq!(stage.put(on_old), failed);
    assert_eq!(
        stage.say(delete_tag("a", "v", Some(Condition::PointsAt(old)))),
        failed
    );
    let absent = new.clone().given(Condition::Absent);
    stage.upload("a", 2);
    assert_eq!(stage.put(absent), failed);
    stage.done(peer.bytes(&new));
    assert_eq!(stage.resolve("a", "v"), Some(new.digest));
    assert_eq!(stage.usage().tags, 1);
}

#[test]
fn a_winner_that_is_deleted_hides_what_it_won_against() {
    let (mut stage, mut peer) = stage();
    stage.push(image(&[blob(1)]).tagged(&["v", "w"]));
    let new = image(&[blob(2)]).tagged(&["v"]);
    peer.now = stage.now + 5;
    stage.say(merge(peer.puts(&new)));
    stage.say(merge(peer.deletes("a", new.digest)));
    assert_eq!(stage.resolve("a", "v"), None);
    assert_eq!(fate(&stage, "v"), Some((Some(new.digest), Fate::Gone)));
    assert_eq!(stage.tags("a"), ["w"]);
    // Also if the deletion came first.
    let newer = image(&[blob(3)]).tagged(&["w"]);
    let put = peer.puts(&newer);
    let mut ap = Peer::of(&stage, "ap");
    ap.now = peer.now + 5;
    stage.say(merge(ap.deletes("a", newer.digest)));
    stage.say(merge(put));
    assert!(stage.tags("a").is_empty());
    assert_eq!(stage.usage().tags, 0);
}

#[test]
fn what_waits_can_be_deleted_and_untagged_here() {
    let (mut stage, mut peer) = stage();
    let new = image(&[blob(1)]).tagged(&["v", "w"]);
    stage.say(merge(peer.puts(&new)));
    stage.done(peer.bytes(&new));
    assert!(matches!(stage.untag("a", "v"), Reply::Done { .. }));
    assert_eq!(fate(&stage, "v"), Some((None, Fate::Gone)));
    assert!(matches!(stage.delete("a", new.digest), Reply::Done { .. }));
    assert_eq!(fate(&stage, "w"), Some((Some(new.digest), Fate::Gone)));
    assert_eq!(standing(&stage, new.digest), None);
    assert!(wanted_blobs(&stage).is_empty());
    let unknown = stage.delete("a", new.digest);
    assert_eq!(unknown, Reply::Refused(Refusal::RepositoryUnknown));
    // The last thing in the repository went, so there is none.
    assert_eq!(stage.usage(), meridian_catalog::Usage::default());
    stage.done(peer.blob(blob(1)));
    assert!(!stage.has_manifest("a", new.digest));
}

#[test]
fn a_tag_that_moves_on_waits_no_more() {
    let (mut stage, mut peer) = stage();
    let new = image(&[blob(1)]).tagged(&["v"]);
    stage.say(merge(peer.puts(&new)));
    let ours = stage.push(image(&[]).tagged(&["v"])).digest;
    stage.done(peer.bytes(&new));
    stage.done(peer.blob(blob(1)));
    assert_eq!(stage.resolve("a", "v"), Some(ours));
    assert!(stage.has_manifest("a", new.digest));
    // Behind a winner, then moved by a put here.
    let newer = image(&[blob(2)]).tagged(&["v"]);
    peer.now = stage.now + 5;
    stage.say(merge(peer.puts(&newer)));
    stage.put(image(&[]).tagged(&["v"]));
    assert_eq!(fate(&stage, "v"), Some((Some(ours), Fate::Shown)));
}

fn referrers(stage: &Stage, subject: Digest) -> Vec<String> {
    let all = |_, _: Option<&str>, _| ControlFlow::Continue(true);
    let name = repository("a");
    let listed = query::referrers(&stage.store, stage.id(), &name, subject, None, all);
    listed
        .unwrap()
        .items
        .into_iter()
        .map(|item| item.1)
        .collect()
}

#[test]
fn a_referrer_is_listed_when_it_is_shown_and_under_its_media_type() {
    let (mut stage, mut peer) = stage();
    let subject = blob(7).digest;
    let described = |media_type: MediaType| NewManifest {
        subject: Some(subject),
        referrer: Some((None, media_type.to_string())),
        media_type,
        ..image(&[blob(1)])
    };
    let plain = described(MediaType::OCI_IMAGE_MANIFEST);
    let docker = described(MediaType::DOCKER_MANIFEST);
    stage.say(merge(peer.puts(&plain)));
    stage.done(peer.bytes(&plain));
    assert!(referrers(&stage, subject).is_empty());
    // Another media type while it waits: the description is wanted anew.
    stage.say(merge(peer.puts(&docker)));
    assert_eq!(wanted(&stage, "a"), [plain.digest]);
    assert_eq!(stage.say(peer.bytes(&plain)), Reply::Nothing);
    stage.done(peer.bytes(&docker));
    assert!(wanted(&stage, "a").is_empty());
    stage.done(peer.blob(blob(1)));
    assert_eq!(referrers(&stage, subject), [docker.media_type.to_string()]);
    // And while it is shown.
    stage.say(merge(peer.puts(&plain)));
    let found = query::wanted_manifests(&stage.store, None, 9).unwrap();
    assert!(found[0].has_body && found[0].media_type == Some(plain.media_type.clone()));
    assert_eq!(
        query::wanted_manifests(&stage.store, found.first(), 9).unwrap(),
        []
    );
    stage.done(peer.bytes(&plain));
    assert_eq!(referrers(&stage, subject), [plain.media_type.to_string()]);
    // A put here describes it itself.
    stage.say(merge(peer.puts(&docker)));
    stage.put(plain.clone());
    assert!(wanted(&stage, "a").is_empty());
    assert_eq!(referrers(&stage, subject), [plain.media_type.to_string()]);
    stage.say(merge(peer.puts(&docker)));
    stage.delete("a", plain.digest);
    assert!(referrers(&stage, subject).is_empty() && wanted(&stage, "a").is_empty());
}

#[test]
fn very_many_that_wait_for_one_blob_are_told_in_turns() {
    let (mut stage, mut peer) = stage();
    let images: Vec<_> = (0..1_200)
        .map(|number| NewManifest {
            bytes: format!("image {number}").into_bytes(),
            digest: blob(100_000 + number).digest,
            ..image(&[blob(1)])
        })
        .collect();
    stage.say(merge(batch(
        images.iter().map(|new| peer.puts(new)).collect(),
    )));
    for new in &images {
        stage.quietly(peer.bytes(new));
    }
    stage.done(peer.blob(blob(1)));
    assert_eq!(stage.usage().manifests, 1_000);
    assert!(query::has_sweeps(&stage.store).unwrap());
    assert_eq!(query::wanted_blobs(&stage.store, None, 9).unwrap(), []);
    let mut swept = 0;
    while query::has_sweeps(&stage.store).unwrap() {
        swept += sweep(&mut stage);
    }
    // Those that were not told yet, and for each of them a notice of the push.
    assert_eq!(swept, 200 + 1_200);
    assert_eq!(stage.usage().manifests, 1_200);
}

#[test]
fn very_many_tags_that_wait_are_shown_or_given_up_in_turns() {
    for is_deleted in [false, true] {
        let (mut stage, mut peer) = stage();
        let names: Vec<_> = (0..2_300).map(|number| format!("t{number:05}")).collect();
        let tags: Vec<_> = names.iter().map(String::as_str).collect();
        stage.put(image(&[]).tagged(&tags));
        let new = image(&[blob(1)]).tagged(&tags);
        peer.now = stage.now + 5;
        stage.say(merge(peer.puts(&new)));
        stage.done(peer.bytes(&new));
        assert_eq!(stage.tags("a").len(), 2_300);
        if is_deleted {
            stage.say(merge(peer.deletes("a", new.digest)));
            // Until all are swept, a read rule hides what is left.
            assert!(stage.tags("a").is_empty());
            assert_eq!(stage.resolve("a", "t02299"), None);
            sweep_all(&mut stage);
            assert_eq!(stage.usage().tags, 0);
        } else {
            stage.done(peer.blob(blob(1)));
            assert_eq!(stage.resolve("a", "t00000"), Some(new.digest));
            assert_eq!(stage.resolve("a", "t02299"), Some(image(&[]).digest));
            sweep_all(&mut stage);
            assert_eq!(stage.resolve("a", "t02299"), Some(new.digest));
            assert_eq!(stage.usage().tags, 2_300);
        }
    }
}

#[test]
fn very_many_indexes_and_their_children_go_in_turns() {
    let (mut stage, mut peer) = stage();
    let subject = blob(7).digest;
    let children: Vec<_> = (0..1_200)
        .map(|number| NewManifest {
            bytes: format!("child {number}").into_bytes(),
            digest: blob(100_000 + number).digest,
            subject: Some(subject),
            referrer: Some((None, number.to_string())),
            ..image(&[])
        })
        .collect();
    let leaves: Vec<Leaf> = children.iter().map(Manifested::leaf).collect();
    let top = index(&leaves);
    let puts = children.iter().map(|new| peer.puts(new)).collect();
    stage.say(merge(batch(puts)));
    for new in &children {
        stage.quietly(peer.bytes(new));
    }
    stage.put(top.clone());
    peer.now = stage.now + 5;
    let deletions = children.iter().map(|new| peer.deletes("a", new.digest));
    let deletions = batch(deletions.collect());
    stage.say(merge(deletions));
    sweep_all(&mut stage);
    assert_eq!(stage.usage().manifests, 1_201);
    assert_eq!(referrers(&stage, subject).len(), 1_200);
    stage.delete("a", top.digest);
    assert!(query::has_sweeps(&stage.store).unwrap());
    // What perhaps nothing needs any more is not answered, though it is still here.
    assert!(
        children
            .iter()
            .all(|new| !stage.has_manifest("a", new.digest))
    );
    assert!(referrers(&stage, subject).is_empty());
    assert_eq!(stage.usage().manifests, 200);
    sweep_all(&mut stage);
    assert_eq!(stage.usage(), meridian_catalog::Usage::default());
}

#[test]
fn children_that_need_very_much_go_in_turns() {
    let (mut stage, mut peer) = stage();
    let child = |number: u64| {
        let leaves: Vec<Leaf> = (0..600).map(|leaf| blob(number * 1_000 + leaf)).collect();
        NewManifest {
            bytes: format!("child {number}").into_bytes(),
            digest: blob(100_000 + number).digest,
            ..image(&leaves)
        }
    };
    let children = [1, 2, 3].map(child);
    let top = index(&children.each_ref().map(Manifested::leaf));
    for new in children.iter().chain([&top]) {
        stage.say(merge(peer.puts(new)));
        stage.done(peer.bytes(new));
    }
    for new in &children {
        stage.say(merge(peer.deletes("a", new.digest)));
    }
    assert_eq!(stage.usage().unexposed, 4);
    // What falls with a child counts, too: the third one is left to a later entry.
    stage.say(merge(peer.deletes("a", top.digest)));
    assert_eq!(stage.usage().unexposed, 1);
    sweep_all(&mut stage);
    assert_eq!(stage.usage(), meridian_catalog::Usage::default());
}

#[test]
fn an_index_of_very_many_waits_in_turns_for_them() {
    let (mut stage, mut peer) = stage();
    let child = image(&[blob(1)]);
    let tops: Vec<_> = (0..1_100)
        .map(|number| NewManifest {
            bytes: format!("top {number}").into_bytes(),
            digest: blob(100_000 + number).digest,
            ..index(&[child.leaf()])
        })
        .collect();
    let puts = tops.iter().map(|new| peer.puts(new)).collect();
    stage.say(merge(batch(puts)));
    for new in &tops {
        stage.quietly(peer.bytes(new));
    }
    stage.done(peer.bytes(&child));
    stage.done(peer.blob(blob(1)));
    // One look was at the child itself.
    assert_eq!(stage.usage().manifests, 1_000);
    sweep_all(&mut stage);
    assert_eq!(stage.usage().manifests, 1_101);
}

#[test]
fn lies_wait_for_ever_and_harm_nobody() {
    let (mut stage, mut peer) = stage();
    // An index that names itself needs only the others.
    let mut selfish = index(&[]);
    selfish.children = vec![selfish.leaf()];
    stage.say(merge(peer.puts(&selfish)));
    stage.done(peer.bytes(&selfish));
    assert!(stage.has_manifest("a", selfish.digest));
    assert!(matches!(
        stage.delete("a", selfish.digest),
        Reply::Done { .. }
    ));

    // Two that name each other are never complete.
    let (mut one, mut two) = (index(&[blob(1)]), index(&[blob(2)]));
    one.children = vec![two.leaf()];
    two.children = vec![one.leaf()];
    for new in [&one, &two] {
        stage.say(merge(peer.puts(new)));
        stage.done(peer.bytes(new));
    }
    assert_eq!(standing(&stage, one.digest), Some(Image::Waiting(1)));
    peer.now = stage.now + 5;
    stage.say(merge(peer.deletes("a", one.digest)));
    stage.say(merge(peer.deletes("a", two.digest)));
    assert!(!stage.has_manifest("a", one.digest));

    // A size is what the bytes have; a leaf that is named twice is one.
    let liar = Leaf {
        size: u64::MAX,
        ..blob(3)
    };
    let new = NewManifest {
        repository: repository("b"),
        ..image(&[liar, liar, blob(4)])
    };
    let mut events = peer.puts(&new);
    if let meridian_event::Event::ManifestPut { manifest, .. } = &mut events.events[0].event {
        manifest.size = u64::MAX;
    }
    stage.say(merge(events));
    stage.done(peer.bytes(&new));
    assert_eq!(wanted_blobs(&stage).len(), 2);
    stage.done(peer.blob(blob(3)));
    stage.done(peer.blob(blob(4)));
    assert!(stage.has_manifest("b", new.digest));
    let huge = Leaf {
        size: u64::MAX,
        ..blob(5)
    };
    let mut command = peer.blob(blob(5));
    if let Command::StoreBlob(arrived) = &mut command {
        arrived.blob = huge;
    }
    stage.done(command);
}

#[test]
fn bytes_that_are_a_manifest_here_and_a_blob_there_are_told_apart() {
    let (mut stage, mut peer) = stage();
    let bare = image(&[]);
    let holder = image(&[bare.leaf()]);
    stage.say(merge(peer.puts(&bare)));
    stage.done(peer.bytes(&bare));
    stage.say(merge(peer.puts(&holder)));
    stage.done(peer.bytes(&holder));
    // The manifest is no blob, and who needs the blob does not keep the manifest.
    assert_eq!(standing(&stage, holder.digest), Some(Image::Waiting(1)));
    stage.say(merge(peer.deletes("a", bare.digest)));
    assert!(!stage.has_manifest("a", bare.digest));
    stage.done(peer.blob(bare.leaf()));
    assert!(stage.has_manifest("a", holder.digest));
    assert!(!stage.has_manifest("a", bare.digest));
}
