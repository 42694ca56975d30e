//! Images of layers of any size, each with a number that names it.

use bytes::Bytes;

use crate::client::{CallError, Payload};
use crate::content::{Descriptor, Layer, Manifest};
use crate::digest::Digest;
use crate::registry::Session;
use crate::workload::push_layer::compare;

/// Images are spread over these in turn, so that no shard has all of them.
pub(super) const REPOSITORIES: u64 = 64;

/// A config, layers, and the manifest that names them.
pub(super) struct LayeredImage {
    pub(super) number: u64,
    config: Bytes,
    pub(super) layers: Vec<Layer>,
    manifest: Manifest,
}

/// Where the image with a number is.
pub(super) fn repository(number: u64) -> String {
    format!("load/replicated-{}", number % REPOSITORIES)
}

pub(super) fn tag(number: u64) -> String {
    format!("r{number}")
}

/// Where its manifest is had by tag.
pub(super) fn manifest_path(number: u64) -> String {
    format!("/v2/{}/manifests/{}", repository(number), tag(number))
}

/// The number that a tag names.
pub(super) fn number_in(tag: &str) -> Option<u64> {
    tag.strip_prefix('r')?.parse().ok()
}

// === impl LayeredImage ===

impl LayeredImage {
    pub(super) fn new(number: u64, layers: Vec<Layer>) -> Self {
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","created":"{number}","rootfs":{{"type":"layers"}}}}"#
        );
        let descriptors: Vec<_> = layers.iter().map(describe).collect();
        Self {
            number,
            manifest: Manifest::of(&Descriptor::of(config.as_bytes()), &descriptors),
            config: config.into(),
            layers,
        }
    }

    /// The bytes of the manifest, the config and those of the layers from `first` on.
    pub(super) fn size_from(&self, first: usize) -> u64 {
        let layers: u64 = self.layers[first..].iter().map(|layer| layer.size).sum();
        (self.config.len() + self.manifest.body.len()) as u64 + layers
    }

    /// Pushes it, less the layers before `first`, which are there.
    pub(super) async fn push_from(
        &self,
        first: usize,
        session: &mut Session,
    ) -> Result<(), CallError> {
        let repository = repository(self.number);
        for layer in &self.layers[first..] {
            let payload = Payload::Sized(layer.part(0..layer.size));
            let pushed = session.push_blob(&repository, &layer.digest, payload);
            pushed.await?;
        }
        let config = Payload::Whole(self.config.clone());
        let digest = Digest::of(&self.config);
        session.push_blob(&repository, &digest, config).await?;
        session
            .put_manifest(&repository, &tag(self.number), &self.manifest)
            .await
    }

    /// Pulls it by digest, and compares.
    pub(super) async fn check(&self, session: &mut Session) -> Result<(), CallError> {
        let repository = repository(self.number);
        let path = format!("/v2/{repository}/manifests/{}", self.manifest.digest);
        if session.get(&path, "GET manifest").await? != self.manifest.body {
            return Err(CallError::Content { what: path });
        }
        compare(session, &repository, &Digest::of(&self.config)).await?;
        for layer in &self.layers {
            compare(session, &repository, &layer.digest).await?;
        }
        Ok(())
    }
}

fn describe(layer: &Layer) -> Descriptor {
    Descriptor {
        digest: (*layer.digest).clone(),
        size: layer.size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Noise;

    #[test]
    fn a_tag_tells_the_number_of_its_image() {
        assert_eq!(number_in(&tag(7)), Some(7));
        assert_eq!(number_in("latest"), None);
    }

    #[test]
    fn images_with_the_same_layers_differ_by_their_configs() {
        let layer = Layer::new(&Noise::new(), 1, 100);
        let [one, two] = [1, 2].map(|number| LayeredImage::new(number, vec![layer.clone(); 2]));
        assert_ne!(one.manifest.digest, two.manifest.digest);
        assert_eq!(one.size_from(0) - one.size_from(1), 100);
    }
}
