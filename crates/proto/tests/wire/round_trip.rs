//! What goes over the wire comes back as it was.

use meridian_event::RegistryId;
use meridian_oci::{Algorithm, ContentRange};
use meridian_proto::meridian::blob::v1::{Algorithm as WireAlgorithm, Part};
use meridian_proto::{
    algorithm, content_range, decode_envelope, digest, encode_envelope, leaf, registry, version,
};
use proptest::prelude::{any, prop_assert_eq, proptest};

use super::arbitrary;

proptest! {
    #[test]
    fn an_envelope_comes_back(envelope in arbitrary::envelope()) {
        prop_assert_eq!(decode_envelope(&encode_envelope(&envelope)), Ok(envelope));
    }

    #[test]
    fn pieces_come_back(
        some_digest in arbitrary::digest(),
        some_leaf in arbitrary::leaf(),
        some_version in arbitrary::version(),
    ) {
        prop_assert_eq!(digest(Some(some_digest.into()), "x"), Ok(some_digest));
        prop_assert_eq!(leaf(Some(some_leaf.into()), "x"), Ok(some_leaf));
        prop_assert_eq!(version(Some(some_version.into()), "x"), Ok(some_version));
        let id = RegistryId::new(some_version);
        prop_assert_eq!(registry(Some(id.into()), "x"), Ok(id));
    }

    #[test]
    fn a_range_comes_back(start in 0..=ContentRange::MAX_POSITION, more in 0..9_u64) {
        if let Ok(range) = ContentRange::new(start, start.saturating_add(more)) {
            prop_assert_eq!(content_range(Part::from(range), "x"), Ok(range));
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_envelope(&bytes);
    }

    #[test]
    fn no_damage_makes_the_decoder_panic(
        envelope in arbitrary::envelope(),
        at in any::<proptest::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = encode_envelope(&envelope);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode_envelope(&bytes);
        let _ = decode_envelope(&bytes[..at]);
    }
}

#[test]
fn an_algorithm_comes_back() {
    for each in [Algorithm::Sha256, Algorithm::Sha512] {
        assert_eq!(algorithm(WireAlgorithm::from(each).into(), "x"), Ok(each));
    }
}
