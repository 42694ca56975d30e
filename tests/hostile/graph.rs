//! What manifests name, and what names them (rows 43 to 47, 50, 58, 59).

use std::sync::Barrier;
use std::thread;

use harness::{Content, Image, digest};
use serde_json::{Value, json};

use crate::target::{Expected, INDEX, OCI, Target, refusal, request, status};

const INVALID: Expected = refusal(&[400], "MANIFEST_INVALID");

fn index() -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
}

#[test]
fn leaves_must_be_here_and_of_their_size() {
    let target = Target::start();
    let (name, other) = (target.repository("app"), target.repository("other"));
    let image = Content::new(4).image(&[100]);
    for blob in &image.blobs {
        target.push_blob(&other, blob);
    }
    let reply = target.put(&name, "v1", OCI, &image.manifest);
    reply.must(
        "row 43: it is elsewhere",
        refusal(&[400], "MANIFEST_BLOB_UNKNOWN"),
    );
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    let told = told["errors"].to_string();
    assert!(
        image
            .blobs
            .iter()
            .all(|blob| told.contains(&digest(blob).to_string())),
        "row 43: {told}"
    );

    for blob in &image.blobs {
        target.push_blob(&name, blob);
    }
    for size in [
        json!(101),
        json!(0),
        json!(-1),
        json!(9_223_372_036_854_775_808_u64),
        json!(1e18),
        json!(100.0),
        json!("100"),
    ] {
        let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        manifest["layers"][0]["size"] = size.clone();
        let reply = target.put(&name, "v1", OCI, manifest.to_string().as_bytes());
        reply.must(&format!("row 44: {size}"), status(&[400]));
        let code =
            reply.text().contains("SIZE_INVALID") || reply.text().contains("MANIFEST_INVALID");
        assert!(code, "row 44: {size}: {}", reply.text());
    }
    let mut wrong: Value = serde_json::from_slice(&image.manifest).unwrap();
    wrong["config"]["size"] = json!(image.blobs[0].len() + 1);
    let reply = target.put(&name, "v1", OCI, wrong.to_string().as_bytes());
    reply.must("row 44: the configuration", refusal(&[400], "SIZE_INVALID"));
    target
        .put(&name, "v1", OCI, &image.manifest)
        .must("as it is", status(&[201]));

    let child = |size: usize| {
        let child = json!({"mediaType": OCI, "digest": image.digest().to_string(), "size": size});
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}).to_string()
    };
    let (right, wrong) = (child(image.manifest.len()), child(image.manifest.len() + 1));
    let reply = target.put(&name, "all", INDEX, wrong.as_bytes());
    reply.must("row 44: a child", refusal(&[400], "SIZE_INVALID"));
    let reply = target.put(&other, "all", INDEX, right.as_bytes());
    reply.must(
        "row 43: the child is elsewhere",
        refusal(&[400], "MANIFEST_BLOB_UNKNOWN"),
    );
    let reply = target.put(&name, "all", INDEX, right.as_bytes());
    reply.must("as it is", status(&[201]));
}

#[test]
fn what_is_opaque_is_stored_and_never_followed() {
    let target = Target::start();
    let name = target.repository("app");
    let image = Content::new(5).image(&[100]);
    for blob in &image.blobs {
        target.push_blob(&name, blob);
    }
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest(b"elsewhere").to_string(),
        "size": 9,
        "urls": ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "file:///etc/passwd"],
    });
    manifest["layers"].as_array_mut().unwrap().push(foreign);
    manifest["annotations"] = json!({"title": "<script>alert(1)</script>\r\nX-Evil: 1"});
    let bytes = manifest.to_string();
    target
        .put(&name, "v1", OCI, bytes.as_bytes())
        .must("row 45", status(&[201]));
    let got = target.ask(&format!("GET /v2/{name}/manifests/v1"), &[], b"");
    assert_eq!(got.text(), bytes, "row 45: byte for byte");
    assert!(got.header("x-evil").is_none());

    manifest["config"]["data"] = json!("bm90IHRoZSBjb25maWc=");
    let reply = target.put(&name, "v2", OCI, manifest.to_string().as_bytes());
    reply.must("row 45: data that is not the content", INVALID);
}

#[test]
fn indexes_are_bounded_in_breadth_and_may_be_deep() {
    let target = Target::start();
    let name = target.repository("app");
    let child =
        |digest: &str, size: usize| json!({"mediaType": INDEX, "digest": digest, "size": size});
    let many: Vec<Value> = (0..20_000)
        .map(|i: u32| child(&digest(&i.to_be_bytes()).to_string(), 1))
        .collect();
    let broad = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": many}).to_string();
    assert!(broad.len() < 4 << 20);
    target
        .put(&name, "v1", INDEX, broad.as_bytes())
        .must("row 46: 20 000 children", INVALID);

    let mut inner = index().to_string();
    target
        .put(&name, "deep", INDEX, inner.as_bytes())
        .must("row 46", status(&[201]));
    for depth in 1..50 {
        let digest = digest(inner.as_bytes()).to_string();
        inner = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child(&digest, inner.len())]}).to_string();
        let reply = target.put(&name, "deep", INDEX, inner.as_bytes());
        reply.must(&format!("row 46: depth {depth}"), status(&[201]));
    }
}

