//! Blobs: uploaded, mounted, touched, deleted; and objects that are named once.

use meridian_catalog::{BlobPlace, Collect, Command, ObjectKey, Refusal, Reply, query};
use meridian_event::{Event, Leaf};

use crate::stage::{GIVEN, SETTINGS, Stage, blob, image, new_blob, object, put_blob, repository};

fn refused(refusal: Refusal) -> Reply {
    Reply::Refused(refusal)
}

fn is_done(reply: &Reply) -> bool {
    matches!(reply, Reply::Done { .. })
}

#[test]
fn an_uploaded_blob_is_present_in_its_repository_only() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    let view = stage.blob("a", leaf.digest).unwrap();
    assert_eq!(view.size, 5);
    assert_eq!(view.place, BlobPlace::Stored(object(5)));
    assert!(!view.wants_touch);
    assert!(!stage.has_blob("b", leaf.digest));
    assert_eq!((stage.usage().blobs, stage.usage().blob_bytes), (1, 5));
}

#[test]
fn a_small_blob_lives_in_its_record() {
    let mut stage = Stage::new(SETTINGS);
    let place = BlobPlace::Inline(b"{}".to_vec());
    stage.done(put_blob("a", blob(2), place.clone()));
    assert_eq!(stage.blob("a", blob(2).digest).unwrap().place, place);
    stage.now += 1_000;
    assert_eq!(stage.condemn(&[blob(2)]), 1);
    assert_eq!(stage.remove(&[blob(2)]), 1);
    assert!(stage.doomed().is_empty(), "there is no object to delete");
}

#[test]
fn an_object_that_was_uploaded_in_vain_is_doomed() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    let reply = stage.say(put_blob("b", leaf, BlobPlace::Stored(object(77))));
    let keeps = |reply: &Reply| matches!(reply, Reply::Kept { object: it, .. } if *it == object(5));
    assert!(keeps(&reply), "{reply:?}");
    assert_eq!(stage.doomed(), [object(77)].into());
    let view = stage.blob("b", leaf.digest).unwrap();
    assert_eq!(
        view.place,
        BlobPlace::Stored(object(5)),
        "the first one stays"
    );
    assert_eq!(stage.usage().blobs, 1);
    let reply = stage.say(put_blob("b", leaf, BlobPlace::Inline(vec![0; 5])));
    assert!(keeps(&reply), "{reply:?}");
    assert_eq!(stage.doomed(), [object(77)].into());
}

#[test]
fn a_put_that_comes_again_harms_nothing() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    let again = put_blob("a", leaf, BlobPlace::Stored(object(5)));
    stage.done(again);
    assert!(stage.doomed().is_empty(), "its own object is not redundant");
    // It is another blob's object, too, that must not be doomed.
    stage.done(put_blob("a", blob(6), BlobPlace::Stored(object(6))));
    stage.done(put_blob("a", leaf, BlobPlace::Stored(object(6))));
    assert!(stage.doomed().is_empty());
    let view = stage.blob("a", blob(6).digest).unwrap();
    assert_eq!(view.place, BlobPlace::Stored(object(6)));
}

#[test]
fn a_put_that_comes_after_its_object_was_deleted_is_refused() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    let again = put_blob("a", leaf, BlobPlace::Stored(object(5)));
    assert!(is_done(&stage.delete_blob("a", leaf.digest)));
    stage.now += 400;
    assert_eq!((stage.condemn(&[leaf]), stage.remove(&[leaf])), (1, 1));
    assert_eq!(stage.doomed(), [object(5)].into());
    let unknown = refused(Refusal::BlobUnknown);
    assert_eq!(stage.say(again.clone()), unknown, "the object is doomed");
    assert_eq!(stage.collect(Collect::Deleted(vec![object(5)])), 1);
    assert_eq!(stage.say(again), unknown, "the object is gone");
    let other = put_blob("a", blob(6), BlobPlace::Stored(object(5)));
    assert_eq!(stage.say(other), unknown, "whichever blob it is to be");
    stage.done(put_blob("a", leaf, BlobPlace::Stored(object(50))));
    assert!(stage.has_blob("a", leaf.digest), "a new upload is welcome");
}

