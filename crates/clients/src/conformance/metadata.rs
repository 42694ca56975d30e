//! What every [`MetadataApi`] must do.

mod attributes;
mod blobs;
mod collection;
mod lists;
mod manifests;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_event::Leaf;
use meridian_oci::{Digest, Manifest, Tag};

use super::{fresh, repository, sha256};
use crate::{
    BlobLocation, BlobPut, Condition, DeleteManifest, Encoding, ManifestPut, MetadataApi, PutBlob,
    PutManifest, RepositoryPath, StorageKey, StoreBlob, WriteError,
};

/// How long an uploaded blob is kept before a manifest needs it.
pub const LEASE: Duration = Duration::from_secs(1000);

/// How long a blob is kept after the last manifest that needed it went.
pub const GRACE: Duration = Duration::from_secs(100);

/// Makes services of one body.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A service with one registry, `default`, and nothing in it, that keeps blobs for [`LEASE`] and
    /// [`GRACE`] and is used by one case only.
    async fn open(&self) -> Arc<dyn MetadataApi>;

    /// Lets time pass for every service: at least that much.
    async fn pass(&self, time: Duration);
}

/// Runs every case.
///
/// # Panics
///
/// When the body breaks its contract.
pub async fn run(fixture: &impl Fixture) {
    let stage = Stage(fixture.open().await);
    manifests::a_manifest_is_read_as_it_was_put(&stage).await;
    manifests::what_is_absent_is_told_apart(&stage).await;
    manifests::the_greatest_manifest_passes(&stage).await;
    manifests::absent_leaves_are_named(&stage).await;
    manifests::every_one_of_very_many_absent_leaves_is_named(&stage).await;
    manifests::a_wrong_size_is_named(&stage).await;
    manifests::conditions_decide(&stage).await;
    manifests::a_tag_is_deleted_alone(&stage).await;
    manifests::a_manifest_takes_its_tags_along(&stage).await;
    manifests::what_is_needed_stays(&stage).await;

    writes::a_repeated_request_has_its_effect_once(&stage).await;
    writes::versions_rise(&stage).await;
    writes::generations_are_given_out_once(&stage).await;

    blobs::a_record_is_read_as_it_was_put(&stage).await;
    blobs::a_mount_makes_a_blob_present_elsewhere(&stage).await;
    blobs::a_deleted_blob_is_absent(&stage).await;
    blobs::a_push_renews_an_old_lease(&stage, fixture).await;
    blobs::an_object_that_was_lost_is_replaced(&Stage(fixture.open().await)).await;
    blobs::an_object_that_was_not_made_for_the_registry_is_refused(&stage).await;

    blobs::a_blob_that_arrived_is_kept_once_and_leased_to_nobody(&Stage(fixture.open().await))
        .await;

    lists::tags_come_in_pages(&Stage(fixture.open().await)).await;
    lists::repositories_come_in_pages(&Stage(fixture.open().await)).await;
    lists::referrers_come_by_type_and_in_pages(&Stage(fixture.open().await)).await;
    lists::usage_counts_what_is_there(&Stage(fixture.open().await)).await;
    lists::a_registry_has_one_id(&stage).await;

    attributes::what_is_locked_stays_as_it_is(&stage).await;
    attributes::a_deleted_repository_is_gone(&stage).await;
    attributes::a_blob_says_whether_it_may_be_pulled(&stage).await;
    attributes::what_a_repository_holds_is_listed(&stage).await;

    collection::a_blob_that_nobody_needs_is_collected(&Stage(fixture.open().await), fixture).await;
    collection::a_touch_revives(&Stage(fixture.open().await), fixture).await;
    collection::a_needed_blob_stays(&Stage(fixture.open().await), fixture).await;
    collection::an_orphan_is_doomed_and_never_named(&Stage(fixture.open().await)).await;
    collection::what_is_no_orphan_stays(&Stage(fixture.open().await)).await;
}

/// A service, and what pushes to it look like.
pub(super) struct Stage(pub(super) Arc<dyn MetadataApi>);

