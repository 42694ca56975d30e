//! Rows of webhooks, and of their delivery.

use meridian_event::EventId;
use meridian_event::webhook::{
    Action, DisableReason, Disabled, Format, Message, MessageId, Place, Registration, Sealed,
    Status, Undelivered, Webhook, WebhookId,
};
use meridian_oci::MediaType;

use super::{Sample, digest, name, registry, row, version};
use crate::row::{Changed, Failing, Lane, Told, WebhookCell, Whereabouts};

pub(super) fn rows() -> Vec<Sample> {
    let cell = WebhookCell {
        version: version(9),
        registration: Some(registration()),
    };
    let deleted = WebhookCell {
        version: version(9),
        registration: None,
    };
    let whereabouts = Whereabouts {
        registry: registry(),
        name: name("deploys1"),
    };
    let place = Place {
        epoch: 3,
        seq: (1 << 63) + 1,
    };
    let told = Told {
        generation: 300,
        number: 1 << 40,
        cursor: place,
    };
    let undelivered = undelivered();
    let dead = Undelivered {
        due: None,
        ..undelivered.clone()
    };
    vec![
        row("", &cell),
        row("-deleted", &deleted),
        row("", &whereabouts),
        row(
            "",
            &Changed {
                version: version(9),
            },
        ),
        row("", &told),
        row("", &Lane { settled: place }),
        row(
            "",
            &Failing {
                since: 1_760_000_000_000,
            },
        ),
        row("", &undelivered),
        row("-dead", &dead),
    ]
}

pub(super) fn webhook() -> Webhook {
    Webhook {
        name: name("deploys1"),
        region: Some(name("us-east")),
        actions: Action::ALL.into(),
        scope: name("team/*:v?"),
        status: Status::Disabled,
        format: Format::CloudEventsBinary,
        available_in: [name("ap"), name("us-east")].into(),
    }
}

pub(super) fn registration() -> Registration {
    Registration {
        id: WebhookId::new(version(1)),
        since: version(2),
        webhook: webhook(),
        sealed: Sealed(vec![1, 2, 0xff]),
        disabled: Some(Disabled {
            at: version(3),
            reason: DisableReason::Failing {
                since: 1_760_000_000_000,
            },
        }),
    }
}

pub(super) fn message_id() -> MessageId {
    MessageId::new([0x17; 16])
}

pub(super) fn undelivered() -> Undelivered {
    let position = |seq| EventId {
        region: name("eu-west"),
        epoch: 3,
        shard: 15,
        seq,
    };
    Undelivered {
        webhook: WebhookId::new(version(1)),
        message: Message {
            id: message_id(),
            action: Action::ReplicatedAll,
            position: position((1 << 63) + 1),
            at: 1_760_000_000_000,
            repository: Some(name("team/app")),
            webhook: Some(name("deploys1")),
            tag: Some(name("v1")),
            digest: Some(digest(1)),
            size: Some(524),
            media_type: Some(MediaType::OCI_IMAGE_INDEX),
            push: Some(position(7)),
            regions: vec![name("ap")],
        },
        attempts: 3,
        due: Some(1_760_000_300_000),
        until: 1_762_592_000_000,
    }
}
