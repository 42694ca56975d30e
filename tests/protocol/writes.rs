//! Writes on conditions, and the versions of writes (RFC 9110, 13; clients swap tags that list
//! referrers like that).

use meridian_oci::{Algorithm, Digest};

use crate::conditions::etag;
use crate::content::{ALGORITHMS, INDEX, marked};
use crate::expected::{Expected, is, refused};
use crate::server::Registry;
use crate::wire::{Request, delete, get, head, put};

/// One step of a history: a request, and what it must bring.
type Step = (&'static str, Request, Expected);

#[tokio::test]
async fn a_tag_moves_only_as_its_writers_say() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let tag = format!("/v2/{repository}/manifests/v1");
    let [one, two] = ["one", "two"].map(marked);
    let [first, second] = [&one, &two].map(|bytes| Digest::of(Algorithm::Sha256, bytes));
    let send = |bytes: &[u8], name, value: String| {
        let request = put(&*tag).header("Content-Type", INDEX).header(name, value);
        request.body(bytes.to_vec())
    };
    let remove = |name, value: String| delete(&*tag).header(name, value);
    let failed = refused(412, "DENIED");
    let holding = |digest| failed.clone().header("ETag", etag(digest));
    let undecidable = refused(400, "UNSUPPORTED");
    let steps: Vec<Step> = vec![
        (
            "what is not there is not replaced",
            send(&one, "If-Match", etag(&first)),
            failed.clone().without("ETag"),
        ),
        (
            "what is not there is created",
            send(&one, "If-None-Match", "*".into()),
            is(201).of(&first),
        ),
        (
            "what is there is not created",
            send(&two, "If-None-Match", "*".into()),
            holding(&first),
        ),
        (
            "not even with the same bytes",
            send(&one, "If-None-Match", "*".into()),
            holding(&first),
        ),
        (
            "what has moved is not replaced",
            send(&two, "If-Match", etag(&second)),
            holding(&first),
        ),
        (
            "a weak tag never matches",
            send(&two, "If-Match", format!("W/{}", etag(&first))),
            failed.clone(),
        ),
        (
            "what is foreign never matches",
            send(&two, "If-Match", "\"x\"".into()),
            failed.clone(),
        ),
        (
            "after all this it has not moved",
            get(&*tag),
            is(200).of(&first),
        ),
        (
            "what is as known is replaced",
            send(&two, "If-Match", etag(&first)),
            is(201).of(&second),
        ),
        (
            "a digest without quotes is known",
            send(&one, "If-Match", second.to_string()),
            is(201).of(&first),
        ),
        (
            "an unsupported condition is refused: any",
            send(&two, "If-Match", "*".into()),
            undecidable.clone(),
        ),
        (
            "an unsupported condition is refused: several",
            send(
                &two,
                "If-Match",
                format!("{}, {}", etag(&first), etag(&second)),
            ),
            undecidable.clone(),
        ),
        (
            "an unsupported condition is refused: not this",
            send(&two, "If-None-Match", etag(&second)),
            undecidable.clone(),
        ),
        (
            "two conditions are refused",
            send(&two, "If-Match", etag(&first)).header("If-None-Match", "*"),
            undecidable.clone(),
        ),
        (
            "after all this it has not moved",
            get(&*tag),
            is(200).of(&first),
        ),
        (
            "what has moved is not deleted",
            remove("If-Match", etag(&second)),
            holding(&first),
        ),
        (
            "what is there is not deleted if it must not be",
            remove("If-None-Match", "*".into()),
            holding(&first),
        ),
        ("it is still there", get(&*tag), is(200).of(&first)),
        (
            "what is as known is deleted",
            remove("If-Match", etag(&first)),
            is(202),
        ),
        (
            "then it is gone",
            get(&*tag),
            refused(404, "MANIFEST_UNKNOWN"),
        ),
    ];
    let mut table = registry.table("conditional writes: RFC 9110, 13.1, decided with the write");
    for (rule, request, expected) in steps {
        table.row(rule, request, expected).await;
    }
}

