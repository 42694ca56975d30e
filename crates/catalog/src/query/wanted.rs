//! What is wanted: content that is named by what is merged, and that is not here.
//!
//! Manifests and blobs are wanted in rows of two kinds, which are in one order, of registry and
//! digest, so that both are read in one pass that can be left and gone on with anywhere.

use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, MediaType, RepositoryName};

use super::Result;
use super::replication::manifest;
use crate::access::{exists, read, suffixes};
use crate::key::{self, Key};
use crate::row::{Needs, Usage};
use crate::{CatalogError, Read};

/// A manifest that is present and whose bytes are not here, or that is to be described anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedManifest {
    /// Its registry.
    pub registry: RegistryId,
    /// Its repository.
    pub repository: RepositoryName,
    /// Which, and its length as far as it is known.
    pub manifest: Leaf,
    /// The media type under which it is to be read; before its put is merged, it is not known.
    pub media_type: Option<MediaType>,
    /// Whether its bytes are here, and only how it shows itself to its subject is wanted.
    pub has_body: bool,
}

/// A blob for which manifests wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedBlob {
    /// Its registry.
    pub registry: RegistryId,
    /// A repository in which one of them waits.
    pub repository: RepositoryName,
    /// Which.
    pub blob: Leaf,
}

/// Content whose bytes are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A manifest.
    Manifest(WantedManifest),
    /// A blob.
    Blob(WantedBlob),
}

/// Everything whose bytes are wanted, each once: at most `limit`, in the order of registry and
/// digest, from after one of them on. What is wanted as both is a blob until that is here.
pub fn wanted<S: Read>(
    store: &S,
    after: Option<(RegistryId, Digest)>,
    limit: usize,
) -> Result<Vec<Wanted>, S> {
    let begin = after.map_or_else(Vec::new, past);
    let mut manifest = next_manifest(store, key::WANTED, begin.clone())?;
    let mut blob = next_blob(store, begin)?;
    let mut found = Vec::new();
    while found.len() < limit {
        let names = [
            manifest.as_ref().map(WantedManifest::name),
            blob.as_ref().map(WantedBlob::name),
        ];
        let first = names.into_iter().flatten();
        let Some(first) = first.min_by_key(|name| past(*name)) else {
            break;
        };
        let taken_manifest = manifest.take_if(|it| it.name() == first);
        let taken_blob = blob.take_if(|it| it.name() == first);
        if taken_manifest.is_some() {
            manifest = next_manifest(store, key::WANTED, past(first))?;
        }
        if taken_blob.is_some() {
            blob = next_blob(store, past(first))?;
        }
        let taken_manifest = taken_manifest.map(Wanted::Manifest);
        found.extend(taken_blob.map(Wanted::Blob).or(taken_manifest));
    }
    Ok(found)
}

/// Manifests whose bytes, or descriptions, are wanted: at most `limit`, from after one of them on.
pub fn wanted_manifests<S: Read>(
    store: &S,
    after: Option<&WantedManifest>,
    limit: usize,
) -> Result<Vec<WantedManifest>, S> {
    let begin = after.map(|after| {
        let wanted = key::wanted(after.registry, after.manifest.digest);
        wanted.text(after.repository.as_str())
    });
    let begin = begin
        .as_deref()
        .map_or(&[][..], |key| &key[key::WANTED.len()..]);
    let found = suffixes(store, key::WANTED, begin, limit)?;
    let found = found.iter().map(|suffix| {
        let key = [key::WANTED, suffix].concat();
        wanted_manifest(store, &key)
    });
    found.collect()
}

/// Where in a registry a manifest's bytes, or its description, are wanted: at most `limit`
/// repositories, from after one of them on.
pub fn wanted_in<S: Read>(
    store: &S,
    registry: RegistryId,
    digest: Digest,
    after: Option<&RepositoryName>,
    limit: usize,
) -> Result<Vec<WantedManifest>, S> {
    let prefix = key::wanted(registry, digest);
    let after = after.map_or("", RepositoryName::as_str);
    let found = suffixes(store, &prefix, after.as_bytes(), limit)?;
    let found = found.iter().map(|name| {
        let key = [&*prefix, name].concat();
        wanted_manifest(store, &key)
    });
    found.collect()
}

/// Blobs for which manifests wait, each once: at most `limit`, from after one of them on.
pub fn wanted_blobs<S: Read>(
    store: &S,
    after: Option<&WantedBlob>,
    limit: usize,
) -> Result<Vec<WantedBlob>, S> {
    let mut begin = after.map_or_else(Vec::new, |after| past(after.name()));
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(blob) = next_blob(store, begin)? else {
            break;
        };
        begin = past(blob.name());
        found.push(blob);
    }
    Ok(found)
}

