//! The documents that manifests are (rows 35 to 42).

use harness::Content;
use serde_json::{Value, json};

use crate::target::{Expected, INDEX, OCI, Target, refusal, status};

const INVALID: Expected = refusal(&[400], "MANIFEST_INVALID");
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn index() -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
}

#[test]
fn the_size_limit_is_exact() {
    let target = Target::start();
    let name = target.repository("app");
    let mut manifest = index().to_string().into_bytes();
    manifest.resize(4 << 20, b' ');
    target
        .put(&name, "v1", INDEX, &manifest)
        .must("row 35: 4 MiB", status(&[201]));
    manifest.push(b' ');
    let too_large = refusal(&[413], "MANIFEST_INVALID");
    target
        .put(&name, "v1", INDEX, &manifest)
        .must("row 35: 4 MiB + 1", too_large);
    let mut chunked = format!(
        "PUT /v2/{name}/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: {INDEX}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n",
        manifest.len()
    )
    .into_bytes();
    chunked.extend_from_slice(&manifest);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    target
        .raw(&chunked)
        .must("row 35: unknown length", too_large);
    let huge = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"a": "x".repeat(10 << 20)}});
    let reply = target.put(&name, "v1", INDEX, huge.to_string().as_bytes());
    reply.must("row 45: 10 MiB of annotation", status(&[413]));
}