#[test]
fn subjects_may_be_absent_or_refer_to_each_other() {
    let target = Target::start();
    let name = target.repository("app");
    let referrer = |subject: &str, marker: &str| {
        json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "artifactType": "application/x",
            "annotations": {"marker": marker},
            "subject": {"mediaType": OCI, "digest": subject, "size": 7},
        })
        .to_string()
    };
    let missing = digest(b"missing").to_string();
    let first = referrer(&missing, "first");
    let reply = target.put(&name, "v1", INDEX, first.as_bytes());
    reply.must("row 47: missing", status(&[201]));
    assert_eq!(reply.header("oci-subject"), Some(missing.as_str()));
    for (digest, size) in [
        (json!("sha256:xyz"), json!(7)),
        (json!(7), json!(7)),
        (json!(missing), json!(-1)),
        (json!(missing), json!(9_223_372_036_854_775_808_u64)),
        (json!(missing), Value::Null),
    ] {
        let mut manifest = index();
        manifest["subject"] = json!({"mediaType": OCI, "digest": digest, "size": size});
        let reply = target.put(&name, "v2", INDEX, manifest.to_string().as_bytes());
        reply.must(&format!("row 47: {}", manifest["subject"]), status(&[400]));
    }
    let second = referrer(&digest(first.as_bytes()).to_string(), "second");
    target
        .put(&name, "v2", INDEX, second.as_bytes())
        .must("row 47: a chain", status(&[201]));
    for (of, expected) in [
        (missing.as_str(), 1),
        (&digest(first.as_bytes()).to_string(), 1),
        (&digest(second.as_bytes()).to_string(), 0),
    ] {
        let listed = target.ask(&format!("GET /v2/{name}/referrers/{of}"), &[], b"");
        let listed: Value = serde_json::from_slice(&listed.body).unwrap();
        assert_eq!(
            listed["manifests"].as_array().unwrap().len(),
            expected,
            "row 47: {of}"
        );
        let elsewhere = target.ask(
            &format!("GET /v2/{}/referrers/{of}", target.repository("other")),
            &[],
            b"",
        );
        assert!(
            elsewhere.text().contains(r#""manifests":[]"#),
            "row 47: another repository"
        );
    }
}

#[test]
fn a_push_with_tags_is_all_or_nothing() {
    let target = Target::start();
    let name = target.repository("app");
    let manifest = index().to_string();
    let digest = digest(manifest.as_bytes());
    let tags = |count: usize| -> String { (0..count).map(|i| format!("&tag=t{i}")).collect() };
    let push = |query: &str| {
        let line = format!("PUT /v2/{name}/manifests/{digest}?x=y{query}");
        let bytes = request(&line, &[("Content-Type", INDEX)], manifest.as_bytes());
        target.raw(&bytes)
    };
    push(&tags(1000)).must("row 50: 1000 tags", status(&[414]));
    push(&tags(33)).must("row 50: 33 tags", status(&[414]));
    push("&tag=good&tag=.bad").must("row 50: a bad one", INVALID);
    let listed = target.ask(&format!("GET /v2/{name}/tags/list"), &[], b"");
    listed.must("row 50: nothing was stored", status(&[404]));
    let reply = push(&tags(10));
    reply.must("row 50: ten tags", status(&[201]));
    let set = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "oci-tag")
        .count();
    assert_eq!(set, 10, "row 50");
}

#[test]
fn of_creators_at_once_one_wins() {
    let target = Target::start();
    let name = target.repository("app");
    let together = Barrier::new(8);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let creators: Vec<_> = (0..8)
            .map(|i| {
                let (target, name, together) = (&target, &name, &together);
                scope.spawn(move || {
                    let mut manifest = index();
                    manifest["annotations"] = json!({"creator": i.to_string()});
                    together.wait();
                    let headers = [("Content-Type", INDEX), ("If-None-Match", "*")];
                    let line = format!("PUT /v2/{name}/manifests/once");
                    target
                        .ask(&line, &headers, manifest.to_string().as_bytes())
                        .status
                })
            })
            .collect();
        creators
            .into_iter()
            .map(|creator| creator.join().unwrap())
            .collect()
    });
    let won = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(won, 1, "row 59: {statuses:?}");
    assert!(
        statuses.iter().all(|status| matches!(status, 201 | 412)),
        "row 59: {statuses:?}"
    );
}

#[test]
fn what_is_still_named_is_not_deleted() {
    let target = Target::start();
    let name = target.repository("app");
    let image: Image = Content::new(6).image(&[100]);
    target.push_image(&name, "v1", &image);
    let child = image.digest();
    let parent = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": OCI, "digest": child.to_string(), "size": image.manifest.len()},
    ]})
    .to_string();
    target
        .put(&name, "all", INDEX, parent.as_bytes())
        .must("an index", status(&[201]));
    let blob = digest(&image.blobs[1]);
    for (path, named_by) in [
        (format!("manifests/{child}"), digest(parent.as_bytes())),
        (format!("blobs/{blob}"), child),
    ] {
        let reply = target.ask(&format!("DELETE /v2/{name}/{path}"), &[], b"");
        reply.must(&format!("row 58: {path}"), refusal(&[409], "DENIED"));
        assert!(
            reply.text().contains(&named_by.to_string()),
            "row 58: {}",
            reply.text()
        );
        target
            .ask(&format!("GET /v2/{name}/{path}"), &[], b"")
            .must("row 58: it is there", status(&[200]));
    }
}
