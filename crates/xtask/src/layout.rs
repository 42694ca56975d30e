//! OCI image layouts, made from nothing and compared.
//!
//! Written against the image specification and not with Meridian's own types, so that a mistake of
//! theirs cannot hide here. Layers are real tar archives: engines unpack them.
//!
//! ```text
//! <root>/oci-layout
//! <root>/index.json            the tags
//! <root>/blobs/sha256/<hex>    manifests, configurations and layers
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::content::{Digesting, Noise, digest};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// What names a manifest or a blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    /// Where else the bytes are: not in the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    platform: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    annotations: Value,
}

impl Descriptor {
    fn new(media_type: &str, digest: String, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            platform: Value::Null,
            annotations: Value::Null,
        }
    }

    /// `architecture` as Go names it.
    pub(crate) fn on(mut self, architecture: &str) -> Self {
        self.platform = json!({"architecture": architecture, "os": "linux"});
        self
    }

    pub(crate) fn is_manifest(&self) -> bool {
        [INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].contains(&&*self.media_type)
    }
}

/// What a manifest or an index stands on.
#[derive(Deserialize)]
struct Node {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// A layer: the descriptor, and the digest of the archive before it was compressed.
pub(crate) struct Layer {
    pub(crate) descriptor: Descriptor,
    diff: String,
}

pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn create(root: &Path) -> Result<Self> {
        fs::create_dir_all(root.join("blobs/sha256"))
            .with_context(|| format!("cannot create {}", root.display()))?;
        fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let layout = Self::open(root);
        layout.write_tags(&[])?;
        Ok(layout)
    }

    /// One that somebody else has written.
    pub(crate) fn open(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    pub(crate) fn blob_path(&self, digest: &str) -> PathBuf {
        self.root.join("blobs").join(digest.replace(':', "/"))
    }

    /// A layer of one file, stored without effort: the bytes are noise.
    pub(crate) fn gzip_layer(&self, file: &str, size: u64, noise: Noise) -> Result<Layer> {
        self.layer(&format!("{LAYER}+gzip"), |out| {
            let gzip = GzEncoder::new(out, Compression::none());
            let mut archive = Digesting::new(gzip);
            write_archive(&mut archive, file, size, noise)?;
            let (gzip, diff, _) = archive.finish();
            gzip.finish()?;
            Ok(Some(diff))
        })
    }

    /// The same without compression, for sizes at which that counts.
    pub(crate) fn plain_layer(&self, file: &str, size: u64, noise: Noise) -> Result<Layer> {
        self.layer(LAYER, |out| {
            write_archive(out, file, size, noise)?;
            Ok(None)
        })
    }

    /// A layer that lies at a URL only: its bytes are nowhere.
    pub(crate) fn foreign_layer(&self, url: &str, noise: Noise) -> Result<Layer> {
        let (digest, size) = digest(noise.take(4096))?;
        let mut descriptor = Descriptor::new(FOREIGN, digest.clone(), size);
        descriptor.urls.push(url.to_owned());
        let diff = digest;
        Ok(Layer { descriptor, diff })
    }

    /// An image of these layers.
    pub(crate) fn image(&self, architecture: &str, layers: &[Layer]) -> Result<Descriptor> {
        let diffs: Vec<&str> = layers.iter().map(|layer| &*layer.diff).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/content"]},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        let config = self.json(CONFIG, &config)?;
        let layers: Vec<&Descriptor> = layers.iter().map(|layer| &layer.descriptor).collect();
        self.json(
            MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}),
        )
    }

    pub(crate) fn index(&self, manifests: &[Descriptor]) -> Result<Descriptor> {
        self.json(
            INDEX,
            &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}),
        )
    }

    /// Makes `name` the layout's only tag.
    pub(crate) fn tag(&self, name: &str, root: &Descriptor) -> Result<()> {
        let mut root = root.clone();
        root.annotations = json!({"org.opencontainers.image.ref.name": name});
        self.write_tags(&[root])
    }

    /// Everything below `root`, itself included, that a registry has to hold: each once.
    pub(crate) fn below(&self, root: &Descriptor) -> Result<Vec<Descriptor>> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut next = vec![root.clone()];
        while let Some(descriptor) = next.pop() {
            if !descriptor.urls.is_empty() || !seen.insert(descriptor.digest.clone()) {
                continue;
            }
            if descriptor.is_manifest() {
                let path = self.blob_path(&descriptor.digest);
                let node: Node = serde_json::from_slice(&fs::read(path)?)?;
                next.extend(node.config);
                next.extend(node.layers);
                next.extend(node.manifests);
            }
            found.push(descriptor);
        }
        Ok(found)
    }

    /// Fails unless `copy` holds the same bytes below `root`.
    pub(crate) fn same_in(&self, copy: &Self, root: &Descriptor) -> Result<()> {
        self.same(root, |wanted| {
            let path = copy.blob_path(&wanted.digest);
            let file = File::open(&path).with_context(|| format!("no {}", path.display()))?;
            Ok(Box::new(BufReader::new(file)))
        })
    }

    /// Fails unless `open` gives, for everything below `root`, the bytes that it names.
    pub(crate) fn same(
        &self,
        root: &Descriptor,
        open: impl Fn(&Descriptor) -> Result<Box<dyn Read>>,
    ) -> Result<()> {
        for wanted in self.below(root)? {
            let (digest, size) = digest(open(&wanted)?)?;
            ensure!(
                digest == wanted.digest && size == wanted.size,
                "{} of {} bytes came back as {digest} of {size} bytes",
                wanted.digest,
                wanted.size,
            );
        }
        Ok(())
    }

    /// The whole layout as one tar archive.
    pub(crate) fn archive(&self, path: &Path) -> Result<()> {
        let mut archive = tar::Builder::new(BufWriter::new(File::create(path)?));
        archive.append_dir_all("", &self.root)?;
        archive.into_inner()?.flush()?;
        Ok(())
    }

    fn write_tags(&self, manifests: &[Descriptor]) -> Result<()> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.root.join("index.json"), serde_json::to_vec(&index)?)?;
        Ok(())
    }

    fn json(&self, media_type: &str, value: &Value) -> Result<Descriptor> {
        let bytes = serde_json::to_vec(value)?;
        let (digest, size) = digest(&*bytes)?;
        fs::write(self.blob_path(&digest), bytes)?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// `write` returns the digest before compression, if there was any.
    fn layer(
        &self,
        media_type: &str,
        write: impl FnOnce(&mut Digesting<BufWriter<File>>) -> Result<Option<String>>,
    ) -> Result<Layer> {
        let unnamed = self.root.join("blobs/unnamed");
        let mut out = Digesting::new(BufWriter::with_capacity(1 << 20, File::create(&unnamed)?));
        let diff = write(&mut out)?;
        let (mut file, digest, size) = out.finish();
        file.flush()?;
        fs::rename(unnamed, self.blob_path(&digest))?;
        Ok(Layer {
            diff: diff.unwrap_or_else(|| digest.clone()),
            descriptor: Descriptor::new(media_type, digest, size),
        })
    }
}

