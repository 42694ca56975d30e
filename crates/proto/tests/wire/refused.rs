//! Messages that are well-formed, and mean nothing.

use meridian_clock::Version;
use meridian_error::{Classify, Code};
use meridian_event::{Envelope, Event, EventId, RegistryId};
use meridian_oci::{Algorithm, Digest};
use meridian_proto::meridian::blob::v1::Part;
use meridian_proto::meridian::content::v1 as content;
use meridian_proto::meridian::event::v1 as wire;
use meridian_proto::{
    DecodeError, algorithm, content_range, decode_envelope, digest, encode_envelope, version,
};
use prost::Message;

fn envelope() -> wire::Envelope {
    let version = Version {
        millis: 5,
        counter: 0,
        region: "eu".parse().unwrap(),
    };
    let envelope = Envelope {
        id: EventId {
            region: version.region,
            epoch: 1,
            shard: 0,
            seq: 1,
        },
        version,
        registry: RegistryId::new(version),
        event: Event::BlobDeleted {
            repository: "team/app".parse().unwrap(),
            digest: Digest::of(Algorithm::Sha256, b"x"),
        },
    };
    wire::Envelope::decode(&*encode_envelope(&envelope)).unwrap()
}

fn refused(change: impl FnOnce(&mut wire::Envelope)) -> DecodeError {
    let mut envelope = envelope();
    change(&mut envelope);
    decode_envelope(&envelope.encode_to_vec()).unwrap_err()
}

fn deleted(change: impl FnOnce(&mut wire::BlobDeleted)) -> DecodeError {
    refused(|envelope| {
        let Some(wire::envelope::Event::BlobDeleted(deleted)) = &mut envelope.event else {
            panic!("the sample is another event");
        };
        change(deleted);
    })
}

#[test]
fn a_refusal_names_the_field() {
    use DecodeError::{Invalid, Missing};
    assert_eq!(refused(|it| it.id = None), Missing("id"));
    assert_eq!(refused(|it| it.version = None), Missing("version"));
    assert_eq!(refused(|it| it.registry = None), Missing("registry"));
    let shard = refused(|it| it.id.as_mut().unwrap().shard = 1 << 16);
    assert_eq!(shard, Invalid("id.shard"));
    let region = refused(|it| it.id.as_mut().unwrap().region = "EU".to_owned());
    assert_eq!(region, Invalid("id.region"));
    assert_eq!(
        deleted(|it| it.repository = "../x".to_owned()),
        Invalid("repository")
    );
    assert_eq!(deleted(|it| it.digest = None), Missing("digest"));
    assert_eq!(
        Invalid("id.shard").to_string(),
        "field id.shard has no valid value"
    );
}

#[test]
fn an_event_of_an_unknown_kind_is_not_skipped() {
    let unknown = refused(|it| it.event = None);
    assert_eq!(unknown, DecodeError::UnknownEvent);
    assert_eq!(unknown.code(), Code::Unsupported);
    // As a later version would write it: a field that this one does not know.
    let mut bytes = {
        let mut envelope = envelope();
        envelope.event = None;
        envelope.encode_to_vec()
    };
    bytes.extend([0xfa, 0x07, 0x00]);
    assert_eq!(decode_envelope(&bytes), Err(DecodeError::UnknownEvent));
}

#[test]
fn a_digest_has_the_length_of_its_algorithm() {
    use content::digest::Hash;
    let of = |hash| digest(Some(content::Digest { hash }), "it");
    assert_eq!(of(None), Err(DecodeError::Missing("it")));
    for length in [0, 31, 33, 64] {
        let hash = Hash::Sha256(vec![0; length].into());
        assert_eq!(of(Some(hash)), Err(DecodeError::Invalid("it")), "{length}");
    }
    for length in [0, 32, 63, 65] {
        let hash = Hash::Sha512(vec![0; length].into());
        assert_eq!(of(Some(hash)), Err(DecodeError::Invalid("it")), "{length}");
    }
}

#[test]
fn what_is_unspecified_or_unknown_is_refused() {
    for value in [0, 3, -1, i32::MAX] {
        assert_eq!(
            algorithm(value, "it"),
            Err(DecodeError::Invalid("it")),
            "{value}"
        );
    }
    let unnamed = content::Version::default();
    assert_eq!(
        version(Some(unnamed), "it"),
        Err(DecodeError::Invalid("it"))
    );
    for (start, end_inclusive) in [(1, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        let part = Part {
            start,
            end_inclusive,
        };
        assert_eq!(content_range(part, "it"), Err(DecodeError::Invalid("it")));
    }
}

#[test]
fn bytes_that_are_no_message_are_malformed() {
    let error = decode_envelope(&[0x0a, 0xff]).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed(_)));
    assert_eq!(error.code(), Code::InvalidArgument);
}

/// No message of ours nests; an unknown group may, without end.
#[test]
fn deep_nesting_is_refused() {
    let begin_group = [0xa3, 0x06];
    let bytes = begin_group.repeat(100_000);
    assert!(matches!(
        decode_envelope(&bytes),
        Err(DecodeError::Malformed(_))
    ));
}
