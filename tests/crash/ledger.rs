//! What was promised, and whether it was kept.
//!
//! A request that was answered with success is a promise. One that was refused changed nothing.
//! One whose answer never came may have taken effect or not, and both are right.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Client, Image, digest};
use meridian_oci::Digest;

/// Everything that was promised so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Blobs of repositories that must be there.
    blobs: BTreeSet<(String, Digest)>,
    /// Manifests that must be there, until somebody may have deleted them.
    manifests: BTreeMap<(String, Digest), Image>,
    /// What a tag may point at. Each tag has one writer, so its last acknowledged write counts,
    /// and every write after it whose outcome is not known.
    tags: BTreeMap<(String, String), Vec<Option<Digest>>>,
    /// Whether blobs without a manifest may be collected.
    pub(crate) collects: bool,
}

// === impl Ledger ===

impl Ledger {
    /// A ledger for a registry that collects what no manifest needs at once.
    pub(crate) fn collecting() -> Self {
        Self {
            collects: true,
            ..Self::default()
        }
    }

    pub(crate) fn blob(&mut self, repository: &str, digest: Digest) {
        self.blobs.insert((repository.to_owned(), digest));
    }

    /// A blob may be gone: its last manifest is.
    fn release(&mut self, repository: &str, image: &Image) {
        for blob in &image.blobs {
            self.blobs.remove(&(repository.to_owned(), digest(blob)));
        }
    }

    pub(crate) fn manifest(&mut self, repository: &str, image: &Image) {
        let key = (repository.to_owned(), image.digest());
        self.manifests.insert(key, image.clone());
    }

    /// A delete of a manifest was sent: until it is answered, it may be there or not.
    pub(crate) fn forget_manifest(&mut self, repository: &str, digest: Digest) {
        let key = (repository.to_owned(), digest);
        if let Some(image) = self.manifests.remove(&key) {
            self.release(repository, &image);
        }
        let of = self.tags.iter_mut().filter(|(key, _)| key.0 == repository);
        for (_, values) in of {
            if values.contains(&Some(digest)) {
                values.push(None);
            }
        }
    }

    /// A write to a tag was sent.
    pub(crate) fn tag_sent(&mut self, repository: &str, tag: &str, value: Option<Digest>) {
        let key = (repository.to_owned(), tag.to_owned());
        let values = self.tags.entry(key).or_insert_with(|| vec![None]);
        values.push(value);
    }

    /// It was acknowledged.
    pub(crate) fn tag_done(&mut self, repository: &str, tag: &str, value: Option<Digest>) {
        let key = (repository.to_owned(), tag.to_owned());
        self.tags.insert(key, vec![value]);
    }

    /// The manifests that must be there.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (String, Digest)> {
        self.manifests.keys().cloned()
    }

    /// How much was promised.
    pub(crate) fn promises(&self) -> usize {
        self.blobs.len() + self.manifests.len()
    }

    /// Looks at everything; what is not as it was promised, in words.
    pub(crate) async fn broken(&self, client: &Client) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.collects {
            for (repository, blob) in &self.blobs {
                check_blob(client, repository, *blob, &mut broken).await;
            }
        }
        for ((repository, digest), image) in &self.manifests {
            check_manifest(client, repository, &digest.to_string(), image, &mut broken).await;
        }
        for ((repository, tag), allowed) in &self.tags {
            let answer = client.manifest(repository, tag).await.unwrap();
            let found = match answer.status.as_u16() {
                200 => Some(digest(&answer.body)),
                404 => None,
                status => {
                    broken.push(format!("{repository}:{tag} answers {status}"));
                    continue;
                }
            };
            if !allowed.contains(&found) {
                broken.push(format!(
                    "{repository}:{tag} is {found:?}, not one of {allowed:?}"
                ));
            }
        }
        self.check_closure(client, &mut broken).await;
        broken
    }

    /// Whatever a tag shows is complete.
    async fn check_closure(&self, client: &Client, broken: &mut Vec<String>) {
        let repositories: BTreeSet<&String> = self.tags.keys().map(|(name, _)| name).collect();
        for repository in repositories {
            let list = client.get(&format!("/v2/{repository}/tags/list")).await;
            let list = list.unwrap();
            if list.status.as_u16() == 404 {
                continue;
            }
            let list: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
            for tag in list["tags"].as_array().unwrap() {
                let tag = tag.as_str().unwrap();
                let answer = client.manifest(repository, tag).await.unwrap();
                if answer.status.as_u16() != 200 {
                    broken.push(format!("{repository}:{tag} is listed and dangles"));
                    continue;
                }
                let manifest: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                let layers = manifest["layers"].as_array().unwrap();
                for leaf in layers.iter().chain([&manifest["config"]]) {
                    let leaf = leaf["digest"].as_str().unwrap().parse().unwrap();
                    check_blob(client, repository, leaf, broken).await;
                }
            }
        }
    }
}

async fn check_manifest(
    client: &Client,
    repository: &str,
    reference: &str,
    image: &Image,
    broken: &mut Vec<String>,
) {
    let answer = client.manifest(repository, reference).await.unwrap();
    if answer.status.as_u16() != 200 {
        broken.push(format!(
            "manifest {repository}@{reference}: {}",
            answer.status
        ));
        return;
    }
    if answer.body != image.manifest {
        broken.push(format!("manifest {repository}@{reference} has other bytes"));
    }
    for blob in &image.blobs {
        check_blob(client, repository, digest(blob), broken).await;
    }
}

async fn check_blob(client: &Client, repository: &str, blob: Digest, broken: &mut Vec<String>) {
    match client.blob(repository, blob).await {
        Ok(answer) if answer.status.as_u16() != 200 => {
            broken.push(format!("blob {repository}@{blob}: {}", answer.status));
        }
        Ok(answer) if digest(&answer.body) != blob => {
            broken.push(format!("blob {repository}@{blob} has other bytes"));
        }
        Ok(_) => {}
        Err(error) => broken.push(format!("blob {repository}@{blob}: {error}")),
    }
}
