use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use regex::Regex;

use super::*;

const EMPTY_256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC_512: &str = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

#[test]
fn published_vectors_agree() {
    assert_eq!(Digest::of(Algorithm::Sha256, b"").to_string(), EMPTY_256);
    assert_eq!(Digest::of(Algorithm::Sha512, b"abc").to_string(), ABC_512);
    let million = vec![b'a'; 1_000_000];
    assert_eq!(
        Digest::of(Algorithm::Sha256, &million).hex(),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    );
}

#[test]
fn hostile_digests_are_told_apart() {
    use ParseDigestError::{Malformed, UnsupportedAlgorithm};
    let hex = &EMPTY_256[7..];
    for (text, expected) in [
        (String::new(), Malformed),
        (":".to_owned(), Malformed),
        ("sha256".to_owned(), Malformed),
        ("sha256:".to_owned(), Malformed),
        (format!("sha256:{}", &hex[1..]), Malformed),
        (format!("sha256:{hex}0"), Malformed),
        (format!("sha256:{}", hex.to_uppercase()), Malformed),
        (format!("sha256:{}g", &hex[1..]), Malformed),
        (format!("sha256: {}", &hex[1..]), Malformed),
        (format!("sha256:{hex}\n"), Malformed),
        (format!("sha256:{hex}:"), Malformed),
        ("sha256:xyz".to_owned(), Malformed),
        ("sha256:../../x".to_owned(), Malformed),
        (format!("sha512:{hex}"), Malformed),
        (format!("SHA256:{hex}"), Malformed),
        (format!("sha256+:{hex}"), Malformed),
        (format!("+sha256:{hex}"), Malformed),
        (format!("ſha256:{hex}"), Malformed),
        (format!("md5:{}", &hex[..32]), UnsupportedAlgorithm),
        (format!("sha1:{}", &hex[..40]), UnsupportedAlgorithm),
        (format!("blake3:{hex}"), UnsupportedAlgorithm),
        (format!("sha256+b64:{hex}"), UnsupportedAlgorithm),
        ("md5:../x".to_owned(), Malformed),
    ] {
        assert_eq!(text.parse::<Digest>(), Err(expected), "{text:?}");
    }
}

#[test]
fn parts_of_the_wrong_length_are_refused() {
    for length in [0, 31, 33, 63, 65] {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            assert_eq!(
                Digest::from_parts(algorithm, &vec![0; length]),
                Err(ParseDigestError::Malformed)
            );
        }
    }
}

#[test]
fn serde_sees_text_and_checks_it() {
    let digest = Digest::of(Algorithm::Sha256, b"");
    let json = serde_json::to_string(&digest).unwrap();
    assert_eq!(json, format!("\"{EMPTY_256}\""));
    assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    assert!(serde_json::from_str::<Digest>(&json.to_uppercase()).is_err());
}

proptest! {
    #[test]
    fn text_and_parts_round_trip(content: Vec<u8>, wide: bool) {
        let digest = Digest::of(if wide { Algorithm::Sha512 } else { Algorithm::Sha256 }, &content);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        prop_assert_eq!(Digest::from_parts(digest.algorithm(), digest.as_bytes()), Ok(digest));
        prop_assert!(digest.to_string().ends_with(&digest.hex()));
    }

    #[test]
    fn acceptance_agrees_with_the_grammar(
        text in "((sha256|sha512|SHA256|md5|sha1[+._-]?[a-z]?):([0-9a-f]{63,65}|[0-9a-f]{127,129}|[0-9A-Za-z=_-]{0,64}))|\\PC{0,80}"
    ) {
        let served = Regex::new("^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$").unwrap();
        let known = Regex::new("^sha(256|512):").unwrap();
        let grammar = Regex::new("^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$").unwrap();
        let expected = if served.is_match(&text) {
            None
        } else if grammar.is_match(&text) && !known.is_match(&text) {
            Some(ParseDigestError::UnsupportedAlgorithm)
        } else {
            Some(ParseDigestError::Malformed)
        };
        prop_assert_eq!(text.parse::<Digest>().err(), expected);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text);
        }
    }
}
