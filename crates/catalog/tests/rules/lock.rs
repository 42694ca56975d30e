//! Attributes: what they forbid here, and that they stand apart from what they are of.

use meridian_catalog::{BlobPlace, Refusal, Reply, query};
use meridian_event::{Attributes, Event, Target};
use meridian_oci::{MediaType, Reference};

use crate::peer::{Peer, batch, merge};
use crate::stage::{
    Manifested, SETTINGS, Stage, blob, image, index, object, put_blob, repository, tag, writable,
};

const LOCKED: Reply = Reply::Refused(Refusal::Locked);

fn of_tag(name: &str) -> Target {
    Target::Tag(tag(name))
}

fn only(set: impl FnOnce(&mut Attributes<Option<bool>>)) -> Attributes<Option<bool>> {
    let mut attributes = Attributes::default();
    set(&mut attributes);
    attributes
}

fn is_done(reply: &Reply) -> bool {
    matches!(reply, Reply::Done { .. })
}

#[test]
fn a_locked_tag_points_where_it_does() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]).tagged(&["v"]);
    let two = image(&[stage.upload("a", 2)]).tagged(&["v", "w"]);
    assert!(is_done(&stage.put(one.clone())));
    stage.lock("a", &of_tag("v"));
    assert_eq!(stage.put(two.clone()), LOCKED);
    assert_eq!(stage.resolve("a", "w"), None);
    assert_eq!(stage.untag("a", "v"), LOCKED);
    assert_eq!(stage.delete("a", one.digest), LOCKED);
    assert_eq!(stage.delete_repository("a"), LOCKED);
    // What changes nothing is not forbidden, nor is another name.
    assert!(is_done(&stage.put(one)));
    assert!(is_done(&stage.put(two.clone().tagged(&["w"]))));
    assert!(is_done(&stage.set("a", &of_tag("v"), writable(true))));
    assert!(is_done(&stage.put(two)));
    assert!(is_done(&stage.untag("a", "v")));
}

#[test]
fn a_locked_manifest_stays_and_may_be_tagged() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]);
    let two = image(&[stage.upload("a", 2)]).tagged(&["v"]);
    assert!(is_done(&stage.put(one.clone().tagged(&["v"]))));
    stage.lock("a", &Target::Manifest(one.digest));
    assert_eq!(stage.delete("a", one.digest), LOCKED);
    let mut other = one.clone();
    other.media_type = MediaType::DOCKER_MANIFEST;
    assert_eq!(stage.put(other), LOCKED);
    assert!(is_done(&stage.put(one.tagged(&["w"]))));
    assert!(is_done(&stage.put(two)));
    assert!(is_done(&stage.untag("a", "w")));
    assert_eq!(stage.delete_repository("a"), LOCKED);
}

#[test]
fn a_locked_repository_takes_nothing_and_loses_nothing() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]).tagged(&["v"]);
    assert!(is_done(&stage.put(one.clone())));
    let lone = stage.upload("a", 7);
    stage.upload("b", 9);
    stage.lock("a", &Target::Repository);
    assert_eq!(stage.put(one.clone()), LOCKED);
    let upload = put_blob("a", blob(8), BlobPlace::Stored(object(8)));
    assert_eq!(stage.say(upload), LOCKED);
    assert_eq!(stage.mount("a", Some("b"), blob(9).digest), LOCKED);
    assert_eq!(stage.untag("a", "v"), LOCKED);
    assert_eq!(stage.delete("a", one.digest), LOCKED);
    assert_eq!(stage.delete_blob("a", lone.digest), LOCKED);
    assert_eq!(stage.delete_repository("a"), LOCKED);
    assert!(is_done(&stage.set(
        "a",
        &Target::Repository,
        writable(true)
    )));
    assert!(is_done(&stage.delete("a", one.digest)));
}

#[test]
fn what_must_not_be_deleted_may_be_overwritten() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]).tagged(&["v"]);
    let two = image(&[stage.upload("a", 2)]).tagged(&["v"]);
    assert!(is_done(&stage.put(one)));
    let kept = only(|it| it.delete = Some(false));
    assert!(is_done(&stage.set("a", &of_tag("v"), kept)));
    assert_eq!(stage.untag("a", "v"), LOCKED);
    assert!(is_done(&stage.put(two)));
    assert!(is_done(&stage.set("a", &Target::Repository, kept)));
    assert_eq!(stage.untag("a", "v"), LOCKED);
    let attributes = stage.attributes("a", &of_tag("v"));
    let expected = Attributes {
        delete: false,
        ..Attributes::ENABLED
    };
    assert_eq!(attributes, expected);
}

#[test]
fn what_is_not_listed_is_found_and_what_is_not_readable_is_listed() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]).tagged(&["v", "w"]);
    assert!(is_done(&stage.put(one.clone())));
    let stat = |stage: &Stage, reference: Reference| {
        let stat = query::manifest_stat(&stage.store, stage.id(), &repository("a"), &reference);
        stat.unwrap().unwrap().is_readable
    };
    let repositories = |stage: &Stage| {
        let listed = query::repositories(&stage.store, stage.id(), None, 10);
        listed.unwrap().items
    };
    stage.set("a", &of_tag("v"), only(|it| it.list = Some(false)));
    assert_eq!(stage.tags("a"), ["w"]);
    assert!(stat(&stage, tag("v").into()));
    stage.set("a", &of_tag("v"), only(|it| it.read = Some(false)));
    assert!(!stat(&stage, tag("v").into()));
    assert!(stat(&stage, tag("w").into()) && stat(&stage, one.digest.into()));
    stage.set(
        "a",
        &Target::Manifest(one.digest),
        only(|it| it.read = Some(false)),
    );
    assert!(!stat(&stage, tag("w").into()) && !stat(&stage, one.digest.into()));
    assert_eq!(repositories(&stage), [repository("a")]);
    stage.set("a", &Target::Repository, only(|it| it.list = Some(false)));
    assert_eq!(repositories(&stage), []);
}