#[tokio::test]
async fn what_has_a_digest_is_written_on_conditions() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let mut table = registry.table("conditional writes by digest: RFC 9110, 13.1");
    for algorithm in ALGORITHMS {
        let bytes = marked(&algorithm.to_string());
        let digest = Digest::of(algorithm, &bytes);
        let other = Digest::of(algorithm, b"other");
        let target = format!("/v2/{repository}/manifests/{digest}");
        let send = |name, value: &str| {
            let request = put(&*target)
                .header("Content-Type", INDEX)
                .header(name, value);
            request.body(bytes.clone())
        };
        let failed = refused(412, "DENIED");
        for (rule, request, expected) in [
            (
                "it is created once",
                send("If-None-Match", "*"),
                is(201).of(&digest),
            ),
            (
                "it is created once",
                send("If-None-Match", "*"),
                failed.clone(),
            ),
            (
                "under a digest there is nothing to compare",
                send("If-Match", &etag(&digest)),
                refused(400, "UNSUPPORTED"),
            ),
            (
                "something else is not deleted",
                delete(&*target).header("If-Match", etag(&other)),
                failed.clone(),
            ),
            (
                "a weak tag never matches",
                delete(&*target).header("If-Match", format!("W/{}", etag(&digest))),
                failed.clone(),
            ),
            ("it is still there", head(&*target), is(200)),
            (
                "it is deleted",
                delete(&*target).header("If-Match", etag(&digest)),
                is(202),
            ),
        ] {
            table
                .row(
                    format!("a manifest: {rule}, {algorithm}"),
                    request,
                    expected,
                )
                .await;
        }
        let blob = registry.push_blob(&repository, algorithm, &bytes).await;
        let target = format!("/v2/{repository}/blobs/{blob}");
        for (rule, request, expected) in [
            (
                "something else is not deleted",
                delete(&*target).header("If-Match", etag(&other)),
                failed.clone(),
            ),
            (
                "a weak tag never matches",
                delete(&*target).header("If-Match", format!("W/{}", etag(&digest))),
                failed.clone(),
            ),
            (
                "an unsupported condition is refused",
                delete(&*target).header("If-None-Match", "*"),
                refused(400, "UNSUPPORTED"),
            ),
            ("it is still there", head(&*target), is(200)),
            (
                "it is deleted",
                delete(&*target).header("If-Match", etag(&digest)),
                is(202),
            ),
        ] {
            table
                .row(format!("a blob: {rule}, {algorithm}"), request, expected)
                .await;
        }
    }
}

/// `<milliseconds>.<counter>@<region>`
fn version(text: &str) -> Option<(u64, u64)> {
    let (stamp, region) = text.split_once('@')?;
    let (millis, counter) = stamp.split_once('.')?;
    (!region.is_empty()).then_some(())?;
    Some((millis.parse().ok()?, counter.parse().ok()?))
}

#[tokio::test]
async fn each_write_tells_its_version_and_versions_grow() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let bytes = marked("versions");
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let tag = format!("/v2/{repository}/manifests/v1");
    let by_digest = format!("/v2/{repository}/manifests/{digest}");
    let send = |target: &str| {
        let request = put(target).header("Content-Type", INDEX);
        request.body(bytes.clone())
    };
    let stamped = |status| {
        is(status).holds("Meridian-Version", "a version", |text| {
            version(text).is_some()
        })
    };
    let mut table = registry.table("Meridian-Version");
    let mut last = None;
    for (rule, request, expected) in [
        ("a push to a tag has one", send(&tag), stamped(201)),
        ("so has the same push again", send(&tag), stamped(201)),
        ("so has a push by digest", send(&by_digest), stamped(201)),
        (
            "so has a push by digest with tags",
            send(&format!("{by_digest}?tag=a&tag=b")),
            stamped(201),
        ),
        ("so has the deletion of a tag", delete(&*tag), stamped(202)),
        (
            "so has the deletion of a manifest",
            delete(&*by_digest),
            stamped(202),
        ),
    ] {
        let answer = table.row(rule, request, expected).await;
        let version = answer.header("meridian-version").and_then(version);
        table.must(format!("versions grow: {rule}"), version > last, true);
        last = version;
    }
    for (rule, request, expected) in [
        ("a read has none", get("/v2/"), is(200)),
        ("a refused write has none", delete(tag), is(404)),
    ] {
        table
            .row(rule, request, expected.without("Meridian-Version"))
            .await;
    }
}
