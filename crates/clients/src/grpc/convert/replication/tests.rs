use bytes::Bytes;
use meridian_clock::Version;
use meridian_event::{Envelope, Event, EventId, Leaf, RegistryId};
use meridian_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use prost::Message;

use super::*;
use crate::replica::{
    Acquaintance, CopyMark, CopyPage, Found, FoundManifest, FoundTag, Removal, Stance,
};

fn digest() -> impl Strategy<Value = Digest> {
    let algorithm = prop_oneof![Just(Algorithm::Sha256), Just(Algorithm::Sha512)];
    (algorithm, any::<[u8; 8]>()).prop_map(|(algorithm, seed)| Digest::of(algorithm, &seed))
}

fn version() -> impl Strategy<Value = Version> {
    (any::<u64>(), any::<u32>(), "[a-z]{1,9}").prop_map(|(millis, counter, region)| Version {
        millis,
        counter,
        region: region.parse().unwrap(),
    })
}

fn registry_id() -> impl Strategy<Value = RegistryId> {
    version().prop_map(RegistryId::new)
}

fn repository() -> impl Strategy<Value = RepositoryName> {
    "[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,3}".prop_map(|name| name.parse().unwrap())
}

fn tag() -> impl Strategy<Value = Tag> {
    "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}".prop_map(|tag| tag.parse().unwrap())
}

fn leaf() -> impl Strategy<Value = Leaf> {
    (digest(), any::<u64>()).prop_map(|(digest, size)| Leaf { digest, size })
}

fn place() -> impl Strategy<Value = Place> {
    (any::<u64>(), any::<u64>()).prop_map(|(epoch, seq)| Place { epoch, seq })
}

fn cursor() -> impl Strategy<Value = CursorAt> {
    ("[a-z]{1,9}", any::<u16>(), place()).prop_map(|(origin, shard, place)| CursorAt {
        origin: origin.parse().unwrap(),
        shard,
        place,
    })
}

fn progress() -> impl Strategy<Value = Progress> {
    let parts = (
        "[a-z]{1,9}",
        vec(place(), usize::from(SHARDS)),
        vec(cursor(), 0..5),
        stance(),
    );
    parts.prop_map(|(region, heads, cursors, stance)| Progress {
        region: region.parse().unwrap(),
        heads,
        cursors,
        stance,
    })
}

fn region() -> impl Strategy<Value = Region> {
    "[a-z]{1,9}".prop_map(|name| name.parse().unwrap())
}