/// How many manifests of each registry are merged and not exposed, because they or what they need are not
/// here; only where there are some. A pass over all registries.
pub fn incomplete<S: Read>(store: &S) -> Result<Vec<(RegistryId, u64)>, S> {
    let mut found = Vec::new();
    for suffix in suffixes(store, key::USAGE, &[], usize::MAX)? {
        let damaged = || CatalogError::Damaged("usage");
        let (registry, _) = key::take_registry(&suffix).ok_or_else(damaged)?;
        let usage = read::<Usage, S>(store, &key::usage(registry))?.unwrap_or_default();
        if usage.unexposed > 0 {
            found.push((registry, usage.unexposed));
        }
    }
    Ok(found)
}

/// Whether a repository wants the bytes of a manifest.
pub(super) fn is_manifest_wanted<S: Read>(
    store: &S,
    registry: RegistryId,
    digest: Digest,
) -> Result<bool, S> {
    let prefix = key::wanted(registry, digest);
    Ok(next_manifest(store, &prefix, Vec::new())?.is_some())
}

/// Whether a manifest waits for a blob.
pub(super) fn is_blob_awaited<S: Read>(
    store: &S,
    registry: RegistryId,
    digest: Digest,
) -> Result<bool, S> {
    let waiting = key::waiting_for_blob(registry, digest);
    Ok(!suffixes(store, &waiting, &[], 1)?.is_empty())
}

/// Where what comes after something begins.
fn past((registry, digest): (RegistryId, Digest)) -> Vec<u8> {
    let prefix = key::wanted(registry, digest);
    key::end_of(&prefix)[key::WANTED.len()..].to_vec()
}

/// The next manifest whose bytes are wanted, of those under a prefix.
fn next_manifest<S: Read>(
    store: &S,
    prefix: &[u8],
    mut begin: Vec<u8>,
) -> Result<Option<WantedManifest>, S> {
    while let Some(suffix) = suffixes(store, prefix, &begin, 1)?.pop() {
        let wanted = wanted_manifest(store, &[prefix, &suffix].concat())?;
        if !wanted.has_body {
            return Ok(Some(wanted));
        }
        begin = suffix;
    }
    Ok(None)
}

/// The next blob that is wanted.
fn next_blob<S: Read>(store: &S, mut begin: Vec<u8>) -> Result<Option<WantedBlob>, S> {
    while let Some(suffix) = suffixes(store, key::WAITING, &begin, 1)?.pop() {
        let wanted = awaited(store, &suffix)?;
        // One that is recorded is not wanted, though not everybody is told of it yet.
        if !exists(store, &key::blob(wanted.registry, wanted.blob.digest))? {
            return Ok(Some(wanted));
        }
        begin = past(wanted.name());
    }
    Ok(None)
}

fn wanted_manifest<S: Read>(store: &S, key: &[u8]) -> Result<WantedManifest, S> {
    let damaged = || CatalogError::Damaged("wanted manifest");
    let rest = key.strip_prefix(key::WANTED).ok_or_else(damaged)?;
    let (registry, rest) = key::take_registry(rest).ok_or_else(damaged)?;
    let (digest, rest) = key::take_digest(rest).ok_or_else(damaged)?;
    let repository = key::parse(rest).ok_or_else(damaged)?;
    let row = manifest(store, registry, &repository, digest)?.ok_or_else(damaged)?;
    Ok(WantedManifest {
        registry,
        repository,
        manifest: Leaf {
            digest,
            size: row.size,
        },
        has_body: row.has_body(),
        media_type: row.media_type,
    })
}

/// The blob that somebody waits for.
fn awaited<S: Read>(store: &S, suffix: &[u8]) -> Result<WantedBlob, S> {
    let damaged = || CatalogError::Damaged("who waits for a blob");
    let (registry, rest) = key::take_registry(suffix).ok_or_else(damaged)?;
    let (digest, rest) = key::take_digest(rest).ok_or_else(damaged)?;
    let (repository, rest) = key::take_repository(rest).ok_or_else(damaged)?;
    let (manifest, _) = key::take_digest(rest).ok_or_else(damaged)?;
    let needs: Key = key::needs(registry, &repository).digest(manifest);
    let needs = read::<Needs, S>(store, &needs)?.ok_or_else(damaged)?;
    let mut blobs = needs.blobs.iter();
    let blob = blobs.find(|leaf| leaf.digest == digest);
    Ok(WantedBlob {
        registry,
        repository,
        blob: *blob.ok_or_else(damaged)?,
    })
}

// === impl WantedManifest ===

impl WantedManifest {
    fn name(&self) -> (RegistryId, Digest) {
        (self.registry, self.manifest.digest)
    }
}

// === impl WantedBlob ===

impl WantedBlob {
    fn name(&self) -> (RegistryId, Digest) {
        (self.registry, self.blob.digest)
    }
}
