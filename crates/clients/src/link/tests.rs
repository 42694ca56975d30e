use meridian_oci::Algorithm;
use meridian_secret::Secret;
use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;

const KEYS: [&str; 3] = [
    "one-0123456789abcdef0123456789abcdef",
    "two-0123456789abcdef0123456789abcdef",
    "six-0123456789abcdef0123456789abcdef",
];
/// In the middle of a second.
const NOW: u64 = 1_700_000_000_500;
const MINUTE: Duration = Duration::from_secs(60);

fn links(region: &str, keys: &[&str]) -> Links {
    Links::new(region.parse().unwrap(), keys.join("\n").parse().unwrap())
}

fn ours() -> Links {
    links("eu", &KEYS[..1])
}

fn repository(registry: &str, name: &str) -> RepositoryPath {
    RepositoryPath {
        registry: registry.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, b"a")
}

fn link(links: &Links) -> String {
    links.make(&repository("default", "team/app"), &digest(), NOW, MINUTE)
}

fn open(links: &Links, link: &str, now: u64) -> Result<Link, OpenLinkError> {
    let (path, query) = link.split_once('?').unwrap();
    links.open(path, Some(query), now)
}

#[test]
fn a_link_says_what_it_was_made_for() {
    let made = link(&ours());
    let (path, _) = made.split_once('?').unwrap();
    assert_eq!(path, format!("/blobs/default/team/app/{}", digest()));
    let said = Link {
        repository: repository("default", "team/app"),
        digest: digest(),
        left: MINUTE,
    };
    assert_eq!(open(&ours(), &made, NOW), Ok(said));
    let long = Digest::of(Algorithm::Sha512, b"a");
    let made = ours().make(&repository("r-1", "a"), &long, NOW, MINUTE);
    assert_eq!(open(&ours(), &made, NOW).map(|link| link.digest), Ok(long));
}

#[test]
fn a_link_is_good_until_it_expires_and_a_little_longer_for_the_sake_of_clocks() {
    let made = link(&ours());
    for (seconds, expected) in [
        (0, Ok(60)),
        (59, Ok(1)),
        (60, Ok(0)),
        (90, Ok(0)),
        (91, Err(OpenLinkError::Expired)),
        (1_000_000, Err(OpenLinkError::Expired)),
    ] {
        let opened = open(&ours(), &made, NOW + seconds * 1000);
        let left = opened.map(|link| link.left.as_secs());
        assert_eq!(left, expected, "after {seconds} s");
    }
}

#[test]
fn no_link_lives_longer_than_five_minutes_on_any_clock() {
    assert_eq!(MAX_LIFETIME + 2 * CLOCK_SKEW, Duration::from_secs(300));
    let day = Duration::from_secs(24 * 3600);
    let made = ours().make(&repository("default", "a"), &digest(), NOW, day);
    let opened = open(&ours(), &made, NOW).unwrap();
    assert_eq!(opened.left, MAX_LIFETIME);
    let earlier = |seconds: u64| open(&ours(), &made, NOW - seconds * 1000);
    assert!(
        earlier(CLOCK_SKEW.as_secs()).is_ok(),
        "a clock may be behind"
    );
    let far = earlier(CLOCK_SKEW.as_secs() + 1);
    assert_eq!(far, Err(OpenLinkError::TooFar), "but not by much");
}

#[test]
fn whatever_is_changed_makes_it_a_forgery() {
    let made = link(&ours());
    let other = Digest::of(Algorithm::Sha256, b"b");
    let expires = (NOW / 1000 + 60).to_string();
    let later = (NOW / 1000 + 61).to_string();
    for (from, to) in [
        ("/default/", "/defaults/"),
        ("/team/app/", "/team/apps/"),
        ("/team/app/", "/team/"),
        ("/default/team/", "/default/steam/"),
        (&*digest().to_string(), &*other.to_string()),
        (&expires, &later),
    ] {
        let changed = made.replacen(from, to, 1);
        assert_ne!(changed, made);
        let opened = open(&ours(), &changed, NOW);
        assert_eq!(opened, Err(OpenLinkError::Forged), "{from} to {to}");
    }
    let elsewhere = links("us", &KEYS[..1]);
    assert_eq!(open(&elsewhere, &made, NOW), Err(OpenLinkError::Forged));
    let (head, _) = made.split_once("signature=").unwrap();
    for signature in ["", "AAAA", &"A".repeat(43), &"A".repeat(64)] {
        let opened = open(&ours(), &format!("{head}signature={signature}"), NOW);
        assert_eq!(opened, Err(OpenLinkError::Forged), "{signature}");
    }
}

