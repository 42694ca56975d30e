//! Every endpoint, every hostile path, and the way back from each location.

use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::strategy::Strategy;

use super::*;
use crate::location;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ID: &str = "0123456789abcdef";

fn named(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

#[test]
fn each_endpoint_is_found() {
    let digest: Digest = DIGEST.parse().unwrap();
    for (path, route) in [
        ("/v2", Route::Base),
        ("/v2/", Route::Base),
        ("/v2/_catalog", Route::Catalog),
        ("/v2/_oci/ext/discover", Route::Discovery(None)),
        (
            "/v2/a/b/_oci/ext/discover",
            Route::Discovery(Some(named("a/b"))),
        ),
        (
            "/v2/a/manifests/v1",
            Route::Manifest(named("a"), "v1".parse().unwrap()),
        ),
        (
            &format!("/v2/a/manifests/{DIGEST}"),
            Route::Manifest(named("a"), digest.into()),
        ),
        (
            &format!("/v2/a/blobs/{DIGEST}"),
            Route::Blob(named("a"), digest),
        ),
        ("/v2/a/blobs/uploads/", Route::Uploads(named("a"))),
        ("/v2/a/blobs/uploads", Route::Uploads(named("a"))),
        (
            &format!("/v2/a/blobs/uploads/{ID}"),
            Route::Upload(named("a"), ID.parse().unwrap()),
        ),
        ("/v2/a/tags/list", Route::Tags(named("a"))),
        (
            &format!("/v2/a/referrers/{DIGEST}"),
            Route::Referrers(named("a"), digest),
        ),
        (
            "/acr/v1/a%2Fb",
            Route::Attributes(named("a/b"), Target::Repository),
        ),
        (
            "/acr/v1/a/tags/list/_tags/v1",
            Route::Attributes(named("a/tags/list"), Target::Tag("v1".parse().unwrap())),
        ),
        (
            &format!("/acr/v1/a%2fb/_manifests/{}", DIGEST.replace(':', "%3A")),
            Route::Attributes(named("a/b"), Target::Manifest(digest)),
        ),
        ("/acr/v1/_catalog", Route::AcrCatalog),
        ("/acr/v1/a%2Fb/_tags", Route::AcrTags(named("a/b"))),
        ("/acr/v1/a/b/_manifests", Route::AcrManifests(named("a/b"))),
    ] {
        assert_eq!(Route::parse(path), Ok(route), "{path}");
    }
}

/// Row 11 of the hostile list: the last keyword decides, and everything before it is the name.
#[test]
fn names_may_contain_every_keyword() {
    for name in [
        "blobs",
        "uploads",
        "manifests",
        "tags/list",
        "a/manifests/b",
        "blobs/uploads",
        "a/blobs/uploads",
        "referrers/x/tags/list",
        "ext/discover",
    ] {
        for (path, route) in [
            (format!("/v2/{name}/tags/list"), Route::Tags(named(name))),
            (
                format!("/v2/{name}/blobs/uploads/"),
                Route::Uploads(named(name)),
            ),
            (
                format!("/v2/{name}/blobs/uploads/{ID}"),
                Route::Upload(named(name), ID.parse().unwrap()),
            ),
            (
                format!("/v2/{name}/manifests/list"),
                Route::Manifest(named(name), "list".parse().unwrap()),
            ),
            (
                format!("/v2/{name}/manifests/uploads"),
                Route::Manifest(named(name), "uploads".parse().unwrap()),
            ),
        ] {
            assert_eq!(Route::parse(&path), Ok(route), "{path}");
        }
    }
}

#[test]
fn hostile_paths_are_told_apart() {
    use RouteError::{Digest, ExtensionUnknown, Name, Tag, Unknown, Upload};
    let long = format!("/v2/{}/tags/list", "a/".repeat(200));
    for (path, error) in [
        ("", Unknown),
        ("/", Unknown),
        ("/v1/", Unknown),
        ("/v20/", Unknown),
        ("/V2/", Unknown),
        ("/v2/a", Unknown),
        ("/v2/a/b/c", Unknown),
        ("/v2/a/tags", Unknown),
        ("/v2/a/tags/list/", Unknown),
        ("/v2/a/manifests/x/", Unknown),
        ("/v2/_catalog/", ExtensionUnknown),
        ("/v2/_x/y/z", ExtensionUnknown),
        ("/acr/v1", Unknown),
        ("/acr/v1/", Name),
        ("/acr/v1/a/", Name),
        ("/acr/v1/_catalog/x", ExtensionUnknown),
        ("/acr/v1/a/_tags/", Tag),
        ("/acr/v1/A/_tags", Name),
        ("/acr/v1/a/_x/y", ExtensionUnknown),
        ("/acr/v1/a/_tags/b/c", Tag),
        ("/acr/v1/a/_manifests/b", Digest),
        ("/acr/v1/a%252Fb", Name),
        ("/v2/a/ext/discover", ExtensionUnknown),
        ("/v2/a/uploads/0123456789abcdef", Unknown),
        ("/v2/xblobs/uploads/0123456789abcdef", Unknown),
        ("/v2/_x/tags/list", Name),
        ("/v2//tags/list", Name),
        ("/v2/tags/list", Name),
        ("/v2/manifests/latest", Name),
        ("/v2/blobs/uploads/", Name),
        ("/v2/a//b/tags/list", Name),
        ("/v2/a/../b/tags/list", Name),
        ("/v2/../tags/list", Name),
        ("/v2/%2e%2e/tags/list", Name),
        ("/v2/%2E%2e%2Ftags/list", Name),
        ("/v2/a%252fb/tags/list", Name),
        ("/v2/a%00/tags/list", Name),
        ("/v2/a%0d%0aX-Evil:1/tags/list", Name),
        ("/v2/%ff/tags/list", Name),
        ("/v2/%/tags/list", Name),
        ("/v2/é/tags/list", Name),
        ("/v2/Library/Nginx/tags/list", Name),
        (&long, Name),
        ("/v2/a/manifests/.x", Tag),
        ("/v2/a/manifests/", Tag),
        ("/v2/a/manifests/a@b", Tag),
        ("/v2/a/manifests/a%40b", Tag),
        ("/v2/a/manifests/a:b", Digest),
        ("/v2/a/manifests/sha256%3Axyz", Digest),
        ("/v2/a/blobs/sha256:..%2f..", Digest),
        ("/v2/a/blobs/sha256:../../x", Digest),
        ("/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", Digest),
        ("/v2/a/blobs/latest", Digest),
        ("/v2/a/referrers/latest", Digest),
        ("/v2/a/blobs/uploads/short", Upload),
        ("/v2/a/blobs/uploads/%2e%2e%2e%2e%2e%2e", Upload),
    ] {
        assert_eq!(Route::parse(path), Err(error), "{path:?}");
    }
}

#[test]
fn escapes_are_decoded_once() {
    for (path, plain) in [
        ("a%2Fb%2fc%3Ad%3ae", "a/b/c:d:e"),
        ("%252F", "%252F"),
        ("%%2F2F", "%/2F"),
        ("%2%2FF", "%2/F"),
        ("%2E%00%", "%2E%00%"),
    ] {
        assert_eq!(unescape(path), plain);
    }
}

fn name_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        "[a-z0-9]{1,4}((\\.|_|__|-{1,2})[a-z0-9]{1,4}){0,2}|blobs|uploads|manifests|tags|list|referrers|ext|discover",
        1..6,
    )
    .prop_map(|components| components.join("/"))
}