fn write_archive(out: impl Write, file: &str, size: u64, noise: Noise) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(out);
    archive.append_data(&mut header, file, noise.take(size))?;
    archive.finish()?;
    Ok(())
}

/// Unpacks a layout that came as one archive.
pub(crate) fn unpack(archive: &Path, root: &Path) -> Result<Layout> {
    tar::Archive::new(BufReader::new(File::open(archive)?)).unpack(root)?;
    if !root.join("index.json").is_file() {
        bail!("{} is no image layout", archive.display());
    }
    Ok(Layout::open(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(root: &Path) -> (Layout, Descriptor, Layer) {
        let layout = Layout::create(root).unwrap();
        let layer = layout.gzip_layer("a", 1000, Noise::new(1, "a")).unwrap();
        let away = layout
            .foreign_layer("https://example.com/a", Noise::new(1, "away"))
            .unwrap();
        let image = layout.image(
            "amd64",
            &[
                away,
                Layer {
                    descriptor: layer.descriptor.clone(),
                    diff: layer.diff.clone(),
                },
            ],
        );
        let inner = layout.index(&[image.unwrap().on("amd64")]).unwrap();
        let outer = layout.index(&[inner]).unwrap();
        layout.tag("1", &outer).unwrap();
        (layout, outer, layer)
    }

    #[test]
    fn a_registry_has_to_hold_all_but_foreign_layers() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, root, _) = nested(dir.path());
        let types: Vec<String> = layout
            .below(&root)
            .unwrap()
            .into_iter()
            .map(|descriptor| descriptor.media_type)
            .collect();
        assert_eq!(
            types,
            [INDEX, INDEX, MANIFEST, &format!("{LAYER}+gzip"), CONFIG]
        );
    }

    #[test]
    fn a_layer_unpacks_to_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, _, layer) = nested(dir.path());
        let file = File::open(layout.blob_path(&layer.descriptor.digest)).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("a"));
        let noise = digest(Noise::new(1, "a").take(1000)).unwrap();
        assert_eq!(digest(entry).unwrap(), noise);
    }

    #[test]
    fn a_copy_that_lacks_or_changes_a_byte_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, root, layer) = nested(&dir.path().join("a"));
        layout.archive(&dir.path().join("a.tar")).unwrap();
        let copy = unpack(&dir.path().join("a.tar"), &dir.path().join("b")).unwrap();
        layout.same_in(&copy, &root).unwrap();
        let path = copy.blob_path(&layer.descriptor.digest);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        layout.same_in(&copy, &root).unwrap_err();
        fs::remove_file(&path).unwrap();
        layout.same_in(&copy, &root).unwrap_err();
    }
}
