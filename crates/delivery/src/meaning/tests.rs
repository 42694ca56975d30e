use std::collections::BTreeSet;

use meridian_clock::Version;
use meridian_event::webhook::{Format, Sealed, Status, Webhook};
use meridian_event::{Notice, RegistryId};

use super::*;

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn version(millis: u64) -> Version {
    Version {
        millis,
        counter: 0,
        region: region("eu"),
    }
}

fn to(bound: Option<&str>, actions: &[Action], scope: &str, regions: &[&str]) -> Subscription {
    Subscription {
        id: WebhookId::new(version(1)),
        registry: RegistryId::first(),
        since: version(10),
        webhook: Webhook {
            name: "deploys".parse().unwrap(),
            region: bound.map(region),
            actions: actions.iter().copied().collect(),
            scope: scope.parse().unwrap(),
            status: Status::Enabled,
            format: Format::Acr,
            available_in: regions.iter().map(|it| region(it)).collect(),
        },
        sealed: Sealed::default(),
        failing_since: None,
    }
}

fn envelope(here: &str, seq: u64, event: Event) -> Envelope {
    Envelope {
        id: EventId {
            region: region(here),
            epoch: 1,
            shard: 7,
            seq,
        },
        version: version(1_000 + seq),
        registry: RegistryId::first(),
        event,
    }
}

fn digest() -> Digest {
    format!("sha256:{}", "a".repeat(64)).parse().unwrap()
}

fn leaf() -> Leaf {
    Leaf {
        digest: digest(),
        size: 524,
    }
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|it| it.parse().unwrap()).collect()
}

fn put(here: &str, names: &[&str]) -> Envelope {
    let event = Event::ManifestPut {
        repository: "team/app".parse().unwrap(),
        manifest: leaf(),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        tags: tags(names),
        blobs: Vec::new(),
        children: Vec::new(),
        subject: None,
    };
    envelope(here, 5, event)
}

fn notice(push: &Envelope) -> Box<Notice> {
    Box::new(Notice {
        push: push.id,
        repository: "team/app".parse().unwrap(),
        manifest: leaf(),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        tags: tags(&["v1"]),
    })
}

fn replicated(here: &str, seq: u64) -> Envelope {
    envelope(here, seq, Event::Replicated(notice(&put("eu", &["v1"]))))
}

fn everywhere(regions: &[&str]) -> Envelope {
    let event = Event::ReplicatedAll {
        notice: notice(&put("eu", &["v1"])),
        regions: regions.iter().map(|it| region(it)).collect(),
    };
    envelope("eu", 9, event)
}

fn told(envelope: &Envelope, to: &Subscription) -> Vec<(Action, String)> {
    let tag = |it: &Message| it.tag.as_ref().map(ToString::to_string);
    let messages = messages(envelope, to);
    let told = messages
        .iter()
        .map(|it| (it.action, tag(it).unwrap_or_default()));
    told.collect()
}

fn one(action: Action, tag: &str) -> Vec<(Action, String)> {
    vec![(action, tag.to_owned())]
}

const NONE: Vec<(Action, String)> = Vec::new();

#[test]
fn a_push_is_told_once_for_each_tag_in_scope() {
    let all = to(None, &[Action::Push], "", &[]);
    let pushes = told(&put("eu", &["v1", "v2"]), &all);
    let expected = ["v1", "v2"].map(|tag| (Action::Push, tag.to_owned()));
    assert_eq!(pushes, expected);
    assert_eq!(told(&put("eu", &[]), &all), one(Action::Push, ""));
    let some = to(None, &[Action::Push], "team/*:v2", &[]);
    assert_eq!(
        told(&put("eu", &["v1", "v2"]), &some),
        one(Action::Push, "v2")
    );
    assert_eq!(told(&put("eu", &[]), &some), NONE);
}

#[test]
fn deletions_are_told_apart() {
    let all = to(None, &Action::ALL, "", &[]);
    let repository: RepositoryName = "team/app".parse().unwrap();
    let digest = digest();
    let (tag, name) = ("v1".parse().unwrap(), repository.clone());
    let untag = Event::TagDeleted {
        repository: name,
        tag,
        digest,
    };
    assert_eq!(
        told(&envelope("eu", 5, untag.clone()), &all),
        one(Action::Untag, "v1")
    );
    let acr = to(None, &[Action::Push, Action::Delete], "", &[]);
    assert_eq!(told(&envelope("eu", 5, untag), &acr), NONE);
    let name = repository.clone();
    let delete = Event::ManifestDeleted {
        repository: name,
        digest,
    };
    let messages = messages(&envelope("eu", 5, delete), &acr);
    assert_eq!(
        (messages[0].action, messages[0].digest),
        (Action::Delete, Some(digest))
    );
    assert_eq!((&messages[0].tag, messages[0].size), (&None, None));
    let gone = Event::RepositoryDeleted { repository };
    let messages = super::messages(&envelope("eu", 5, gone), &acr);
    assert_eq!(
        (messages[0].action, messages[0].digest),
        (Action::Delete, None)
    );
    assert_eq!(messages.len(), 1);
}