/// Escapes each `/` and `:` that the mask says, in either case.
fn escaped(text: &str, mask: &[u8]) -> String {
    let mut mask = mask.iter().cycle();
    text.chars()
        .map(|c| match (c, mask.next().map_or(0, |bits| bits % 3)) {
            ('/', 1) => "%2F".to_owned(),
            ('/', 2) => "%2f".to_owned(),
            (':', 1) => "%3A".to_owned(),
            (':', 2) => "%3a".to_owned(),
            _ => c.to_string(),
        })
        .collect()
}

proptest! {
    #[test]
    fn locations_lead_back_however_they_are_escaped(
        text in name_text(),
        hash: [u8; 32],
        id in "([a-z]{1,8}~)?[A-Za-z0-9_-]{16,40}",
        mask in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let (name, digest) = (named(&text), Digest::Sha256(hash));
        let id: Session = id.parse().unwrap();
        for (path, route) in [
            (location::blob(&name, &digest), Route::Blob(name.clone(), digest)),
            (location::manifest(&name, &digest), Route::Manifest(name.clone(), digest.into())),
            (location::upload(&name, &id), Route::Upload(name.clone(), id.clone())),
            (location::tags(&name), Route::Tags(name.clone())),
            (location::referrers(&name, &digest), Route::Referrers(name.clone(), digest)),
        ] {
            prop_assert_eq!(Route::parse(&path), Ok(route.clone()));
            let path = format!("/v2/{}", escaped(&path["/v2/".len()..], &mask));
            prop_assert_eq!(Route::parse(&path), Ok(route));
        }
    }

    #[test]
    fn no_path_makes_the_parser_panic(path in "/v2/\\PC{0,60}|/v2(/(%[0-9a-fA-F]{0,2}|[a-z.:%_-]{0,6}|blobs|uploads|tags|list|manifests)){0,8}") {
        let _ = Route::parse(&path);
    }
}
