//! Merging: cursors, epochs, clocks; who wins; what stays deleted; whose name it is.

use meridian_catalog::{
    Command, Entry, Found, FoundManifest, FoundPut, FoundTag, Refusal, Reply, query,
};
use meridian_clock::Version;
use meridian_event::{Event, RegistryId};
use meridian_oci::{MediaType, RegistryName};

use crate::peer::{Peer, batch, body, merge, wanted};
use crate::stage::{
    DAWN, Manifested, SETTINGS, Stage, blob, delete_manifest, image, index, repository, tag,
};

fn merged(seq: u64) -> Reply {
    Reply::Merged {
        seq,
        is_stopped: false,
    }
}

fn refused(refusal: Refusal) -> Reply {
    Reply::Refused(refusal)
}

/// A registry, and a peer that shares it.
fn stage() -> (Stage, Peer) {
    let mut stage = Stage::new(SETTINGS);
    stage.now += 100;
    let peer = Peer::of(&stage, "us");
    (stage, peer)
}

fn media_type(stage: &Stage, reference: &str) -> Option<MediaType> {
    let name = repository("a");
    let reference = reference.parse().unwrap();
    let view = query::manifest_stat(&stage.store, stage.id(), &name, &reference);
    view.unwrap().map(|view| view.media_type)
}

#[test]
fn events_are_merged_once_and_without_a_gap() {
    let (mut stage, mut peer) = stage();
    let images = [1, 2, 3, 4].map(|number| image(&[blob(number)]));
    let all: Vec<_> = images.iter().map(|image| peer.puts(image)).collect();
    let shard = all[0].shard;
    let part = |from: usize, to: usize| merge(batch(all[from..to].to_vec()));
    assert_eq!(stage.say(part(1, 2)), refused(Refusal::Gap { seq: 0 }));
    assert_eq!(stage.say(part(0, 2)), merged(2));
    assert_eq!(stage.say(part(0, 2)), Reply::Nothing);
    assert_eq!(stage.say(part(3, 4)), refused(Refusal::Gap { seq: 2 }));
    assert_eq!(stage.say(part(0, 3)), merged(3));
    let cursor = query::cursor(&stage.store, peer.region, shard).unwrap();
    assert_eq!(
        cursor.map(|cursor| (cursor.epoch, cursor.seq)),
        Some((1, 3))
    );
    assert_eq!(wanted(&stage, "a").len(), 3);
    let cursors = query::cursors(&stage.store).unwrap();
    assert_eq!(cursors, [(peer.region, shard, cursor.unwrap())]);
}

#[test]
fn an_epoch_is_left_by_a_snapshot_only() {
    let (mut stage, mut peer) = stage();
    let mut of_epoch = |epoch: u64, number: u64| {
        let mut events = peer.puts(&image(&[blob(number)]));
        events.epoch = epoch;
        events
    };
    let (first, second) = (of_epoch(7, 1), of_epoch(7, 2));
    let (earlier, later) = (of_epoch(6, 3), of_epoch(8, 4));
    let shard = first.shard;
    assert_eq!(stage.say(merge(second)), refused(Refusal::Gap { seq: 0 }));
    assert_eq!(stage.say(merge(first)), merged(1));
    assert_eq!(stage.say(merge(earlier)), Reply::Nothing);
    let unknown = refused(Refusal::EpochUnknown { epoch: 7 });
    assert_eq!(stage.say(merge(later.clone())), unknown);
    let set = |epoch, seq| Command::SetCursor {
        origin: "us".parse().unwrap(),
        shard,
        epoch,
        seq,
    };
    stage.done(set(8, 3));
    assert_eq!(stage.say(set(8, 3)), Reply::Nothing);
    assert_eq!(stage.say(set(8, 2)), Reply::Nothing);
    assert_eq!(stage.say(set(7, 900)), Reply::Nothing);
    assert_eq!(stage.say(merge(later)), merged(4));
    let ours = Command::SetCursor {
        origin: "eu".parse().unwrap(),
        shard,
        epoch: 1,
        seq: 1,
    };
    assert_eq!(stage.say(ours), refused(Refusal::Echo));
    let nowhere = Command::SetCursor {
        origin: "us".parse().unwrap(),
        shard: 16,
        epoch: 1,
        seq: 1,
    };
    assert_eq!(stage.say(nowhere), refused(Refusal::Malformed));
}

