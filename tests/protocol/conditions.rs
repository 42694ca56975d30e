//! Reading manifests on conditions (RFC 9110, 13).

use meridian_oci::Digest;

use crate::content::{ALGORITHMS, INDEX, marked};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::wire::{get, head};

/// The entity tag of what has that digest.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

#[tokio::test]
async fn a_manifest_is_read_on_conditions() {
    let registry = Registry::start().await;
    for algorithm in ALGORITHMS {
        let repository = registry.repository(&algorithm.to_string());
        let bytes = marked("read");
        let digest = Digest::of(algorithm, &bytes);
        let other = Digest::of(algorithm, b"other");
        let by_digest = format!("{digest}?tag=v1");
        registry.put(&repository, &by_digest, INDEX, &bytes).await;
        let mut table = registry.table("RFC 9110, 13.1.1 If-Match and 13.1.2 If-None-Match");
        let unchanged = is(304).of(&digest).without("Content-Type");
        let whole = is(200).of(&digest).header("Content-Length", bytes.len());
        let failed = refused(412, "DENIED").header("ETag", etag(&digest));
        for (rule, name, value, expected) in [
            (
                "what the client has is not sent",
                "If-None-Match",
                etag(&digest),
                &unchanged,
            ),
            (
                "a weak tag is compared weakly",
                "If-None-Match",
                format!("W/{}", etag(&digest)),
                &unchanged,
            ),
            (
                "one of a list is enough",
                "If-None-Match",
                format!("\"x\", {}", etag(&digest)),
                &unchanged,
            ),
            (
                "any is anything that is there",
                "If-None-Match",
                "*".to_owned(),
                &unchanged,
            ),
            (
                "what has changed is sent",
                "If-None-Match",
                etag(&other),
                &whole,
            ),
            (
                "what is foreign has changed",
                "If-None-Match",
                "\"x\"".to_owned(),
                &whole,
            ),
            (
                "what the client knows is sent",
                "If-Match",
                etag(&digest),
                &whole,
            ),
            (
                "one of a list is enough",
                "If-Match",
                format!("\"x\", {}", etag(&digest)),
                &whole,
            ),
            (
                "any is anything that is there",
                "If-Match",
                "*".to_owned(),
                &whole,
            ),
            (
                "something else is not sent",
                "If-Match",
                etag(&other),
                &failed,
            ),
            (
                "a weak tag never matches",
                "If-Match",
                format!("W/{}", etag(&digest)),
                &failed,
            ),
        ] {
            for reference in ["v1".to_owned(), digest.to_string()] {
                let target = format!("/v2/{repository}/manifests/{reference}");
                let request = get(&*target).header(name, &value);
                table
                    .row(format!("GET, {name}: {rule}"), request, expected.clone())
                    .await;
                let request = head(target).header(name, &value);
                table
                    .row(
                        format!("HEAD, {name}: {rule}"),
                        request,
                        expected.clone().headless(),
                    )
                    .await;
            }
        }
        for name in ["If-Match", "If-None-Match"] {
            for reference in ["absent".to_owned(), other.to_string()] {
                let target = format!("/v2/{repository}/manifests/{reference}");
                for value in [etag(&other), "*".to_owned()] {
                    let request = get(&*target).header(name, value);
                    let rule = format!("{name} of what is not there");
                    table
                        .row(rule, request, refused(404, "MANIFEST_UNKNOWN"))
                        .await;
                }
            }
        }
    }
}
