//! Documents and what they name, in either algorithm.

use bytes::Bytes;
use harness::Content;
use meridian_oci::{Algorithm, Digest};
use serde_json::{Value, json};

pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const OCTETS: &str = "application/octet-stream";

/// Content that belongs together, in the order in which it may be pushed.
pub(crate) struct Set {
    pub(crate) algorithm: Algorithm,
    pub(crate) blobs: Vec<Bytes>,
    pub(crate) manifests: Vec<Document>,
    content: Content,
}

/// A manifest.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
    pub(crate) tags: Vec<&'static str>,
}

/// A descriptor.
pub(crate) fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
}

/// An image manifest.
pub(crate) fn image(config: &Value, layers: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers})
}

/// An index.
pub(crate) fn index(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
}

/// An index of nothing, told apart from others by its marker.
pub(crate) fn marked(marker: &str) -> Vec<u8> {
    let mut index = index(&[]);
    index["annotations"] = json!({"marker": marker});
    index.to_string().into_bytes()
}

/// What is appended to a document, on top of what it has.
pub(crate) fn extended(mut document: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

// === impl Set ===

impl Set {
    pub(crate) fn new(algorithm: Algorithm, seed: u64) -> Self {
        Self {
            algorithm,
            blobs: Vec::new(),
            manifests: Vec::new(),
            content: Content::new(seed),
        }
    }

    /// Adds a blob: its descriptor.
    pub(crate) fn blob(&mut self, media_type: &str, bytes: impl Into<Bytes>) -> Value {
        let bytes = bytes.into();
        let descriptor = self.describe(media_type, &bytes);
        self.blobs.push(bytes);
        descriptor
    }

    /// Adds a blob that nobody has pushed before: a small one and a large one in turn, because they
    /// are kept in different places.
    pub(crate) fn fresh(&mut self, media_type: &str) -> Value {
        let length = [700, 40_000][self.blobs.len() % 2];
        let bytes = self.content.bytes(length);
        self.blob(media_type, bytes)
    }

    /// The descriptor of what is not added.
    pub(crate) fn absent(&mut self, media_type: &str) -> Value {
        let bytes = self.content.bytes(300);
        self.describe(media_type, &bytes)
    }

    fn describe(&self, media_type: &str, bytes: &[u8]) -> Value {
        descriptor(media_type, &Digest::of(self.algorithm, bytes), bytes.len())
    }

    /// An image of fresh content.
    pub(crate) fn image(&mut self) -> Value {
        let nonce = self.content.number(0..u64::MAX);
        let config = json!({"architecture": "amd64", "os": "linux", "nonce": nonce});
        let config = self.blob(CONFIG, config.to_string());
        let layers = [self.fresh(LAYER), self.fresh(&format!("{LAYER}+gzip"))];
        image(&config, &layers)
    }

    /// An artifact of fresh content (image-spec "Guidelines for Artifact Usage").
    pub(crate) fn artifact(&mut self, artifact_type: &str) -> Value {
        let config = self.blob(EMPTY, "{}");
        let layer = self.fresh(artifact_type);
        let members = json!({"artifactType": artifact_type});
        extended(image(&config, &[layer]), &members)
    }

    /// Adds a manifest of the type that it says it has: its descriptor.
    pub(crate) fn add(&mut self, tags: &[&'static str], document: &Value) -> Value {
        let media_type = [IMAGE, INDEX, DOCKER_IMAGE, DOCKER_LIST]
            .into_iter()
            .find(|media_type| document["mediaType"] == *media_type)
            .unwrap();
        self.add_bytes(tags, media_type, document.to_string())
    }

    /// Adds a manifest as it is.
    pub(crate) fn add_bytes(
        &mut self,
        tags: &[&'static str],
        media_type: &'static str,
        bytes: impl Into<Bytes>,
    ) -> Value {
        let bytes = bytes.into();
        let digest = Digest::of(self.algorithm, &bytes);
        let descriptor = descriptor(media_type, &digest, bytes.len());
        self.manifests.push(Document {
            media_type,
            bytes,
            digest,
            tags: tags.to_vec(),
        });
        descriptor
    }
}

// === impl Document ===

impl Document {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The digest of the manifest that it refers to.
    pub(crate) fn subject(&self) -> Option<String> {
        Some(self.json()["subject"]["digest"].as_str()?.to_owned())
    }

    /// Its entry in a list of referrers (distribution-spec "Listing Referrers"): all annotations,
    /// and as type that of the artifact, or else that of the configuration.
    pub(crate) fn as_referrer(&self) -> Value {
        let json = self.json();
        let mut entry = descriptor(self.media_type, &self.digest, self.bytes.len());
        let artifact_type = [&json["artifactType"], &json["config"]["mediaType"]]
            .into_iter()
            .find(|text| text.is_string());
        if let Some(artifact_type) = artifact_type {
            entry["artifactType"] = artifact_type.clone();
        }
        if json["annotations"].is_object() {
            entry["annotations"] = json["annotations"].clone();
        }
        entry
    }
}