#[test]
fn what_is_not_what_it_says_is_not_merged() {
    let (mut stage, mut peer) = stage();
    let good = batch(vec![
        peer.puts(&image(&[blob(1)])),
        peer.puts(&image(&[blob(2)])),
    ]);
    let mut ours = good.clone();
    ours.origin = "eu".parse().unwrap();
    assert_eq!(stage.say(merge(ours)), refused(Refusal::Echo));
    let mut elsewhere = good.clone();
    elsewhere.shard ^= 1;
    let mut jumping = good.clone();
    jumping.events[1].seq = 3;
    let mut falling = good.clone();
    falling.events[1].seq = 1;
    let mut from_zero = good.clone();
    from_zero.events[0].seq = 0;
    from_zero.events[1].seq = 1;
    let mut of_another = good.clone();
    of_another.events[1].version.region = "ap".parse().unwrap();
    for bad in [elsewhere, jumping, falling, from_zero, of_another] {
        assert_eq!(stage.say(merge(bad)), refused(Refusal::Malformed));
    }
    let mut nothing = good.clone();
    nothing.events.clear();
    assert_eq!(stage.say(merge(nothing)), Reply::Nothing);
    assert_eq!(stage.say(merge(good)), merged(2));
}

#[test]
fn a_cursor_at_the_end_of_its_numbers_merges_nothing_more() {
    let (mut stage, mut peer) = stage();
    let mut last = peer.puts(&image(&[blob(1)]));
    stage.done(Command::SetCursor {
        origin: peer.region,
        shard: last.shard,
        epoch: 1,
        seq: u64::MAX - 1,
    });
    last.events[0].seq = u64::MAX;
    assert_eq!(stage.say(merge(last.clone())), merged(u64::MAX));
    assert_eq!(stage.say(merge(last)), Reply::Nothing);
}

#[test]
fn what_is_too_far_ahead_waits_until_the_clock_has_come_near() {
    let (mut stage, mut peer) = stage();
    peer.now = stage.now + 50_000;
    let near = peer.puts(&image(&[blob(1)]));
    peer.now = stage.now + 50_001;
    let ahead = peer.puts(&image(&[blob(2)]));
    let stopped = Reply::Merged {
        seq: 1,
        is_stopped: true,
    };
    let both = merge(batch(vec![near, ahead.clone()]));
    assert_eq!(stage.say(both), stopped);
    let version = peer.last();
    assert_eq!(
        stage.say(merge(ahead.clone())),
        refused(Refusal::Ahead(version))
    );
    stage.now += 1;
    assert_eq!(stage.say(merge(ahead)), merged(2));
}

#[test]
fn what_is_stamped_here_is_newer_than_all_that_is_merged() {
    let (mut stage, mut peer) = stage();
    peer.now = stage.now + 5_000;
    let theirs = image(&[blob(1)]).tagged(&["v"]);
    stage.say(merge(peer.puts(&theirs)));
    assert_eq!(
        query::system(&stage.store).unwrap().unwrap().last,
        peer.last()
    );
    let ours = image(&[]).tagged(&["v"]);
    let version = stage.done(Command::PutManifest(Box::new(ours.clone())));
    assert!(version > peer.last());
    assert_eq!(stage.resolve("a", "v"), Some(ours.digest));
}

