//! Lists and pages (rows 48, 49).

use crate::target::{INDEX, Target, refusal, status};

#[test]
fn hostile_pages_are_clamped_or_refused() {
    let target = Target::start();
    let name = target.repository("app");
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
    for tag in ["a", "b", "c"] {
        target
            .put(&name, tag, INDEX, manifest.as_bytes())
            .must("a tag", status(&[201]));
    }
    let number = refusal(&[400], "PAGINATION_NUMBER_INVALID");
    for path in [format!("/v2/{name}/tags/list"), "/v2/_catalog".to_owned()] {
        for n in ["-1", "abc", "1.5", "1e18", "0x10", "%00", "", "1%20"] {
            let reply = target.ask(&format!("GET {path}?n={n}"), &[], b"");
            reply.must(&format!("row 49: n={n}"), number);
        }
        for n in ["1000000000000000000", "99999999999999999999999999999999"] {
            let reply = target.ask(&format!("GET {path}?n={n}"), &[], b"");
            reply.must(&format!("row 49: n={n}"), status(&[200]));
        }
        let none = target.ask(&format!("GET {path}?n=0"), &[], b"");
        none.must("row 49: n=0", status(&[200]));
        assert!(none.text().contains(":[]}"), "row 49: {}", none.text());
        assert!(none.header("link").is_none(), "row 49: n=0");
        for last in ["../", "%00", "a%0d%0aX-Evil:1", "%ff"] {
            let reply = target.ask(&format!("GET {path}?n=1&last={last}"), &[], b"");
            reply.must(&format!("row 49: last={last}"), status(&[400]));
            assert!(reply.header("x-evil").is_none());
        }
    }
    let page = target.ask(&format!("GET /v2/{name}/tags/list?n=2"), &[], b"");
    let link = format!("</v2/{name}/tags/list?n=2&last=b>; rel=\"next\"");
    assert_eq!(page.header("link"), Some(link.as_str()));
}

#[test]
fn referrers_are_never_not_found() {
    let target = Target::start();
    let name = target.repository("nowhere");
    let unknown = harness::digest(b"unknown");
    for query in ["", "?artifactType=a/b", "?artifactType=%00%0d%0aX-Evil:1"] {
        let reply = target.ask(
            &format!("GET /v2/{name}/referrers/{unknown}{query}"),
            &[],
            b"",
        );
        reply.must(&format!("row 48: {query}"), status(&[200]));
        assert_eq!(reply.header("content-type"), Some(INDEX));
        assert!(reply.header("x-evil").is_none());
    }
    let reply = target.ask(&format!("GET /v2/{name}/referrers/sha256:xyz"), &[], b"");
    reply.must("row 48", refusal(&[400], "DIGEST_INVALID"));
    let many = format!(
        "GET /v2/{name}/referrers/{unknown}?{}",
        "artifactType=a&".repeat(500)
    );
    target
        .ask(&many, &[], b"")
        .must("many types", status(&[400]));
}