#[test]
fn what_was_lost_and_is_uploaded_again_is_found_at_its_new_place() {
    for place in [BlobPlace::Stored(object(50)), BlobPlace::Inline(vec![0; 5])] {
        let mut stage = Stage::new(SETTINGS);
        let leaf = stage.push(image(&[blob(5)]));
        let heal = |lost: u64, place: &BlobPlace| {
            let mut new = new_blob("a", blob(5), place.clone());
            new.instead_of = Some(object(lost));
            Command::RecordBlob(Box::new(new))
        };
        stage.done(heal(5, &place));
        let placed = |stage: &Stage| stage.blob("a", blob(5).digest).unwrap().place;
        assert_eq!(placed(&stage), place);
        assert_eq!(
            stage.doomed(),
            [object(5)].into(),
            "whatever is left of it goes"
        );
        assert_eq!(stage.usage().blobs, 1);
        // Somebody else found the same, and comes later: it is not lost any more.
        stage.done(heal(5, &BlobPlace::Stored(object(51))));
        assert_eq!(placed(&stage), place);
        assert_eq!(stage.doomed(), [object(5), object(51)].into());
        // It comes again, long after.
        stage.done(heal(5, &place));
        assert_eq!(placed(&stage), place);
        assert_eq!(stage.doomed(), [object(5), object(51)].into());
        assert!(stage.has_manifest("a", leaf.digest));
    }
}

#[test]
fn what_was_lost_is_not_replaced_by_what_may_be_gone() {
    let mut stage = Stage::new(SETTINGS);
    stage.upload("a", 5);
    assert_eq!(stage.doom(&[object(50)]), 1);
    let mut new = new_blob("a", blob(5), BlobPlace::Stored(object(50)));
    new.instead_of = Some(object(5));
    let reply = stage.say(Command::RecordBlob(Box::new(new)));
    assert_eq!(reply, refused(Refusal::BlobUnknown));
}

#[test]
fn only_an_object_that_was_made_for_the_registry_is_named() {
    let mut stage = Stage::new(SETTINGS);
    let other = "other".parse().unwrap();
    stage.done(Command::CreateRegistry { name: other });
    let other = query::registry(&stage.store, &"other".parse().unwrap()).unwrap();
    let id = Some(stage.id());
    let foreign = refused(Refusal::ObjectForeign);
    let key = |epoch, generation| ObjectKey { epoch, generation };
    for (owner, object, reply) in [
        (other, key(1, 5), Some(&foreign)),
        (id, key(1, 0), Some(&foreign)),
        (id, key(1, GIVEN + 1), Some(&foreign)),
        (id, key(2, 1), Some(&foreign)),
        (None, key(1, GIVEN + 1), Some(&foreign)),
        (id, key(1, GIVEN), None),
        (id, key(0, u64::MAX), None),
        (None, key(1, 5), None),
    ] {
        let mut stage = stage.clone();
        let mut new = new_blob("a", blob(5), BlobPlace::Stored(object));
        new.owner = owner;
        let said = stage.say(Command::RecordBlob(Box::new(new)));
        assert_eq!(
            Some(&said).filter(|said| !is_done(said)),
            reply,
            "{object:?}"
        );
    }
}

#[test]
fn an_entry_of_before_records_a_blob() {
    let mut stage = Stage::new(SETTINGS);
    let put = |generation| Command::PutBlob {
        registry: crate::stage::registry(),
        repository: repository("a"),
        blob: blob(5),
        encoding: meridian_catalog::Encoding::Plain,
        place: BlobPlace::Stored(object(generation)),
    };
    stage.done(put(5));
    stage.done(put(6));
    let place = stage.blob("a", blob(5).digest).unwrap().place;
    assert_eq!(place, BlobPlace::Stored(object(5)));
    assert_eq!(stage.doomed(), [object(6)].into());
}

#[test]
fn a_blob_of_another_size_is_refused() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    let wrong = Leaf { size: 6, ..leaf };
    let reply = stage.say(put_blob("a", wrong, BlobPlace::Stored(object(50))));
    assert_eq!(reply, refused(Refusal::SizesDiffer(vec![leaf.digest])));
}

#[test]
fn sizes_that_cannot_be_do_not_stop_the_region() {
    let mut stage = Stage::new(SETTINGS);
    let huge = [1, 2, 3].map(|number| Leaf {
        size: u64::MAX,
        ..blob(number)
    });
    for (leaf, generation) in huge.into_iter().zip(1..) {
        stage.done(put_blob("a", leaf, BlobPlace::Stored(object(generation))));
    }
    stage.now += 1_000;
    assert_eq!((stage.condemn(&huge), stage.remove(&huge)), (3, 3));
    assert_eq!(stage.usage(), meridian_catalog::Usage::default());
}

