use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;

fn registry() -> RegistryId {
    RegistryId::new(Version {
        millis: 7,
        counter: 1,
        region: "eu".parse().unwrap(),
    })
}

#[test]
fn what_was_put_into_a_key_comes_out_of_it() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, b"x");
        let key = due(9, registry(), digest);
        let (millis, rest) = take_u64(&key[1..]).unwrap();
        let (id, rest) = take_registry(rest).unwrap();
        let (found, rest) = take_digest(rest).unwrap();
        assert_eq!((millis, id, found, rest), (9, registry(), digest, &[][..]));
    }
}

proptest! {
    /// Whatever the names, a repository's rows lie together, and nobody else's among them.
    #[test]
    fn repositories_do_not_mix(
        one in "[a-c](/?[a-c-]{0,3}[a-c])?",
        other in "[a-c](/?[a-c-]{0,3}[a-c])?",
    ) {
        let name = |text: &str| text.parse::<RepositoryName>().ok();
        if let (Some(one), Some(other)) = (name(&one), name(&other)) {
            let (mine, theirs) = (tags(registry(), &one), tags(registry(), &other));
            prop_assert_eq!(theirs.starts_with(&mine), one == other);
            let (found, rest) = take_registry(&mine[1..]).unwrap();
            prop_assert_eq!((found, take_repository(rest)), (registry(), Some((one, &[][..]))));
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..90)) {
        let _ = (take_digest(&bytes), take_registry(&bytes), take_repository(&bytes));
        let _ = (take_u64(&bytes), parse::<Tag>(&bytes), take_shard(&bytes));
    }
}

#[test]
fn the_end_of_a_prefix_is_after_all_of_its_keys() {
    assert_eq!(end_of(b"ab"), b"ac");
    assert_eq!(end_of(&[b'a', 255]), b"b");
    assert_eq!(end_of(&[255, 255]), b"");
}

#[test]
fn a_damaged_key_is_told() {
    assert_eq!(take_digest(&[1, 2, 3]), None);
    assert_eq!(take_digest(&[9; 40]), None);
    assert_eq!(take_registry(&[0; 12]), None);
}