#[test]
fn nothing_that_is_merged_is_told_to_others() {
    let (mut stage, mut peer) = stage();
    let told = |stage: &Stage| {
        let mut events = stage.events();
        events.retain(|envelope| !envelope.event.is_notice());
        events
    };
    let before = told(&stage);
    let new = image(&[blob(1)]).tagged(&["v"]);
    stage.say(merge(peer.puts(&new)));
    stage.done(peer.bytes(&new));
    stage.done(peer.blob(blob(1)));
    assert_eq!(stage.resolve("a", "v"), Some(new.digest));
    stage.say(merge(peer.untags("a", "v", new.digest)));
    stage.say(merge(peer.deletes("a", new.digest)));
    assert!(!stage.has_manifest("a", new.digest));
    assert_eq!(told(&stage), before);
}

#[test]
fn the_newest_value_of_a_tag_wins_and_the_losers_manifest_stays() {
    for is_swapped in [false, true] {
        let (mut stage, mut us) = stage();
        let mut ap = Peer::of(&stage, "ap");
        let (one, two) = (image(&[]).tagged(&["v"]), index(&[]).tagged(&["v"]));
        us.now += 5;
        // At one time, the greater name of a region decides.
        ap.now += 5;
        let mut events = [ap.puts(&one), us.puts(&two)];
        if is_swapped {
            events.reverse();
        }
        for events in events {
            stage.say(merge(events));
        }
        stage.done(us.bytes(&one));
        stage.done(us.bytes(&two));
        assert_eq!(stage.resolve("a", "v"), Some(two.digest));
        assert!(stage.has_manifest("a", one.digest));
    }
}

#[test]
fn deleted_stays_deleted_whatever_comes_first() {
    let (mut stage, mut peer) = stage();
    let new = image(&[]).tagged(&["v"]);
    let put = peer.puts(&new);
    let mut ap = Peer::of(&stage, "ap");
    ap.now += 1;
    stage.say(merge(ap.deletes("a", new.digest)));
    stage.say(merge(put));
    assert!(wanted(&stage, "a").is_empty());
    assert_eq!(stage.say(peer.bytes(&new)), Reply::Nothing);
    assert_eq!(stage.resolve("a", "v"), None);
    // A newer put brings the manifest back, and its own tags only.
    peer.now += 2;
    stage.say(merge(peer.puts(&new.clone().tagged(&["w"]))));
    assert_eq!(wanted(&stage, "a"), [new.digest]);
    stage.done(peer.bytes(&new));
    assert_eq!(stage.tags("a"), ["w"]);
    // An older deletion does not take it away again.
    let mut sa = Peer::of(&stage, "sa");
    stage.say(merge(sa.deletes("a", new.digest)));
    assert_eq!(stage.tags("a"), ["w"]);
}

#[test]
fn a_tag_that_was_deleted_elsewhere_is_gone_and_its_manifest_is_not() {
    let (mut stage, mut peer) = stage();
    let new = image(&[]).tagged(&["v", "w"]);
    stage.put(new.clone());
    peer.now = stage.now + 1;
    stage.say(merge(peer.untags("a", "v", new.digest)));
    assert_eq!(stage.tags("a"), ["w"]);
    assert!(stage.has_manifest("a", new.digest));
    let mut late = Peer::of(&stage, "ap");
    late.now = DAWN;
    stage.say(merge(late.untags("a", "w", new.digest)));
    assert_eq!(stage.tags("a"), ["w"], "an older deletion loses");
}

#[test]
fn a_put_raises_what_it_stands_on_though_it_loses() {
    let (mut stage, mut peer) = stage();
    let child = image(&[]);
    let top = index(&[child.leaf()]).tagged(&["v"]);
    let put = peer.puts(&top);
    // The tag is lost to a newer put, and the child was deleted before the index was put.
    let ours = image(&[stage.upload("a", 9)]);
    stage.put(ours.tagged(&["v"]));
    let mut ap = Peer::of(&stage, "ap");
    ap.now = DAWN;
    stage.say(merge(ap.deletes("a", child.digest)));
    stage.say(merge(put));
    let mut both = [top.digest, child.digest];
    both.sort();
    assert_eq!(wanted(&stage, "a"), both);
}

