//! Any value of the kernel's types.

use meridian_clock::{Region, Version};
use meridian_event::webhook::{
    Action, DisableReason, Disabled, Format, Registration, Sealed, Status, Webhook, WebhookId,
    WebhookName,
};
use meridian_event::{
    Attributes, Envelope, Event, EventId, Leaf, Mark, Notice, RegistryId, Target,
};
use meridian_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag};
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof};

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    let algorithm = prop_oneof![Just(Algorithm::Sha256), Just(Algorithm::Sha512)];
    (algorithm, any::<[u8; 8]>()).prop_map(|(algorithm, seed)| Digest::of(algorithm, &seed))
}

pub(crate) fn leaf() -> impl Strategy<Value = Leaf> {
    (digest(), any::<u64>()).prop_map(|(digest, size)| Leaf { digest, size })
}

pub(crate) fn region() -> impl Strategy<Value = Region> {
    "[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?".prop_map(|name| name.parse().unwrap())
}

pub(crate) fn version() -> impl Strategy<Value = Version> {
    (any::<u64>(), any::<u32>(), region()).prop_map(|(millis, counter, region)| Version {
        millis,
        counter,
        region,
    })
}

fn repository() -> impl Strategy<Value = RepositoryName> {
    "[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,3}".prop_map(|name| name.parse().unwrap())
}

fn tag() -> impl Strategy<Value = Tag> {
    "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}".prop_map(|tag| tag.parse().unwrap())
}

fn media_type() -> impl Strategy<Value = MediaType> {
    "[a-z]{1,9}/[a-z0-9.+-]{1,40}".prop_filter_map("no media type", |text| text.parse().ok())
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let put = (
        repository(),
        leaf(),
        media_type(),
        vec(tag(), 0..4),
        vec(leaf(), 0..4),
        vec(leaf(), 0..4),
        proptest::option::of(digest()),
    );
    let put = put.prop_map(
        |(repository, manifest, media_type, tags, blobs, children, subject)| Event::ManifestPut {
            repository,
            manifest,
            media_type,
            tags,
            blobs,
            children,
            subject,
        },
    );
    let all = (notice(), vec(region(), 0..4));
    let blob_put = (repository(), leaf(), proptest::option::of(repository()));
    prop_oneof![
        "\\PC{0,20}".prop_map(|name| Event::RegistryCreated { name: name.into() }),
        put,
        (repository(), digest())
            .prop_map(|(repository, digest)| Event::ManifestDeleted { repository, digest }),
        (repository(), tag(), digest()).prop_map(|(repository, tag, digest)| Event::TagDeleted {
            repository,
            tag,
            digest
        }),
        blob_put.prop_map(|(repository, blob, mounted_from)| Event::BlobPut {
            repository,
            blob,
            mounted_from
        }),
        (repository(), digest())
            .prop_map(|(repository, digest)| Event::BlobDeleted { repository, digest }),
        notice().prop_map(|notice| Event::Replicated(Box::new(notice))),
        all.prop_map(|(notice, regions)| Event::ReplicatedAll {
            notice: Box::new(notice),
            regions
        }),
        vec(mark(), 0..4).prop_map(|marks| Event::Heartbeat { marks }),
        (repository(), target(), attributes()).prop_map(|(repository, target, attributes)| {
            Event::AttributesSet {
                repository,
                target,
                attributes,
            }
        }),
        repository().prop_map(|repository| Event::RepositoryDeleted { repository }),
        (webhook_name(), proptest::option::of(registration())).prop_map(|(name, it)| {
            Event::WebhookSet {
                name,
                registration: it.map(Box::new),
            }
        }),
    ]
}

fn webhook_name() -> impl Strategy<Value = WebhookName> {
    "[a-zA-Z0-9]{5,50}".prop_map(|name| name.parse().unwrap())
}

fn webhook() -> impl Strategy<Value = Webhook> {
    let actions = btree_set(proptest::sample::select(&Action::ALL[..]), 0..4);
    let scope = proptest::sample::select(vec!["", "team/app", "team/*:v?"]);
    let format = proptest::sample::select(&Format::ALL[..]);
    (
        webhook_name(),
        proptest::option::of(region()),
        actions,
        scope,
        any::<bool>(),
        format,
        btree_set(region(), 0..3),
    )
        .prop_map(
            |(name, region, actions, scope, is_enabled, format, available_in)| Webhook {
                name,
                region,
                actions,
                scope: scope.parse().unwrap(),
                status: if is_enabled {
                    Status::Enabled
                } else {
                    Status::Disabled
                },
                format,
                available_in,
            },
        )
}

fn registration() -> impl Strategy<Value = Registration> {
    let failing = any::<u64>().prop_map(|since| DisableReason::Failing { since });
    let reason = prop_oneof![Just(DisableReason::Gone), failing];
    let disabled = (version(), reason).prop_map(|(at, reason)| Disabled { at, reason });
    (
        version(),
        version(),
        webhook(),
        vec(any::<u8>(), 0..40),
        proptest::option::of(disabled),
    )
        .prop_map(|(id, since, webhook, sealed, disabled)| Registration {
            id: WebhookId::new(id),
            since,
            webhook,
            sealed: Sealed(sealed),
            disabled,
        })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::Repository),
        tag().prop_map(Target::Tag),
        digest().prop_map(Target::Manifest),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes<Option<bool>>> {
    any::<[Option<bool>; 4]>().prop_map(|[delete, write, read, list]| Attributes {
        delete,
        write,
        read,
        list,
    })
}

fn notice() -> impl Strategy<Value = Notice> {
    let all = (id(), repository(), leaf(), media_type(), vec(tag(), 0..4));
    all.prop_map(|(push, repository, manifest, media_type, tags)| Notice {
        push,
        repository,
        manifest,
        media_type,
        tags,
    })
}

fn mark() -> impl Strategy<Value = Mark> {
    let numbers = any::<(u64, u64, u64, u64)>();
    let version = proptest::option::of(version());
    let except = btree_set(any::<u64>(), 0..=Mark::EXCEPTIONS);
    (region(), numbers, version, except).prop_map(
        |(origin, (epoch, merged, copied, complete), version, except)| Mark {
            origin,
            epoch,
            merged,
            version,
            copied,
            complete,
            except: except.into_iter().collect(),
        },
    )
}

fn id() -> impl Strategy<Value = EventId> {
    let id = (region(), any::<u64>(), any::<u16>(), any::<u64>());
    id.prop_map(|(region, epoch, shard, seq)| EventId {
        region,
        epoch,
        shard,
        seq,
    })
}

pub(crate) fn envelope() -> impl Strategy<Value = Envelope> {
    (id(), version(), version(), event()).prop_map(|(id, version, registry, event)| Envelope {
        id,
        version,
        registry: RegistryId::new(registry),
        event,
    })
}