/// Issue 5, point 6: first in the region of the push, then in each other one as it completes.
#[test]
fn a_webhook_of_a_region_is_told_of_a_push_when_that_region_can_serve_it() {
    let [eu, us] = ["eu", "us"].map(|it| to(Some(it), &[Action::Push], "", &[]));
    let (push, notice) = (put("eu", &["v1"]), replicated("us", 3));
    assert_eq!(told(&push, &eu), one(Action::Push, "v1"));
    assert_eq!(told(&push, &us), NONE);
    assert_eq!(told(&notice, &eu), NONE);
    assert_eq!(told(&notice, &us), one(Action::Push, "v1"));
    assert_eq!(told(&everywhere(&["us"]), &eu), NONE);
    let here = &messages(&notice, &us)[0];
    assert_eq!(here.push, Some(push.id));
    assert_eq!(here.position.region, region("us"));
}

#[test]
fn a_webhook_of_no_region_is_told_of_a_push_once() {
    let any = to(None, &[Action::Push], "", &[]);
    assert_eq!(told(&put("eu", &["v1"]), &any), one(Action::Push, "v1"));
    assert_eq!(told(&replicated("us", 3), &any), NONE);
    assert_eq!(told(&everywhere(&["us"]), &any), NONE);
}

#[test]
fn notices_are_told_where_they_are_made() {
    let actions = [Action::Replicated, Action::ReplicatedAll];
    for bound in [None, Some("eu")] {
        let it = to(bound, &actions, "", &[]);
        let all = everywhere(&["us"]);
        assert_eq!(told(&all, &it), one(Action::ReplicatedAll, "v1"));
        assert_eq!(messages(&all, &it)[0].regions, [region("us")]);
    }
    let us = to(Some("us"), &actions, "", &[]);
    assert_eq!(told(&everywhere(&["us"]), &us), NONE);
    assert_eq!(
        told(&replicated("us", 3), &us),
        one(Action::Replicated, "v1")
    );
    assert_eq!(
        told(&replicated("us", 3), &to(None, &actions, "", &[])).len(),
        1
    );
}

#[test]
fn a_condition_holds_a_push_back_until_the_regions_have_it() {
    let push = put("eu", &["v1"]);
    for (regions, at_push, by_us, by_both) in [
        (&["eu"][..], true, false, false),
        (&["eu", "us"], false, true, true),
        (&["us"], false, true, true),
        (&["us", "asia"], false, false, true),
        (&["moon"], false, false, false),
    ] {
        let it = to(None, &[Action::Push], "", regions);
        let is_told = |envelope: &Envelope| !told(envelope, &it).is_empty();
        assert_eq!(is_told(&push), at_push, "{regions:?}");
        assert_eq!(is_told(&everywhere(&["us"])), by_us, "{regions:?}");
        assert_eq!(
            is_told(&everywhere(&["us", "asia"])),
            by_both,
            "{regions:?}"
        );
        assert!(!is_told(&replicated("us", 3)));
    }
}

#[test]
fn nobody_is_told_of_other_registries_or_of_what_was_before() {
    let mut it = to(None, &Action::ALL, "", &[]);
    let push = put("eu", &["v1"]);
    it.since = push.version;
    assert_eq!(told(&push, &it), NONE);
    it.since = version(push.version.millis - 1);
    assert_eq!(told(&push, &it).len(), 1);
    it.registry = RegistryId::new(version(1));
    assert_eq!(told(&push, &it), NONE);
    let heartbeat = Event::Heartbeat { marks: Vec::new() };
    let all = to(None, &Action::ALL, "", &[]);
    assert_eq!(told(&envelope("eu", 5, heartbeat), &all), NONE);
}

#[test]
fn an_id_tells_event_webhook_action_and_tag_apart_and_nothing_else() {
    let all = to(None, &Action::ALL, "", &[]);
    let id = |envelope: &Envelope, to: &Subscription| messages(envelope, to)[0].id;
    let mut other = all.clone();
    other.id = WebhookId::new(version(2));
    let mut later = put("eu", &["v1"]);
    later.id.seq += 1;
    let us = to(Some("us"), &[Action::Push], "", &[]);
    let also = to(Some("us"), &[Action::Replicated], "", &[]);
    let ids = [
        id(&put("eu", &["v1"]), &all),
        id(&put("eu", &["v2"]), &all),
        id(&put("eu", &[]), &all),
        id(&put("eu", &["v1"]), &other),
        id(&later, &all),
        id(&everywhere(&["us"]), &all),
        id(&replicated("us", 3), &us),
        id(&replicated("us", 3), &also),
    ];
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    // A notice that is made again says nothing new.
    assert_eq!(
        id(&replicated("us", 3), &us),
        id(&replicated("us", 44), &us)
    );
    // Pinned: receivers know messages by it across releases.
    assert_eq!(ids[0].to_string(), "808bba9c-9ad1-88e6-a70f-f046b5e64ff4");
}