#[test]
fn a_child_that_was_deleted_elsewhere_stays_while_an_index_needs_it() {
    let (mut stage, mut peer) = stage();
    let child = image(&[]).tagged(&["v"]);
    let top = index(&[child.leaf()]);
    stage.put(child.clone());
    stage.put(top.clone());
    peer.now = stage.now + 5;
    stage.say(merge(peer.deletes("a", child.digest)));
    assert!(stage.has_manifest("a", child.digest));
    assert_eq!(stage.resolve("a", "v"), None, "its tags are gone");
    let in_use = refused(Refusal::InUse(vec![top.digest]));
    assert_eq!(stage.delete("a", child.digest), in_use);
    stage.say(merge(peer.deletes("a", top.digest)));
    assert!(!stage.has_manifest("a", child.digest));
    assert_eq!(stage.usage().manifests, 0);
}

#[test]
fn the_newest_put_decides_the_media_type() {
    let (mut stage, mut peer) = stage();
    let plain = image(&[]);
    let docker = meridian_catalog::NewManifest {
        media_type: MediaType::DOCKER_MANIFEST,
        ..plain.clone()
    };
    let mut ap = Peer::of(&stage, "ap");
    let older = ap.puts(&plain);
    peer.now += 5;
    stage.say(merge(peer.puts(&docker)));
    stage.say(merge(older));
    stage.done(peer.bytes(&plain));
    let digest = plain.digest.to_string();
    assert_eq!(
        media_type(&stage, &digest),
        Some(MediaType::DOCKER_MANIFEST)
    );
    // Whatever stands on it raises it, and is not a put of it.
    let top = index(&[plain.leaf()]);
    peer.now += 5;
    stage.say(merge(peer.puts(&top)));
    ap.now += 7;
    stage.say(merge(ap.puts(&plain)));
    assert_eq!(media_type(&stage, &digest), Some(plain.media_type));
}

#[test]
fn what_is_found_is_merged_and_comes_again_as_an_event() {
    let (mut stage, mut peer) = stage();
    let new = image(&[]).tagged(&["v"]);
    let event = peer.puts(&new);
    let version = peer.last();
    let (registry, repository) = (peer.registry, repository("a"));
    let found = |tag_version: Version, digest| {
        let cell = FoundManifest {
            manifest: new.leaf(),
            add: Some(version),
            del: None,
            put: Some(FoundPut {
                version,
                media_type: new.media_type.clone(),
            }),
            body: Some(body(&new)),
        };
        Command::MergeFound(vec![
            Found::Tag {
                registry,
                repository: repository.clone(),
                tag: FoundTag {
                    name: tag("v"),
                    version: tag_version,
                    digest,
                },
            },
            Found::Manifest {
                registry,
                repository: repository.clone(),
                cell: Box::new(cell),
            },
        ])
    };
    stage.done(found(version, Some(new.digest)));
    assert_eq!(stage.resolve("a", "v"), Some(new.digest));
    assert_eq!(stage.say(found(version, Some(new.digest))), Reply::Nothing);
    assert_eq!(query::cursors(&stage.store).unwrap(), []);
    assert_eq!(stage.say(merge(event)), merged(1));
    // What was deleted here is not brought back by whoever has not heard of it.
    stage.untag("a", "v");
    stage.delete("a", new.digest);
    assert_eq!(stage.say(found(version, Some(new.digest))), Reply::Nothing);
    assert_eq!(stage.resolve("a", "v"), None);
    let ahead = Version {
        millis: stage.now + 60_001,
        ..version
    };
    assert_eq!(
        stage.say(found(ahead, None)),
        refused(Refusal::Ahead(ahead))
    );
}

