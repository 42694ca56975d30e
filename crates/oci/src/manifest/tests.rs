//! Tables of what is accepted and what is refused, and properties over generated manifests.

mod accepted;
mod properties;
mod referrers;
mod refused;

use serde_json::{Value, json};

use super::*;

/// The media types as text, for building manifests.
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn parse(content_type: Option<&str>, body: &str) -> Result<Manifest, ParseManifestError> {
    Manifest::parse(content_type, Bytes::copy_from_slice(body.as_bytes()))
}

fn digest(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, content).to_string()
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

/// `value` with further members, which replace those of the same name.
fn with(mut value: Value, members: Value) -> Value {
    let target = value.as_object_mut().unwrap();
    let Value::Object(members) = members else {
        panic!("members stand in an object");
    };
    target.extend(members);
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name).unwrap();
    value
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor(CONFIG, b"config"),
        "layers": [descriptor(LAYER, b"one"), descriptor(LAYER, b"two")],
    })
}

fn index() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [with(
            descriptor(IMAGE, b"child"),
            json!({ "platform": { "architecture": "amd64", "os": "linux" } }),
        )],
    })
}

/// The digests of content, for comparing what a manifest names.
fn digests<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> Vec<String> {
    descriptors.map(|d| d.digest.to_string()).collect()
}