#[test]
fn what_is_no_link_is_told_from_a_forgery() {
    let made = link(&ours());
    let (path, query) = made.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let query_of = |query: Option<&str>| ours().open(path, query, NOW);
    for query in [
        None,
        Some(""),
        Some(expires),
        Some(signature),
        Some(&*format!("{signature}&{expires}")),
        Some(&*format!("{query}&{expires}")),
        Some(&*format!("{expires}&{query}")),
        Some(&*format!("{query}&ns=docker.io")),
        Some(&*format!("{query}%20")),
        Some(&*format!("{query}=")),
        Some(&*format!("{query}{}", "A".repeat(10_000))),
        Some(&*query.replacen("expires=", "expires=0", 1)),
        Some(&*query.replacen("expires=", "expires=+", 1)),
        Some(&*query.replacen("expires=", "expires=99999999999999999999", 1)),
        Some(&*query.replacen("expires", "Expires", 1)),
    ] {
        assert_eq!(query_of(query), Err(OpenLinkError::Query), "{query:?}");
    }
    for path in [
        "/",
        "/blobs/",
        "/blobs//team/app/",
        "/v2/team/app/blobs/sha256:00",
        &*path.replace(':', "%3A"),
        &*path.replace("team/app", "team%2Fapp"),
        &*path.replace("team/app", "team//app"),
        &*path.replace("team/app", "../app"),
        &*path.replace("/default", "//default"),
        &*path.replace("/blobs/", "/Blobs/"),
        &*path.to_uppercase(),
        &*format!("{path}/"),
        &*format!("/{path}"),
    ] {
        let opened = ours().open(path, Some(query), NOW);
        assert_eq!(opened, Err(OpenLinkError::Path), "{path}");
    }
}

#[test]
fn a_key_is_replaced_without_a_link_being_refused() {
    let steps = [
        links("eu", &[KEYS[0]]),
        links("eu", &[KEYS[0], KEYS[1]]),
        links("eu", &[KEYS[1], KEYS[0]]),
        links("eu", &[KEYS[1]]),
    ];
    for pair in steps.windows(2) {
        for (makes, opens) in [(0, 1), (1, 0)] {
            let opened = open(&pair[opens], &link(&pair[makes]), NOW);
            assert!(opened.is_ok(), "{opened:?}");
        }
    }
    let opened = open(&steps[3], &link(&steps[0]), NOW);
    assert_eq!(opened, Err(OpenLinkError::Forged), "the old key is gone");
}

#[test]
fn keys_are_long_few_and_never_shown() {
    let parse = |text: &str| text.parse::<LinkKeys>().map(|_| ());
    assert_eq!(parse(&KEYS.join("\n")), Ok(()));
    assert_eq!(parse(&format!("\n {} \r\n", KEYS[0])), Ok(()));
    assert_eq!(parse(" \n"), Err(ParseLinkKeysError::None));
    let short = Err(ParseLinkKeysError::Short {
        place: 2,
        length: 5,
    });
    assert_eq!(parse(&format!("{} short", KEYS[0])), short);
    let many = [KEYS[0]; 9].join("\n");
    assert_eq!(parse(&many), Err(ParseLinkKeysError::TooMany(9)));
    let shown = format!("{:?}", links("eu", &KEYS));
    assert!(!shown.contains("0123456789"), "{shown}");
}

#[test]
fn a_derived_key_is_another_for_another_secret() {
    let derived = |secret: &str| {
        Links::new(
            "eu".parse().unwrap(),
            LinkKeys::derived_from(&Secret::new(secret)),
        )
    };
    let made = link(&derived(KEYS[0]));
    assert!(open(&derived(KEYS[0]), &made, NOW).is_ok());
    for other in [derived(KEYS[1]), links("eu", &KEYS[..1])] {
        assert_eq!(open(&other, &made, NOW), Err(OpenLinkError::Forged));
    }
}

proptest! {
    #[test]
    fn any_other_character_anywhere_spoils_a_link(at in any::<proptest::sample::Index>(), to in any::<proptest::sample::Index>()) {
        let made = link(&ours());
        let mut text = made.into_bytes();
        let at = at.index(text.len());
        let others: Vec<u8> = (b'!'..=b'~').filter(|byte| *byte != text[at]).collect();
        text[at] = *to.get(&others);
        let text = String::from_utf8(text).unwrap();
        let (path, query) = text.split_once('?').map_or((&*text, None), |(path, query)| (path, Some(query)));
        prop_assert_eq!(ours().open(path, query, NOW).ok(), None, "{}", text);
    }

    #[test]
    fn nothing_makes_it_panic(path in "\\PC{0,60}", query in "\\PC{0,60}", now: u64) {
        prop_assert_eq!(ours().open(&format!("/blobs/{path}"), Some(&query), now).ok(), None);
        prop_assert_eq!(ours().open(&path, Some(&format!("expires={query}&signature=AAAA")), now).ok(), None);
    }
}
