//! OCI image manifests as text.
//!
//! Owns the shape of the manifests that are pushed. A manifest is rendered once and its digest is
//! that of the rendered bytes. Leaves to its callers that the content it names has been pushed.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::digest::Digest;

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a manifest says of one blob.
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// The bytes of a manifest and their digest.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) body: Bytes,
    pub(crate) digest: Digest,
}

// === impl Descriptor ===

impl Descriptor {
    pub(crate) fn of(content: &[u8]) -> Self {
        Self {
            digest: Digest::of(content),
            size: content.len() as u64,
        }
    }
}

// === impl Manifest ===

impl Manifest {
    pub(crate) fn of(config: &Descriptor, layers: &[Descriptor]) -> Self {
        Self::render(config, layers, "")
    }

    /// A manifest of exactly `length` bytes, or of a few more if it does not fit, that differs
    /// from every other one with another `key`.
    pub(crate) fn padded(
        config: &Descriptor,
        layers: &[Descriptor],
        key: u64,
        length: usize,
    ) -> Self {
        let note = |padding: &str| {
            format!(r#","annotations":{{"load.key":"{key}","load.padding":"{padding}"}}"#)
        };
        let bare = Self::render(config, layers, &note("")).body.len();
        let padding = "x".repeat(length.saturating_sub(bare));
        Self::render(config, layers, &note(&padding))
    }

    fn render(config: &Descriptor, layers: &[Descriptor], annotations: &str) -> Self {
        let mut text = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":"#);
        describe(&mut text, CONFIG_TYPE, config);
        text.push_str(r#","layers":["#);
        for (n, layer) in layers.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            describe(&mut text, LAYER_TYPE, layer);
        }
        text.push(']');
        text.push_str(annotations);
        text.push('}');
        let digest = Digest::of(text.as_bytes());
        Self {
            body: text.into(),
            digest,
        }
    }
}

fn describe(text: &mut String, media_type: &str, blob: &Descriptor) {
    let Descriptor { digest, size } = blob;
    write!(
        text,
        r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#
    )
    .expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_json_that_names_its_blobs() {
        let config = Descriptor::of(b"{}");
        let layers = [Descriptor::of(b"one"), Descriptor::of(b"two")];
        let manifest = Manifest::of(&config, &layers);
        let parsed: serde_json::Value = serde_json::from_slice(&manifest.body).unwrap();
        assert_eq!(parsed["config"]["digest"], config.digest.as_str());
        assert_eq!(parsed["layers"][1]["size"], 3);
        assert_eq!(manifest.digest, Digest::of(&manifest.body));
    }

    #[test]
    fn a_padded_manifest_has_the_asked_length_and_its_own_digest() {
        let config = Descriptor::of(b"{}");
        let one = Manifest::padded(&config, std::slice::from_ref(&config), 1, 1200);
        let two = Manifest::padded(&config, std::slice::from_ref(&config), 2, 1200);
        assert_eq!(one.body.len(), 1200);
        assert_ne!(one.digest, two.digest);
        assert!(serde_json::from_slice::<serde_json::Value>(&one.body).is_ok());
    }
}
