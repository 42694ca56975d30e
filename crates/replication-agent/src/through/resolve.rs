//! A tag or a manifest, looked for in all regions.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use meridian_clients::regions::Resolved;
use meridian_clients::replica::{Found, FoundManifest, FoundTag};
use meridian_clients::{
    ManifestStat, ReadError, RepositoryPath, Stale, StoredManifest, WriteError,
};
use meridian_clock::{Region, Version};
use meridian_event::RegistryId;
use meridian_oci::{Digest, Reference, RepositoryName};

use super::{Answers, unavailable};
use crate::shell::Shell;

/// What all regions together know of a reference.
struct Outcome {
    tag: Option<FoundTag>,
    manifest: Option<FoundManifest>,
}

pub(super) async fn resolve(
    shell: &Arc<Shell>,
    repository: &RepositoryPath,
    reference: &Reference,
    at_least: Option<Version>,
) -> Result<Resolved, ReadError> {
    let registry = shell.ports.metadata.registry(&repository.registry).await?;
    let name = &repository.name;
    let mut answers = ask(shell, registry, name, reference, at_least).await;
    merge(shell, &mut answers).await?;
    let here = shell.ports.replica.find(registry, name, reference).await?;
    let outcome = Outcome::of(here);
    let unknown = || answers.lack(ReadError::ManifestUnknown);
    let (digest, version) = outcome.visible(reference).ok_or_else(unknown)?;
    if let Some(floor) = at_least.filter(|floor| version < *floor) {
        return Err(unavailable(floor.region));
    }
    let manifest = match outcome.manifest {
        Some(manifest) if manifest.bytes.is_some() => manifest,
        _ => bring_bytes(shell, registry, name, digest).await?,
    };
    let stale = answers.silent.first().copied();
    let region = answers.whose(shell.region, version);
    let stat = ManifestStat {
        digest,
        size: manifest.leaf.size,
        media_type: manifest.put.map(|(_, it)| it).ok_or_else(unknown)?,
        version,
        is_overtaken: false,
        stale: stale.map(|region| Stale {
            region,
            age: shell.age_of(region),
        }),
    };
    Ok(Resolved {
        manifest: StoredManifest {
            stat,
            bytes: manifest.bytes.unwrap_or_default(),
        },
        region,
    })
}

async fn ask(
    shell: &Arc<Shell>,
    registry: RegistryId,
    name: &RepositoryName,
    reference: &Reference,
    at_least: Option<Version>,
) -> Answers<Vec<Found>> {
    let (patient, config) = (at_least.map(|version| version.region), &shell.config);
    let deadline = |region| match Some(region) == patient {
        true => config.call_deadline,
        false => config.freshness.budget,
    };
    let find = |peer: Arc<dyn meridian_clients::peer::PeerApi>| async move {
        peer.find(registry, name, reference).await
    };
    shell.ask_all(deadline, find).await
}

/// Merges what was said. Bytes that are not what their digest says are thrown away, and no bytes are
/// sent twice.
async fn merge(shell: &Arc<Shell>, answers: &mut Answers<Vec<Found>>) -> Result<(), ReadError> {
    let mut have = HashSet::new();
    for (region, found) in &mut answers.said {
        for found in found {
            if let Found::Manifest { manifest, .. } = found {
                manifest.bytes = manifest.bytes.take().filter(|bytes| {
                    let digest = manifest.leaf.digest;
                    let is_sound = Digest::of(digest.algorithm(), bytes) == digest;
                    if !is_sound {
                        tracing::error!(%region, %digest, "a region sent something that is not what its digest says");
                    }
                    is_sound && have.insert(digest)
                });
            }
        }
    }
    let said = answers.said.iter().flat_map(|(_, found)| found.clone());
    let said: Vec<_> = said.collect();
    if said.is_empty() {
        return Ok(());
    }
    let merged = shell.ports.replica.merge_found(said).await;
    merged.map_err(refused)?;
    // What came by without an event, nobody else brings.
    shell.engine.tell(|agent, now| agent.search(now));
    Ok(())
}

/// Why something of another region is not kept here, to whoever reads.
pub(super) fn refused(error: WriteError) -> ReadError {
    match error {
        WriteError::Read(error) => error,
        other => ReadError::Unavailable {
            reason: format!("what another region has cannot be kept: {other}"),
        },
    }
}

/// The bytes of a manifest that is known here, from wherever.
async fn bring_bytes(
    shell: &Arc<Shell>,
    registry: RegistryId,
    name: &RepositoryName,
    digest: Digest,
) -> Result<FoundManifest, ReadError> {
    let reference = Reference::Digest(digest);
    let mut answers = ask(shell, registry, name, &reference, None).await;
    merge(shell, &mut answers).await?;
    let here = shell.ports.replica.find(registry, name, &reference).await?;
    let manifest = Outcome::of(here).manifest;
    let manifest = manifest.filter(|manifest| manifest.bytes.is_some());
    manifest.ok_or_else(|| {
        answers.lack(ReadError::Unavailable {
            reason: format!("no region has the bytes of manifest {digest} now"),
        })
    })
}

// === impl Outcome ===

impl Outcome {
    fn of(found: Vec<Found>) -> Self {
        let mut outcome = Self {
            tag: None,
            manifest: None,
        };
        for found in found {
            match found {
                Found::Tag { tag, .. } => outcome.tag = Some(tag),
                Found::Manifest { manifest, .. } => outcome.manifest = Some(manifest),
                Found::Registry { .. } => {}
            }
        }
        outcome
    }

    /// What is to be answered, if anything: a tag's manifest was not deleted since, and neither was
    /// one that is named by its digest.
    fn visible(&self, reference: &Reference) -> Option<(Digest, Version)> {
        let manifest = self.manifest.as_ref()?;
        match reference {
            Reference::Tag(_) => {
                let tag = self.tag.as_ref()?;
                let digest = tag.digest?;
                let is_visible = manifest.del.is_none_or(|del| del < tag.version);
                is_visible.then_some((digest, tag.version))
            }
            Reference::Digest(digest) => {
                let add = manifest.add?;
                let is_visible = manifest.del.is_none_or(|del| del < add);
                is_visible.then_some((*digest, add))
            }
        }
    }
}

// === impl Answers ===

impl Answers<Vec<Found>> {
    /// Who said what is answered: the first that knows it so, or this region.
    fn whose(&self, here: Region, version: Version) -> Region {
        let knows = |found: &Found| match found {
            Found::Tag { tag, .. } => tag.version == version,
            Found::Manifest { manifest, .. } => manifest.add == Some(version),
            Found::Registry { .. } => false,
        };
        let mut said = self.said.iter();
        let who = said.find(|(_, found)| found.iter().any(knows));
        who.map_or(here, |(region, _)| *region)
    }
}

impl Shell {
    /// How long ago all that a region had done was known to be merged here.
    fn age_of(&self, region: Region) -> Option<Duration> {
        self.engine.look_at_freshness(|freshness, now| {
            let as_of = freshness.fresh_as_of(region, None)?;
            Some(now.elapsed.saturating_sub(as_of))
        })
    }
}
