//! Collection: what keeps a blob, to the millisecond, and what takes it back.

use meridian_catalog::{
    BlobPlace, Collect, Command, Entry, ObjectKey, Refusal, Reply, RequestId, Settings, query,
};
use meridian_event::Leaf;

use crate::stage::{GIVEN, Manifested, SETTINGS, Stage, blob, image, object, put_blob};

/// Condemns and removes in turn; returns whether it is gone.
fn collect(stage: &mut Stage, leaf: Leaf) -> bool {
    stage.condemn(&[leaf]) + stage.remove(&[leaf]) == 2
}

/// Whether anything holds a blob whose turn has come.
fn due(stage: &Stage) -> Vec<(Leaf, bool)> {
    let due = query::due(&stage.store, stage.now, 100).unwrap();
    let due = due.into_iter().map(|due| {
        let leaf = Leaf {
            digest: due.digest,
            size: due.size,
        };
        (leaf, due.held)
    });
    due.collect()
}

#[test]
fn a_lease_keeps_a_blob_to_the_millisecond() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.now += 999;
    assert_eq!(stage.condemn(&[leaf]), 0);
    stage.now += 1;
    assert_eq!(due(&stage), [(leaf, false)]);
    assert!(collect(&mut stage, leaf));
    assert!(!stage.has_blob("a", leaf.digest));
    assert_eq!(stage.doomed(), [object(5)].into());
    assert_eq!(stage.usage(), meridian_catalog::Usage::default());
}

#[test]
fn the_last_lease_of_several_repositories_keeps_a_blob() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.now += 600;
    stage.mount("b", Some("a"), leaf.digest);
    stage.now += 400;
    assert!(!collect(&mut stage, leaf));
    stage.now += 600;
    assert!(collect(&mut stage, leaf));
}

#[test]
fn a_manifest_keeps_its_blobs_for_ever() {
    let mut stage = Stage::new(SETTINGS);
    let image = image(&[blob(5)]);
    stage.push(image.clone());
    stage.now += 1_000_000;
    assert!(!collect(&mut stage, blob(5)));
    assert!(due(&stage).is_empty(), "its turn does not come again");
    stage.delete("a", image.digest);
    assert!(!collect(&mut stage, blob(5)));
    stage.now += 399;
    assert!(!collect(&mut stage, blob(5)));
    stage.now += 1;
    assert!(collect(&mut stage, blob(5)));
}

#[test]
fn a_manifest_of_another_repository_keeps_a_blob() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.mount("b", Some("a"), leaf.digest);
    let image = image(&[leaf]).within("b");
    stage.put(image.clone());
    stage.now += 10_000;
    assert!(!collect(&mut stage, leaf));
    assert!(stage.has_blob("a", leaf.digest));
    stage.delete("b", image.digest);
    stage.now += 400;
    assert!(collect(&mut stage, leaf));
    assert!(!stage.has_blob("a", leaf.digest));
}

#[test]
fn whatever_takes_a_condemned_blob_revives_it() {
    let ways: [fn(&mut Stage, Leaf) -> Reply; 5] = [
        |stage, leaf| stage.touch("a", leaf.digest),
        |stage, leaf| stage.mount("b", Some("a"), leaf.digest),
        |stage, leaf| stage.mount("b", None, leaf.digest),
        |stage, leaf| stage.put(image(&[leaf])),
        |stage, leaf| stage.say(put_blob("c", leaf, BlobPlace::Stored(object(50)))),
    ];
    for way in ways {
        let mut stage = Stage::new(SETTINGS);
        let leaf = stage.upload("a", 5);
        stage.now += 1_000;
        assert_eq!(stage.condemn(&[leaf]), 1);
        let reply = way(&mut stage, leaf);
        assert!(matches!(reply, Reply::Done { .. } | Reply::Kept { .. }));
        assert_eq!(stage.remove(&[leaf]), 0);
        assert!(stage.has_blob("a", leaf.digest));
    }
}