impl std::ops::Deref for Stage {
    type Target = dyn MetadataApi;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Stage {
    pub(super) async fn put_blob(&self, at: &RepositoryPath, bytes: &[u8]) -> Digest {
        let location = BlobLocation::Inline(Bytes::copy_from_slice(bytes));
        self.put_located(at, bytes, location).await.unwrap();
        sha256(bytes)
    }

    async fn put_located(
        &self,
        at: &RepositoryPath,
        bytes: &[u8],
        location: BlobLocation,
    ) -> Result<BlobPut, WriteError> {
        self.put_instead(at, bytes, location, None).await
    }

    async fn put_instead(
        &self,
        at: &RepositoryPath,
        bytes: &[u8],
        location: BlobLocation,
        instead_of: Option<StorageKey>,
    ) -> Result<BlobPut, WriteError> {
        let put = PutBlob {
            repository: at.clone(),
            digest: sha256(bytes),
            size: bytes.len() as u64,
            encoding: Encoding::Plain,
            location,
            instead_of,
            request: fresh(),
        };
        self.0.put_blob(put).await
    }

    /// Records what came from another region.
    async fn store_instead(
        &self,
        bytes: &[u8],
        location: BlobLocation,
        instead_of: Option<StorageKey>,
    ) -> Result<BlobPut, WriteError> {
        let registry = "default".parse().unwrap();
        let store = StoreBlob {
            registry: self.registry(&registry).await.unwrap(),
            blob: Leaf {
                digest: sha256(bytes),
                size: bytes.len() as u64,
            },
            encoding: Encoding::Plain,
            location,
            instead_of,
            request: fresh(),
        };
        self.0.store_blob(store).await
    }

    /// A name for an object that nobody has.
    async fn storage_key(&self) -> StorageKey {
        let registry = "default".parse().unwrap();
        let generations = self.reserve_generations(1, fresh()).await.unwrap();
        StorageKey {
            registry: self.registry(&registry).await.unwrap(),
            epoch: generations.epoch,
            generation: generations.first,
        }
    }

    pub(super) async fn put_manifest(
        &self,
        at: &RepositoryPath,
        manifest: &Manifest,
        tags: &[&str],
    ) -> Result<ManifestPut, WriteError> {
        self.put_manifest_if(at, manifest, tags, None).await
    }

    async fn put_manifest_if(
        &self,
        at: &RepositoryPath,
        manifest: &Manifest,
        tags: &[&str],
        condition: Option<Condition>,
    ) -> Result<ManifestPut, WriteError> {
        let put = PutManifest {
            condition,
            ..put(at, manifest, tags)
        };
        self.0.put_manifest(put).await
    }

    /// An image with one layer, which is `name`, and this tag.
    pub(super) async fn push_image(&self, at: &RepositoryPath, name: &str, tag: &str) -> Manifest {
        let layer = self.put_blob(at, name.as_bytes()).await;
        let config = self.put_blob(at, b"{}").await;
        let manifest = image(&[(config, 2), (layer, name.len() as u64)]);
        self.put_manifest(at, &manifest, &[tag]).await.unwrap();
        manifest
    }

    pub(super) async fn delete(
        &self,
        at: &RepositoryPath,
        reference: &str,
        condition: Option<Condition>,
    ) -> Result<(), WriteError> {
        let delete = DeleteManifest {
            repository: at.clone(),
            reference: reference.parse().unwrap(),
            condition,
            request: fresh(),
        };
        self.delete_manifest(delete).await.map(drop)
    }
}

fn put(at: &RepositoryPath, manifest: &Manifest, tags: &[&str]) -> PutManifest {
    PutManifest {
        repository: at.clone(),
        manifest: manifest.clone(),
        digest: digest_of(manifest),
        tags: tags.iter().map(|tag| tag.parse::<Tag>().unwrap()).collect(),
        condition: None,
        request: fresh(),
    }
}

pub(super) fn digest_of(manifest: &Manifest) -> Digest {
    sha256(manifest.bytes())
}

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn descriptor(media_type: &str, digest: Digest, size: u64) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

/// An image: a configuration, then layers.
pub(super) fn image(leaves: &[(Digest, u64)]) -> Manifest {
    image_with(leaves, "")
}

/// An image with further members, each after a comma.
pub(super) fn image_with(leaves: &[(Digest, u64)], more: &str) -> Manifest {
    let mut descriptors = leaves.iter().map(|(digest, size)| {
        let layer = "application/vnd.oci.image.layer.v1.tar";
        descriptor(layer, *digest, *size)
    });
    let config = descriptors.next().unwrap();
    let layers = descriptors.collect::<Vec<_>>().join(",");
    parse(
        IMAGE,
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{config},"layers":[{layers}]{more}}}"#
        ),
    )
}

/// An index of images.
pub(super) fn index(children: &[(Digest, u64)]) -> Manifest {
    let children = children
        .iter()
        .map(|(digest, size)| descriptor(IMAGE, *digest, *size));
    let children = children.collect::<Vec<_>>().join(",");
    parse(
        INDEX,
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{children}]}}"#),
    )
}

fn parse(media_type: &str, text: String) -> Manifest {
    Manifest::parse(Some(media_type), text.into()).unwrap()
}