#[test]
fn a_found_tag_is_enough_to_want_its_manifest() {
    let (mut stage, mut peer) = stage();
    let new = image(&[]);
    peer.puts(&new);
    stage.done(Command::MergeFound(vec![Found::Tag {
        registry: peer.registry,
        repository: repository("a"),
        tag: FoundTag {
            name: tag("v"),
            version: peer.last(),
            digest: Some(new.digest),
        },
    }]));
    assert_eq!(wanted(&stage, "a"), [new.digest]);
    stage.done(peer.bytes(&new));
    assert_eq!(stage.resolve("a", "v"), Some(new.digest));
}

#[test]
fn a_blob_that_was_deleted_elsewhere_loses_older_leases_only() {
    let (mut stage, mut peer) = stage();
    let (free, held, fresh) = (
        stage.upload("a", 1),
        stage.upload("a", 2),
        stage.upload("a", 3),
    );
    let holder = image(&[held]);
    stage.put(holder.clone());
    peer.now = stage.now + 5;
    let deletions = [free, held, fresh].map(|blob| peer.deletes_blob("a", blob.digest));
    stage.now += 10;
    stage.touch("a", fresh.digest);
    for deletion in deletions {
        assert!(matches!(stage.say(merge(deletion)), Reply::Merged { .. }));
    }
    assert!(!stage.has_blob("a", free.digest));
    assert!(stage.has_blob("a", held.digest) && stage.has_blob("a", fresh.digest));
    // It has its grace, and what a manifest needed has no more than that once that is gone.
    assert_eq!(stage.condemn(&[free]), 0);
    stage.delete("a", holder.digest);
    stage.now += 400;
    assert_eq!(stage.condemn(&[free, held, fresh]), 2);
}

fn create(peer: &mut Peer, name: &str) -> Event {
    let version = Version::next(Some(peer.last()), peer.now, peer.region);
    peer.registry = RegistryId::new(version);
    Event::RegistryCreated { name: name.into() }
}

fn bearer(stage: &Stage, name: &str) -> Option<RegistryId> {
    let name: RegistryName = name.parse().unwrap();
    query::registry(&stage.store, &name).unwrap()
}

#[test]
fn a_name_belongs_to_the_oldest_registry_whatever_comes_first() {
    let (mut stage, mut peer) = stage();
    let default = stage.id();
    peer.puts(&image(&[]));
    let event = create(&mut peer, "default");
    let younger = peer.registry;
    stage.say(merge(peer.says(event)));
    assert_eq!(bearer(&stage, "default"), Some(default));
    assert_eq!(bearer(&stage, &format!("default-{younger}")), Some(younger));

    let mut ap = Peer::of(&stage, "ap");
    ap.now = DAWN - 1_000;
    ap.puts(&image(&[]));
    let event = create(&mut ap, "default");
    let older = ap.registry;
    assert!(matches!(
        stage.say(merge(ap.says(event))),
        Reply::Merged { .. }
    ));
    assert_eq!(bearer(&stage, "default"), Some(older));
    assert_eq!(bearer(&stage, &format!("default-{default}")), Some(default));
    assert_eq!(bearer(&stage, &format!("default-{younger}")), Some(younger));
}

#[test]
fn a_name_that_is_long_is_cut_and_one_that_is_taken_is_left() {
    let (mut stage, mut peer) = stage();
    peer.puts(&image(&[]));
    let long = format!("a{}-{}", "b".repeat(36), "c".repeat(25));
    let name: RegistryName = long.parse().unwrap();
    stage.done(Command::CreateRegistry { name });
    peer.now = stage.now + 10;
    let event = create(&mut peer, &long);
    let twin = peer.registry;
    stage.say(merge(peer.says(event)));
    let suffix = format!("-{twin}");
    let alias = format!("{}{suffix}", &long[..63 - suffix.len()]);
    assert_eq!(bearer(&stage, alias.trim_end_matches('-')), Some(twin));
    // Whoever was created under just that name has it.
    let name: RegistryName = alias.parse().unwrap();
    let exists = stage.say(Command::CreateRegistry { name });
    assert_eq!(exists, refused(Refusal::RegistryExists));
    peer.now += 10;
    let event = create(&mut peer, &alias);
    stage.say(merge(peer.says(event)));
    assert_eq!(bearer(&stage, &alias), Some(peer.registry));
    // What is no name bears none, and harms nobody.
    let event = create(&mut peer, "No Name");
    assert!(matches!(
        stage.say(merge(peer.says(event))),
        Reply::Merged { .. }
    ));
}