#[test]
fn a_condemned_blob_that_is_deleted_has_its_grace() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.now += 1_000;
    stage.condemn(&[leaf]);
    stage.delete_blob("a", leaf.digest);
    assert!(!collect(&mut stage, leaf));
    stage.now += 400;
    assert!(collect(&mut stage, leaf));
}

#[test]
fn a_condemned_blob_still_serves_and_asks_to_be_touched() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.now += 1_000;
    stage.condemn(&[leaf]);
    assert!(stage.blob("a", leaf.digest).unwrap().wants_touch);
}

#[test]
fn stale_candidates_are_harmless() {
    let mut stage = Stage::new(SETTINGS);
    let (fresh, unknown) = (stage.upload("a", 5), blob(6));
    assert_eq!(stage.remove(&[fresh, unknown]), 0, "it was never condemned");
    assert_eq!(stage.condemn(&[fresh, unknown]), 0);
    stage.now += 1_000;
    assert_eq!(stage.condemn(&[fresh, fresh, unknown]), 1);
    assert_eq!(stage.condemn(&[fresh]), 0, "once is enough");
    assert_eq!(stage.remove(&[fresh, fresh, unknown]), 1);
    assert_eq!(stage.remove(&[fresh]), 0);
    let other = meridian_event::RegistryId::new(query::system(&stage.store).unwrap().unwrap().last);
    let elsewhere = Collect::Remove(vec![(other, fresh.digest)]);
    assert_eq!(stage.collect(elsewhere), 0);
}

#[test]
fn an_object_is_forgotten_once_and_only_if_it_was_doomed() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.done(put_blob("a", leaf, BlobPlace::Stored(object(6))));
    let keys = vec![object(5), object(6), object(6), object(7)];
    assert_eq!(stage.collect(Collect::Deleted(keys)), 1);
    assert!(stage.doomed().is_empty());
    assert!(stage.has_blob("a", leaf.digest));
}

#[test]
fn an_orphan_is_doomed_and_can_never_be_named() {
    let mut stage = Stage::new(SETTINGS);
    assert_eq!(stage.doom(&[object(5), object(6), object(5)]), 2);
    assert_eq!(stage.doomed(), [object(5), object(6)].into());
    assert_eq!(stage.doom(&[object(5)]), 0, "it is in good hands");
    let unknown = Reply::Refused(Refusal::BlobUnknown);
    let put = |number| put_blob("a", blob(number), BlobPlace::Stored(object(5)));
    assert_eq!(stage.say(put(5)), unknown);
    assert_eq!(
        stage.collect(Collect::Deleted(vec![object(5), object(6)])),
        2
    );
    stage.now += 1_000_000_000;
    assert_eq!(stage.say(put(5)), unknown, "however late");
    assert_eq!(stage.say(put(6)), unknown, "whatever it is to be");
    // A power cut may bring a deleted file back.
    assert_eq!(stage.doom(&[object(5)]), 1);
    assert_eq!(stage.doomed(), [object(5)].into());
    stage.done(put_blob("a", blob(5), BlobPlace::Stored(object(50))));
    assert!(
        stage.has_blob("a", blob(5).digest),
        "a new object is welcome"
    );
}

#[test]
fn what_is_named_is_no_orphan() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    assert_eq!(stage.doom(&[object(5)]), 0);
    stage.now += 1_000;
    stage.condemn(&[leaf]);
    assert_eq!(stage.doom(&[object(5)]), 0, "it may be revived");
    stage.remove(&[leaf]);
    assert_eq!(stage.doom(&[object(5)]), 0, "it is doomed");
    assert_eq!(stage.doomed(), [object(5)].into());
}