/// What a document costs is bounded by its length, whatever it is made of.
#[test]
fn documents_of_many_small_parts_cost_no_more_than_others() {
    let target = Target::start();
    let name = target.repository("app");
    let head = format!(r#""schemaVersion":2,"mediaType":"{INDEX}","manifests":[]"#);
    let room = (4 << 20) - head.len() - 20;
    let push_four = |content: &str| {
        let document = format!(r#"{{{head},"x":[{content}]}}"#);
        std::thread::scope(|scope| {
            for tag in ["a", "b", "c", "d"] {
                let (target, name, document) = (&target, &name, &document);
                scope.spawn(move || {
                    let reply = target.put(name, tag, INDEX, document.as_bytes());
                    reply.must(&format!("row 37: {content:.20}"), status(&[201, 400]));
                });
            }
        });
    };
    // What is stored costs memory for a while, too: texts as long as that show how much.
    for letter in ["v", "w", "x", "y", "z"] {
        push_four(&format!("\"{}\"", letter.repeat(room - 2)));
    }
    let plain = target.peak_memory();
    for part in [
        r#"{"a":0},"#,
        "[],",
        "0,",
        r#"{"a":{"b":[0]}},"#,
        r#""\u0041","#,
    ] {
        let parts = part.repeat(room / part.len());
        push_four(parts.trim_end_matches(','));
    }
    let grown = target.peak_memory().saturating_sub(plain);
    assert!(grown < 96 << 20, "row 37: {grown} bytes more");
}

#[test]
fn encoded_manifests_are_not_decoded() {
    let target = Target::start();
    let line = format!("PUT /v2/{}/manifests/v1", target.repository("app"));
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let headers = [("Content-Type", INDEX), ("Content-Encoding", encoding)];
        let reply = target.ask(&line, &headers, b"\x1f\x8b\x08\x00");
        reply.must(
            &format!("row 36: {encoding}"),
            refusal(&[415], "UNSUPPORTED"),
        );
    }
}

#[test]
fn documents_that_two_readers_could_read_differently_are_refused() {
    let target = Target::start();
    let name = target.repository("app");
    let head = format!(r#""schemaVersion":2,"mediaType":"{INDEX}","manifests":[]"#);
    let deep = format!(
        r#"{{{head},"x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let deeper = format!(r#"{{{head},"x":{}"#, r#"{"a":"#.repeat(100_000));
    let bom = format!("\u{feff}{{{head}}}");
    let trailing = format!("{{{head}}}{{}}");
    let twice = format!(r#"{{{head},"mediaType":"{INDEX}"}}"#);
    let escaped = format!(r#"{{{head},"m\u0065diaType":"{OCI}"}}"#);
    let unknown_twice = format!(r#"{{{head},"x":1,"x":2}}"#);
    let annotation_twice = format!(r#"{{{head},"annotations":{{"a":"1","a":"2"}}}}"#);
    let cased = format!(r#"{{{head},"MediaType":"{OCI}"}}"#);
    let surrogate = format!(r#"{{{head},"x":"\ud800"}}"#);
    let number = format!(r#"{{{head},"x":1e400}}"#);
    let float = head.replace(":2,", ":2.0,");
    let negative = head.replace(":2,", ":-2,");
    let text = head.replace(":2,", ":\"2\",");
    for (row, document) in [
        (37, deep.as_str()),
        (37, &deeper),
        (38, &twice),
        (38, &escaped),
        (38, &unknown_twice),
        (38, &annotation_twice),
        (39, &cased),
        (39, &bom),
        (39, &trailing),
        (39, &surrogate),
        (39, &number),
        (39, &format!("{{{float}}}")),
        (39, &format!("{{{negative}}}")),
        (39, &format!("{{{text}}}")),
        (39, ""),
        (39, "null"),
        (39, "[]"),
        (39, "\"text\""),
        (39, &format!("{{{head}")),
    ] {
        let shown = &document[..document.len().min(120)];
        let reply = target.put(&name, "v1", INDEX, document.as_bytes());
        reply.must(&format!("row {row}: {shown}"), INVALID);
    }
    let mut invalid = format!(r#"{{{head},"x":"_"}}"#).into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'_').unwrap();
    invalid[at] = 0xff;
    target
        .put(&name, "v1", INDEX, &invalid)
        .must("row 39: not UTF-8", INVALID);
    let tags = target.ask(&format!("GET /v2/{name}/tags/list"), &[], b"");
    tags.must("nothing was stored", refusal(&[404], "NAME_UNKNOWN"));
}

#[test]
fn what_a_manifest_is_must_be_certain() {
    let target = Target::start();
    let name = target.repository("app");
    let image = Content::new(3).image(&[100]);
    target.push_image(&name, "good", &image);
    let good: Value = serde_json::from_slice(&image.manifest).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        manifest
    };
    let both = with(&|manifest| manifest["manifests"] = json!([]));
    let untyped_both = with(&|manifest| {
        manifest["manifests"] = json!([]);
        manifest.as_object_mut().unwrap().remove("mediaType");
    });
    let untyped_index = json!({"schemaVersion": 2, "manifests": []});
    let lists = json!({"schemaVersion": 2, "mediaType": OCI, "layers": [], "manifests": []});
    let listed = json!({"schemaVersion": 2, "mediaType": INDEX, "layers": [], "manifests": []});
    let unsupported = refusal(&[400], "UNSUPPORTED");
    for (row, media_type, manifest, expected) in [
        (40, OCI, &lists, INVALID),
        (40, INDEX, &listed, INVALID),
        (40, OCI, &both, INVALID),
        (40, OCI, &untyped_both, INVALID),
        (40, INDEX, &untyped_both, INVALID),
        (40, INDEX, &good, INVALID),
        (40, DOCKER, &good, INVALID),
        (41, OCI, &untyped_index, INVALID),
        (42, "application/json", &good, unsupported),
        (42, "text/html", &good, unsupported),
        (
            42,
            "application/vnd.docker.distribution.manifest.v1+json",
            &good,
            unsupported,
        ),
        (
            42,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            &good,
            unsupported,
        ),
        (
            42,
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            &good,
            status(&[201]),
        ),
        (42, "", &good, status(&[201])),
    ] {
        let reply = target.put(&name, "v1", media_type, manifest.to_string().as_bytes());
        reply.must(&format!("row {row}: {media_type} {manifest}"), expected);
    }
}