#[test]
fn a_blob_is_mounted_from_where_it_is() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    assert_eq!(stage.mount("c", Some("b"), leaf.digest), Reply::Nothing);
    assert_eq!(stage.mount("c", Some("a"), blob(6).digest), Reply::Nothing);
    assert!(is_done(&stage.mount("b", Some("a"), leaf.digest)));
    assert!(is_done(&stage.mount("c", None, leaf.digest)));
    let events = stage.events();
    let mounted: Vec<_> = events[events.len() - 2..]
        .iter()
        .map(|envelope| envelope.event.clone())
        .collect();
    let event = |to: &str, from: Option<&str>| Event::BlobPut {
        repository: repository(to),
        blob: leaf,
        mounted_from: from.map(repository),
    };
    assert_eq!(mounted, [event("b", Some("a")), event("c", None)]);
    assert_eq!(stage.usage().blobs, 1);
    for name in ["a", "b", "c"] {
        assert!(is_done(&stage.delete_blob(name, leaf.digest)));
    }
    // It is recorded still, but nowhere present: nobody may learn of it.
    assert_eq!(stage.usage().blobs, 1);
    assert_eq!(stage.mount("a", None, leaf.digest), Reply::Nothing);
}

#[test]
fn a_blob_of_another_registry_cannot_be_mounted() {
    let mut stage = Stage::new(SETTINGS);
    let other = Command::CreateRegistry {
        name: "other".parse().unwrap(),
    };
    stage.done(other);
    let leaf = stage.upload("a", 5);
    let mount = |from: Option<&str>| Command::MountBlob {
        registry: "other".parse().unwrap(),
        repository: repository("a"),
        from: from.map(repository),
        digest: leaf.digest,
    };
    assert_eq!(stage.say(mount(None)), Reply::Nothing);
    assert_eq!(stage.say(mount(Some("a"))), Reply::Nothing);
    let missing = Command::MountBlob {
        registry: "third".parse().unwrap(),
        repository: repository("a"),
        from: None,
        digest: leaf.digest,
    };
    assert_eq!(stage.say(missing), refused(Refusal::RegistryUnknown));
}

#[test]
fn a_touch_is_wanted_in_the_second_half_of_a_lease_only() {
    let mut stage = Stage::new(SETTINGS);
    let (bare, needed) = (stage.upload("a", 5), stage.upload("a", 6));
    stage.put(image(&[needed]));
    let wants = |stage: &Stage, leaf: Leaf| stage.blob("a", leaf.digest).unwrap().wants_touch;
    stage.now += 500;
    assert!(!wants(&stage, bare));
    stage.now += 1;
    assert!(wants(&stage, bare));
    assert!(!wants(&stage, needed), "a manifest keeps it");
    let events = stage.events().len();
    assert!(is_done(&stage.touch("a", bare.digest)));
    assert_eq!(stage.events().len(), events, "a lease is regional");
    assert!(!wants(&stage, bare));
    let absent = stage.touch("b", bare.digest);
    assert_eq!(absent, refused(Refusal::BlobUnknown));
}

#[test]
fn a_lease_is_never_shortened() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    let shorter = meridian_catalog::Settings {
        lease_millis: 100,
        ..SETTINGS
    };
    stage.done(Command::Configure(shorter));
    stage.touch("a", leaf.digest);
    stage.now += 999;
    assert_eq!(stage.condemn(&[leaf]), 0);
    stage.now += 1;
    assert_eq!(stage.condemn(&[leaf]), 1);
}

#[test]
fn a_deleted_blob_is_gone_from_one_repository() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.mount("b", None, leaf.digest);
    assert!(is_done(&stage.delete_blob("a", leaf.digest)));
    assert!(!stage.has_blob("a", leaf.digest));
    assert!(stage.has_blob("b", leaf.digest));
    let again = stage.delete_blob("a", leaf.digest);
    assert_eq!(again, refused(Refusal::BlobUnknown));
    let id = stage.id();
    assert!(!query::is_repository(&stage.store, id, &repository("a")).unwrap());
    assert!(query::is_repository(&stage.store, id, &repository("b")).unwrap());
}

#[test]
fn an_object_is_known_while_it_is_named_or_doomed() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    let is_known = |stage: &Stage| query::is_known(&stage.store, object(5)).unwrap();
    assert!(is_known(&stage));
    stage.now += 1_000;
    stage.condemn(&[leaf]);
    stage.remove(&[leaf]);
    assert!(is_known(&stage));
    stage.collect(Collect::Deleted(vec![object(5)]));
    assert!(!is_known(&stage));
    assert!(!query::is_known(&stage.store, object(6)).unwrap());
}