fn stance() -> impl Strategy<Value = Stance> {
    let peer = (
        region(),
        of(version()),
        version(),
        of(version()),
        any::<(bool, bool)>(),
    );
    let peer =
        peer.prop_map(
            |(region, born, since, accepted, (is_open, is_uncopied))| Acquaintance {
                region,
                born,
                since,
                accepted,
                is_open,
                is_uncopied,
            },
        );
    let removal = (region(), of(version()), region(), any::<bool>());
    let removal = removal.prop_map(|(removed, born, with, is_copied)| Removal {
        removed,
        born,
        with,
        is_copied,
    });
    let parts = (
        of(version()),
        of(version()),
        any::<bool>(),
        vec((0..SHARDS, version()), 0..3),
        vec(peer, 0..3),
        vec(removal, 0..3),
    );
    parts.prop_map(|(born, last, is_joining, floors, peers, removals)| Stance {
        born,
        last,
        is_joining,
        floors,
        peers,
        removals,
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let parts = (
        version(),
        registry_id(),
        repository(),
        digest(),
        any::<u64>(),
    );
    parts.prop_map(|(version, registry, repository, digest, seq)| Envelope {
        id: EventId {
            region: version.region,
            epoch: 1,
            shard: 3,
            seq,
        },
        version,
        registry,
        event: Event::ManifestDeleted { repository, digest },
    })
}

fn content() -> impl Strategy<Value = Content> {
    let kind = prop_oneof![Just(ContentKind::Manifest), Just(ContentKind::Blob)];
    (registry_id(), repository(), kind, leaf()).prop_map(|(registry, repository, kind, leaf)| {
        Content {
            registry,
            repository,
            kind,
            leaf,
        }
    })
}

/// Of a manifest whose bytes are at hand, or not.
fn found_manifest() -> impl Strategy<Value = FoundManifest> {
    let bytes = of(vec(any::<u8>(), 0..50).prop_map(Bytes::from));
    let put = of(version().prop_map(|put| (put, MediaType::OCI_IMAGE_INDEX)));
    let parts = (leaf(), of(version()), of(version()), put, bytes);
    parts.prop_map(|(leaf, add, del, put, bytes)| {
        let named = bytes.as_ref().map(|bytes| Leaf {
            digest: Digest::of(leaf.digest.algorithm(), bytes),
            size: bytes.len() as u64,
        });
        FoundManifest {
            leaf: named.unwrap_or(leaf),
            add,
            del,
            put,
            bytes,
        }
    })
}

fn any_found() -> impl Strategy<Value = Found> {
    let tag = (tag(), version(), of(digest())).prop_map(|(name, version, digest)| FoundTag {
        name,
        version,
        digest,
    });
    prop_oneof![
        (registry_id(), "[a-z0-9]{1,9}").prop_map(|(id, name)| Found::Registry {
            id,
            name: name.parse().unwrap(),
        }),
        (registry_id(), repository(), found_manifest()).prop_map(
            |(registry, repository, manifest)| Found::Manifest {
                registry,
                repository,
                manifest,
            }
        ),
        (registry_id(), repository(), tag).prop_map(|(registry, repository, tag)| Found::Tag {
            registry,
            repository,
            tag,
        }),
    ]
}

fn mark() -> impl Strategy<Value = CopyMark> {
    let place = || (registry_id(), repository());
    prop_oneof![
        Just(CopyMark::Registries),
        Just(CopyMark::Manifests),
        (place(), digest()).prop_map(|((id, name), digest)| CopyMark::Manifest(id, name, digest)),
        (place(), tag()).prop_map(|((id, name), tag)| CopyMark::Tag(id, name, tag)),
    ]
}

/// A message after its way over the wire.
fn sent<M: Message + Default>(message: impl Into<M>) -> M {
    M::decode(&*message.into().encode_to_vec()).unwrap()
}

proptest! {
    #[test]
    fn progress_comes_back(progress in progress()) {
        let message: pb::GetProgressResponse = sent(progress.clone());
        prop_assert_eq!(Progress::try_from(message), Ok(progress));
    }

    #[test]
    fn events_and_questions_for_them_come_back(
        events in vec(envelope(), 0..4),
        (shard, epoch, from, to) in any::<(u16, u64, u64, u64)>(),
        max_bytes in 0..MOST_EVENT_BYTES,
    ) {
        let range = EventRange { shard, epoch, from, to, max_bytes };
        let message: pb::ListEventsRequest = sent(&range);
        prop_assert_eq!(EventRange::try_from(message), Ok(range));
        for events in [Events::Here(events), Events::Gone] {
            let message: pb::ListEventsResponse = sent(events.clone());
            prop_assert_eq!(Events::try_from(message), Ok(events));
        }
    }

    #[test]
    fn content_comes_back(content in content()) {
        let message: pb::Content = sent(content.clone());
        prop_assert_eq!(Content::try_from(message), Ok(content));
    }

    #[test]
    fn what_was_found_comes_back(found in vec(any_found(), 0..4), next in of(mark())) {
        let page = CopyPage { found, next };
        let message: pb::CopyResponse = sent(page.clone());
        prop_assert_eq!(CopyPage::try_from(message), Ok(page));
    }

    #[test]
    fn questions_for_a_part_of_a_copy_come_back(after in of(mark()), limit in 0_usize..4096) {
        let message = sent(copy_request(after.clone(), limit));
        prop_assert_eq!(take_copy_request(message), Ok((after, limit)));
    }

    #[test]
    fn questions_for_a_name_or_a_digest_come_back(
        id in registry_id(),
        name in repository(),
        (tag, digest) in (tag(), digest()),
    ) {
        for reference in [tag.into(), digest.into()] {
            let message = sent(find_request(id, &name, &reference));
            prop_assert_eq!(take_find_request(message), Ok((id, name.clone(), reference)));
        }
    }
}

#[test]
fn more_than_fits_a_message_is_not_asked_for() {
    assert_eq!(event_bytes(u64::MAX), MOST_EVENT_BYTES);
    assert_eq!(copy_limit(u64::MAX), 4096);
}

#[test]
fn bytes_that_are_not_the_manifest_are_refused() {
    let bytes = Bytes::from_static(b"a manifest");
    let leaf = Leaf {
        digest: Digest::of(Algorithm::Sha256, &bytes),
        size: bytes.len() as u64,
    };
    let version = Version {
        millis: 1,
        counter: 0,
        region: "eu".parse().unwrap(),
    };
    let other = pb::FoundManifest {
        registry: Some(version.into()),
        repository: "app".to_owned(),
        leaf: Some(leaf.into()),
        content: Some(Bytes::from_static(b"a mUnifest")),
        ..pb::FoundManifest::default()
    };
    let other = pb::Found {
        found: Some(pb::found::Found::Manifest(other)),
    };
    let refused = Found::try_from(other).unwrap_err();
    assert_eq!(refused, DecodeError::Invalid("found.content"));
}

#[test]
fn a_kind_that_is_not_known_is_not_taken_for_another() {
    for kind in [0, 3] {
        assert_eq!(
            content_kind(kind),
            Err(DecodeError::Invalid("content.kind"))
        );
    }
}