#[test]
fn what_is_not_known_here_is_left_alone() {
    let mut stage = Stage::new(SETTINGS);
    let key = |epoch, generation| ObjectKey { epoch, generation };
    let unknown = [
        key(1, 0),
        key(1, GIVEN + 1),
        key(2, 1),
        key(u64::MAX, u64::MAX),
    ];
    assert_eq!(stage.doom(&unknown), 0);
    let last = query::system(&stage.store).unwrap().unwrap().last;
    let nowhere = meridian_event::RegistryId::new(last);
    let step = Collect::Doom(vec![(nowhere, object(5))]);
    assert_eq!(stage.collect(step), 0);
    assert!(stage.doomed().is_empty());
    assert_eq!(stage.doom(&[key(0, 7), key(1, GIVEN)]), 2);
}

#[test]
fn a_doom_that_is_said_again_is_answered_as_before() {
    let mut stage = Stage::new(SETTINGS);
    let entry = Entry {
        millis: stage.now,
        request: Some(RequestId([9; 16])),
        trace: None,
        command: Command::Collect(Collect::Doom(vec![(stage.id(), object(5))])),
    };
    let first = stage.apply(&entry);
    assert_eq!(
        first,
        Reply::Collected {
            objects: 1,
            bytes: 0
        }
    );
    stage.collect(Collect::Deleted(vec![object(5)]));
    assert_eq!(stage.apply(&entry), first);
    assert!(stage.doomed().is_empty(), "it has its effect once");
}

#[test]
fn a_longer_grace_holds_for_what_is_condemned() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.now += 1_000;
    assert_eq!(stage.condemn(&[leaf]), 1);
    stage.done(Command::Configure(Settings {
        grace_millis: 5_000,
        ..SETTINGS
    }));
    assert_eq!(due(&stage), [(leaf, true)]);
    assert_eq!(stage.remove(&[leaf]), 0);
    assert!(
        due(&stage).is_empty(),
        "it does not stand in the way of others"
    );
    stage.now += 4_000;
    assert!(collect(&mut stage, leaf));
}

#[test]
fn without_lease_and_grace_a_blob_goes_at_once() {
    let mut stage = Stage::new(Settings {
        lease_millis: 0,
        grace_millis: 0,
        ..SETTINGS
    });
    let leaf = stage.upload("a", 5);
    assert!(collect(&mut stage, leaf));
}

#[test]
fn a_blob_in_a_great_many_repositories_goes_in_several_steps() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = blob(5);
    // Said directly, because checking the whole state after each would take minutes.
    for number in 0..1_700 {
        let command = put_blob(&format!("r{number}"), leaf, BlobPlace::Stored(object(5)));
        let entry = Entry {
            millis: stage.now,
            request: None,
            trace: None,
            command,
        };
        meridian_catalog::apply(&mut stage.store, &entry).unwrap();
    }
    stage.now += 1_000;
    assert_eq!(stage.condemn(&[leaf]), 1);
    assert_eq!(stage.remove(&[leaf]), 0);
    assert_eq!(stage.usage().repositories, 700);
    let mut undecided = stage.clone();
    assert_eq!(stage.remove(&[leaf]), 1);
    assert_eq!(stage.doomed(), [object(5)].into());
    assert_eq!(stage.usage(), meridian_catalog::Usage::default());
    // Where it is still linked, it may still be taken.
    assert!(undecided.has_blob("r999", leaf.digest));
    assert!(matches!(
        undecided.mount("r0", Some("r999"), leaf.digest),
        Reply::Done { .. }
    ));
    assert_eq!(undecided.remove(&[leaf]), 0);
    assert!(undecided.has_blob("r0", leaf.digest));
}

#[test]
fn turns_come_in_the_order_of_time() {
    let mut stage = Stage::new(SETTINGS);
    for number in [3, 1, 2] {
        stage.upload("a", number);
        stage.now += 10;
    }
    assert!(due(&stage).is_empty());
    stage.now += 1_000;
    let order: Vec<_> = due(&stage).iter().map(|(leaf, _)| leaf.size).collect();
    assert_eq!(order, [3, 1, 2]);
    assert_eq!(query::due(&stage.store, stage.now, 2).unwrap().len(), 2);
}