/// Azure/acr#592: a lock was reverted by a replication race.
#[test]
fn a_late_copy_of_an_image_never_reverts_a_lock() {
    let mut stage = Stage::new(SETTINGS);
    let mut peer = Peer::of(&stage, "us");
    let one = image(&[]).tagged(&["v"]);
    let two = image(&[blob(2)]).tagged(&["v"]);
    let put = peer.puts(&one);
    let put_again = peer.puts(&one);
    let lock = peer.sets("a", &of_tag("v"), writable(false));
    // A copy brings the lock before the image.
    let found = meridian_catalog::Found::Attributes {
        registry: peer.registry,
        repository: repository("a"),
        target: of_tag("v"),
        settings: Attributes {
            write: Some(meridian_event::Setting {
                version: peer.last(),
                is_enabled: false,
            }),
            ..Attributes::default()
        },
    };
    stage.done(meridian_catalog::Command::MergeFound(vec![found]));
    assert!(!stage.attributes("a", &of_tag("v")).write);
    stage.say(merge(batch(vec![put, put_again, lock])));
    stage.say(peer.bytes(&one));
    assert!(!stage.attributes("a", &of_tag("v")).write);
    stage.upload("a", 2);
    stage.now += 1_000;
    assert_eq!(stage.put(two), LOCKED);
    assert_eq!(stage.resolve("a", "v"), Some(one.digest));
}

#[test]
fn each_attribute_has_its_own_winner() {
    let mut stage = Stage::new(SETTINGS);
    let mut peer = Peer::of(&stage, "us");
    stage.push(image(&[]).tagged(&["v"]));
    let early = peer.sets("a", &of_tag("v"), only(|it| it.list = Some(false)));
    stage.now += 1_000;
    stage.lock("a", &of_tag("v"));
    stage.say(merge(early));
    let attributes = stage.attributes("a", &of_tag("v"));
    assert!(!attributes.write && !attributes.list && attributes.read);
    let unlock = peer.sets("a", &of_tag("v"), writable(true));
    stage.say(merge(unlock));
    assert!(!stage.attributes("a", &of_tag("v")).write);
}

#[test]
fn a_lock_is_set_on_what_is_there_or_has_one() {
    let mut stage = Stage::new(SETTINGS);
    let mut peer = Peer::of(&stage, "us");
    let digest = stage.push(image(&[]).tagged(&["v"])).digest;
    let unknown = Reply::Refused(Refusal::ManifestUnknown);
    assert_eq!(stage.set("a", &of_tag("w"), writable(false)), unknown);
    let unknown = Reply::Refused(Refusal::RepositoryUnknown);
    assert_eq!(
        stage.set("b", &Target::Repository, writable(false)),
        unknown
    );
    assert_eq!(
        stage.set("a", &of_tag("v"), Attributes::default()),
        Reply::Nothing
    );
    stage.lock("a", &of_tag("v"));
    let last = stage.events().pop().unwrap().event;
    let attributes = writable(false);
    let (repository, target) = (repository("a"), of_tag("v"));
    assert_eq!(
        last,
        Event::AttributesSet {
            repository,
            target,
            attributes
        }
    );
    // Another region, which had not heard of it, deletes the tag: the name stays locked.
    peer.now += 5_000;
    stage.say(merge(peer.untags("a", "v", digest)));
    assert_eq!(stage.put(image(&[]).tagged(&["v"])), LOCKED);
    assert!(is_done(&stage.set("a", &of_tag("v"), writable(true))));
    assert!(is_done(&stage.put(image(&[]).tagged(&["v"]))));
}

#[test]
fn an_index_stays_while_what_only_it_keeps_must_not_go() {
    let mut stage = Stage::new(SETTINGS);
    let mut us = Peer::of(&stage, "us");
    let child = image(&[]);
    let top = index(&[child.leaf()]);
    stage.say(merge(us.puts(&top)));
    stage.say(us.bytes(&top));
    stage.say(us.bytes(&child));
    us.now += 1_000;
    stage.say(merge(us.deletes("a", child.digest)));
    stage.now += 2_000;
    assert!(stage.has_manifest("a", child.digest));
    stage.lock("a", &Target::Manifest(child.digest));
    assert_eq!(
        stage.delete("a", top.digest),
        Reply::Refused(Refusal::Locked)
    );
    stage.set("a", &Target::Manifest(child.digest), writable(true));
    assert!(matches!(stage.delete("a", top.digest), Reply::Done { .. }));
}

#[test]
fn nothing_is_mounted_from_where_nothing_must_be_read() {
    let mut stage = Stage::new(SETTINGS);
    stage.push(image(&[blob(1)]));
    let read = |read| Attributes {
        read: Some(read),
        ..Attributes::default()
    };
    stage.set("a", &Target::Repository, read(false));
    assert_eq!(stage.mount("b", Some("a"), blob(1).digest), Reply::Nothing);
    stage.set("a", &Target::Repository, read(true));
    let reply = stage.mount("b", Some("a"), blob(1).digest);
    assert!(matches!(reply, Reply::Done { .. }));
}