#[test]
fn the_first_registry_is_founded_once_and_takes_nobodys_place() {
    let mut stage = Stage::new(SETTINGS);
    let found = |name: &str| Command::FoundRegistry {
        id: RegistryId::first(),
        name: name.parse().unwrap(),
    };
    let before = stage.events();
    assert_eq!(
        stage.say(found("default")),
        refused(Refusal::RegistryExists)
    );
    stage.done(found("first"));
    assert_eq!(bearer(&stage, "first"), Some(RegistryId::first()));
    assert_eq!(stage.say(found("first")), Reply::Nothing);
    assert_eq!(stage.events(), before);
    // Regions that begin with it do not begin with twins.
    let mut peer = Peer::of(&stage, "us");
    peer.registry = RegistryId::first();
    let new = image(&[]).tagged(&["v"]);
    stage.say(merge(peer.puts(&new)));
    stage.done(peer.bytes(&new));
    let view = query::manifest_stat(
        &stage.store,
        RegistryId::first(),
        &repository("a"),
        &"v".parse().unwrap(),
    );
    assert!(view.unwrap().is_some());
}

#[test]
fn what_happens_in_a_registry_may_be_heard_of_before_the_registry() {
    let (mut stage, mut peer) = stage();
    peer.puts(&image(&[]));
    let event = create(&mut peer, "other");
    let created = peer.says(event);
    let new = image(&[]).tagged(&["v"]);
    let reply = stage.say(merge(peer.puts(&new)));
    assert!(matches!(
        reply,
        Reply::Merged { .. } | Reply::Refused(Refusal::Gap { .. })
    ));
    let cell = FoundManifest {
        manifest: new.leaf(),
        add: Some(peer.last()),
        del: None,
        put: None,
        body: Some(body(&new)),
    };
    stage.done(Command::MergeFound(vec![Found::Manifest {
        registry: peer.registry,
        repository: repository("a"),
        cell: Box::new(cell),
    }]));
    assert_eq!(bearer(&stage, "other"), None);
    stage.say(merge(created));
    assert_eq!(bearer(&stage, "other"), Some(peer.registry));
    let name = repository("a");
    let view = query::manifest_stat(&stage.store, peer.registry, &name, &new.digest.into());
    assert!(view.unwrap().is_some());
}

#[test]
fn a_request_that_merged_is_answered_again() {
    let (mut stage, mut peer) = stage();
    let entry = Entry {
        millis: stage.now,
        request: Some(meridian_catalog::RequestId([9; 16])),
        trace: None,
        command: merge(peer.puts(&image(&[]))),
    };
    assert_eq!(stage.apply(&entry), merged(1));
    assert_eq!(stage.apply(&entry), merged(1));
}

#[test]
fn commands_here_and_elsewhere_meet() {
    let (mut stage, mut peer) = stage();
    let new = image(&[]).tagged(&["v"]);
    // Deleted here, put there a moment later: it is there.
    stage.put(new.clone());
    let deleted = stage.done(delete_manifest("a", new.digest, None));
    peer.now = deleted.millis + 1;
    stage.say(merge(peer.puts(&new)));
    stage.done(peer.bytes(&new));
    assert_eq!(stage.resolve("a", "v"), Some(new.digest));
    assert_eq!(stage.usage().unexposed, 0);
}
