//! The rules of regions, each where its absence is seen. All cases stand beside the rules.

use meridian_clock::Region;
use meridian_delivery::{Subscription, messages};
use meridian_event::webhook::{
    Action, Callback, CustomHeaders, Format, Message, MessageId, Sealed, Status, Webhook, WebhookId,
};
use meridian_event::{Envelope, Event, EventId, Leaf, Notice, RegistryId};
use meridian_oci::MediaType;

use crate::world::version;

pub(crate) fn region(name: &str) -> Region {
    name.parse().unwrap()
}

pub(crate) fn webhook(format: Format) -> Webhook {
    Webhook {
        name: "deploys".parse().unwrap(),
        region: None,
        actions: Action::ALL.into(),
        scope: "".parse().unwrap(),
        status: Status::Enabled,
        format,
        available_in: [].into(),
    }
}

pub(crate) fn callback() -> Callback {
    Callback {
        uri: "https://hooks.example/".parse().unwrap(),
        headers: CustomHeaders::default(),
    }
}

/// Told of pushes.
fn pushes(bound: Option<&str>, available_in: &[&str]) -> Subscription {
    Subscription {
        id: WebhookId::new(version(1)),
        registry: RegistryId::first(),
        since: version(10),
        webhook: Webhook {
            region: bound.map(region),
            actions: [Action::Push].into(),
            available_in: available_in.iter().map(|it| region(it)).collect(),
            ..webhook(Format::Acr)
        },
        sealed: Sealed::default(),
        failing_since: None,
    }
}

fn position(here: &str) -> EventId {
    EventId {
        region: region(here),
        epoch: 1,
        shard: 7,
        seq: 42,
    }
}

fn leaf() -> Leaf {
    let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    Leaf { digest, size: 524 }
}

fn envelope(here: &str, event: Event) -> Envelope {
    Envelope {
        id: position(here),
        version: version(1_700_000_000_000),
        registry: RegistryId::first(),
        event,
    }
}

fn put() -> Envelope {
    let event = Event::ManifestPut {
        repository: "hello-world".parse().unwrap(),
        manifest: leaf(),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        tags: vec!["v1".parse().unwrap()],
        blobs: Vec::new(),
        children: Vec::new(),
        subject: None,
    };
    envelope("eu", event)
}

fn notice() -> Box<Notice> {
    Box::new(Notice {
        push: position("eu"),
        repository: "hello-world".parse().unwrap(),
        manifest: leaf(),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        tags: vec!["v1".parse().unwrap()],
    })
}

/// What a webhook is told, for all forms to show.
pub(crate) fn message(action: Action) -> Message {
    let is_put = !matches!(action, Action::Delete | Action::Untag);
    let everywhere = [region("asia"), region("us")];
    let bare = Message {
        id: MessageId::new([0x11; 16]),
        action,
        position: position("eu"),
        at: 1_700_239_921_343,
        repository: None,
        webhook: None,
        tag: None,
        digest: None,
        size: None,
        media_type: None,
        push: None,
        regions: Vec::new(),
    };
    if action == Action::WebhookDisabled {
        return Message {
            webhook: Some("deploys".parse().unwrap()),
            ..bare
        };
    }
    Message {
        repository: Some("hello-world".parse().unwrap()),
        tag: (action != Action::Delete).then(|| "v1".parse().unwrap()),
        digest: Some(leaf().digest),
        size: is_put.then_some(524),
        media_type: is_put.then_some(MediaType::DOCKER_MANIFEST),
        push: (action == Action::ReplicatedAll).then(|| position("eu")),
        regions: if action == Action::ReplicatedAll {
            everywhere.into()
        } else {
            Vec::new()
        },
        ..bare
    }
}

pub(crate) fn rules() {
    let replicated = envelope("us", Event::Replicated(notice()));
    let told = |envelope: &Envelope, to: &Subscription| messages(envelope, to).len();
    assert_eq!(told(&put(), &pushes(Some("us"), &[])), 0);
    assert_eq!(told(&replicated, &pushes(Some("us"), &[])), 1);
    assert_eq!(told(&put(), &pushes(None, &["eu", "us"])), 0);
    let mut late = pushes(None, &[]);
    late.since = put().version;
    assert_eq!(told(&put(), &late), 0);
}

#[test]
fn regions_conditions_and_beginnings_are_kept() {
    rules();
}
