//! A tag or a manifest, looked for in all regions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_clients::regions::Resolved;
use meridian_clients::replica::{ContentKind, Found, FoundManifest, FoundTag};
use meridian_clients::{
    ManifestStat, ReadError, RepositoryPath, Stale, StoredManifest, WriteError,
};
use meridian_clock::{Region, Version};
use meridian_event::{Attributes, RegistryId, Setting, Target};
use meridian_oci::{Digest, Reference, RepositoryName};

use super::answers::{Answers, Said};
use super::{locate, unavailable};
use crate::shell::Shell;

/// How many times longer than otherwise regions are waited for while nobody is known to have something.
const PATIENCE: u32 = 4;

/// What all regions together know of a reference.
struct Outcome {
    tag: Option<FoundTag>,
    manifest: Option<FoundManifest>,
    attributes: Vec<(Target, Attributes<Option<Setting>>)>,
}

pub(super) async fn resolve(
    shell: &Arc<Shell>,
    repository: &RepositoryPath,
    reference: &Reference,
    at_least: Option<Version>,
) -> Result<Resolved, ReadError> {
    let registry = shell.ports.metadata.registry(&repository.registry).await?;
    let name = &repository.name;
    let here = find_here(shell, registry, name, reference).await?;
    let is_known = here.visible(reference).is_some();
    let mut answers = ask(shell, registry, name, reference, (at_least, is_known)).await;
    let asked = (registry, name, reference);
    let outcome = merge(shell, asked, here, &mut answers).await?;
    let Some((digest, version)) = outcome.visible(reference) else {
        return Err(why(shell, registry, name, reference, &answers).await?);
    };
    if !outcome.is_readable() {
        return Err(ReadError::Locked);
    }
    if let Some(floor) = at_least.filter(|floor| version < *floor) {
        return Err(unavailable(floor.region));
    }
    let manifest = match outcome.manifest {
        Some(manifest) if manifest.bytes.is_some() => manifest,
        _ => bring_bytes(shell, registry, name, digest).await?,
    };
    let media_type = manifest.put.map(|(_, media_type)| media_type);
    // Content does not age.
    let is_tag = matches!(reference, Reference::Tag(_));
    let stale = answers.silent.first().copied().filter(|_| is_tag);
    let region = answers.whose(shell.region, version);
    let stat = ManifestStat {
        digest,
        size: manifest.leaf.size,
        media_type: media_type.ok_or(ReadError::ManifestUnknown)?,
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

/// Asks all regions. Whoever has a digest will do; of a tag, others may know better.
async fn ask(
    shell: &Arc<Shell>,
    registry: RegistryId,
    name: &RepositoryName,
    reference: &Reference,
    (at_least, is_known): (Option<Version>, bool),
) -> Answers<Vec<Found>> {
    let (patient, config) = (at_least.map(|version| version.region), &shell.config);
    let span = |region| match reference {
        _ if Some(region) == patient => config.call_deadline,
        Reference::Tag(_) => config.freshness.budget,
        Reference::Digest(_) => Duration::ZERO,
    };
    let is_of_use = |said: &Said<Vec<Found>>| {
        let mut found = said.iter().flat_map(|(_, found)| found);
        match reference {
            Reference::Tag(_) => is_known || found.any(|it| matches!(it, Found::Tag { .. })),
            Reference::Digest(_) => found.any(
                |it| matches!(it, Found::Manifest { manifest, .. } if manifest.bytes.is_some()),
            ),
        }
    };
    let find = |peer: Arc<dyn meridian_clients::peer::PeerApi>| async move {
        peer.find(registry, name, reference).await
    };
    let longest = match patient {
        Some(_) => config.call_deadline,
        None => PATIENCE * config.freshness.budget,
    };
    shell.ask_all(longest, span, is_of_use, find).await
}

/// Why nobody is known to have it. A tag may be known where nobody answers; a digest is missing only
/// if something here needs it.
async fn why(
    shell: &Shell,
    registry: RegistryId,
    name: &RepositoryName,
    reference: &Reference,
    answers: &Answers<Vec<Found>>,
) -> Result<ReadError, ReadError> {
    let unknown = ReadError::ManifestUnknown;
    match reference {
        Reference::Tag(_) => Ok(answers.lack(unknown)),
        Reference::Digest(digest) => {
            let content = locate::content(registry, name, ContentKind::Manifest, *digest);
            let silent = answers.silent.first().copied();
            locate::lack(shell, &content, silent, unknown).await
        }
    }
}

/// Merges what was said and is news here; returns what all together know. Bytes that are not what their
/// digest says are thrown away.
async fn merge(
    shell: &Arc<Shell>,
    (registry, name, reference): (RegistryId, &RepositoryName, &Reference),
    here: Outcome,
    answers: &mut Answers<Vec<Found>>,
) -> Result<Outcome, ReadError> {
    for (region, found) in &mut answers.said {
        drop_unsound(*region, found);
    }
    let said = answers.said.iter().flat_map(|(_, found)| found);
    let news: Vec<_> = said
        .filter(|found| here.is_raised_by(found))
        .cloned()
        .collect();
    if news.is_empty() {
        return Ok(here);
    }
    let replica = &shell.ports.replica;
    replica.merge_found(news).await.map_err(refused)?;
    // What came by without an event, nobody else brings.
    shell.engine.tell(|agent, now| agent.search(now));
    find_here(shell, registry, name, reference).await
}

async fn find_here(
    shell: &Shell,
    registry: RegistryId,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Outcome, ReadError> {
    let found = shell.ports.replica.find(registry, name, reference);
    Ok(Outcome::of(found.await?))
}

fn drop_unsound(region: Region, found: &mut [Found]) {
    for found in found {
        let Found::Manifest { manifest, .. } = found else {
            continue;
        };
        let digest = manifest.leaf.digest;
        let is_sound = |bytes: &Bytes| Digest::of(digest.algorithm(), bytes) == digest;
        if manifest
            .bytes
            .as_ref()
            .is_some_and(|bytes| !is_sound(bytes))
        {
            tracing::error!(%region, %digest, "a region sent something that is not what its digest says");
            manifest.bytes = None;
        }
    }
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
    let here = find_here(shell, registry, name, &reference).await?;
    let mut answers = ask(shell, registry, name, &reference, (None, false)).await;
    let asked = (registry, name, &reference);
    let outcome = merge(shell, asked, here, &mut answers).await?;
    let manifest = outcome.manifest;
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
            attributes: Vec::new(),
        };
        for found in found {
            match found {
                Found::Tag { tag, .. } => outcome.tag = Some(tag),
                Found::Manifest { manifest, .. } => outcome.manifest = Some(manifest),
                Found::Attributes {
                    target, settings, ..
                } => outcome.attributes.push((target, settings)),
                Found::Registry { .. } | Found::Repository { .. } | Found::Webhook { .. } => {}
            }
        }
        outcome
    }

    /// Whether something is news.
    fn is_raised_by(&self, found: &Found) -> bool {
        match found {
            Found::Registry { .. } | Found::Repository { .. } | Found::Webhook { .. } => false,
            Found::Attributes {
                target, settings, ..
            } => self.lacks(target, *settings),
            Found::Tag { tag, .. } => self.tag.as_ref().is_none_or(|it| it.version < tag.version),
            Found::Manifest { manifest, .. } => self.manifest.as_ref().is_none_or(|it| {
                let put =
                    |manifest: &FoundManifest| manifest.put.as_ref().map(|(version, _)| *version);
                it.leaf.digest != manifest.leaf.digest
                    || it.add < manifest.add
                    || it.del < manifest.del
                    || put(it) < put(manifest)
                    || (it.bytes.is_none() && manifest.bytes.is_some())
            }),
        }
    }

    /// Whether any of these attributes was set after what is known of it.
    fn lacks(&self, target: &Target, settings: Attributes<Option<Setting>>) -> bool {
        let mut known = self.attributes.iter();
        let known = known.find(|(of, _)| of == target);
        let known = known.map_or_else(Attributes::default, |(_, known)| *known);
        let version = |setting: Option<Setting>| setting.map(|setting| setting.version);
        let mut pairs = known.zip(settings).into_values();
        pairs.any(|(known, new)| version(known) < version(new))
    }

    /// Whether it may be pulled, by all attributes that have a say in that.
    fn is_readable(&self) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.all(|(_, settings)| settings.read.is_none_or(|it| it.is_enabled))
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
            Found::Registry { .. }
            | Found::Repository { .. }
            | Found::Attributes { .. }
            | Found::Webhook { .. } => false,
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
