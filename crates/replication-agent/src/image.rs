//! How far an image is, here and in all regions.
//!
//! Keeps the invariant that nothing is said of an image but what follows from what is merged and what
//! is here: a region that has merged the version that is meant, and lacks nothing of it, is complete.

use std::collections::BTreeMap;
use std::sync::Arc;

use meridian_clients::image::{ImageReport, ImageState, ImageStatus, ImageView};
use meridian_clients::peer::PeerApi;
use meridian_clients::{ReadError, RepositoryPath};
use meridian_clock::{Region, Version};
use meridian_event::RegistryId;
use meridian_oci::{Digest, Reference};
use meridian_replication::{ImageFacts, ImageState as Progress};

use crate::shell::Shell;
use crate::words;

/// What the regions say that answered.
type Reports = BTreeMap<Region, Option<ImageReport>>;

/// What is meant by a reference.
struct Meant {
    version: Version,
    digest: Option<Digest>,
    /// What a region must have merged.
    floor: Option<Version>,
    bytes: u64,
}

/// How far an image is in every region.
pub(crate) async fn status(
    shell: &Arc<Shell>,
    repository: &RepositoryPath,
    reference: &Reference,
    at_least: Option<Version>,
) -> Result<ImageStatus, ReadError> {
    let registry = shell.ports.metadata.registry(&repository.registry).await?;
    let (name, deadline) = (&repository.name, shell.config.call_deadline);
    let ask = |peer: Arc<dyn PeerApi>| async move { peer.image(registry, name, reference).await };
    let here = shell.ports.replica.image(registry, name, reference);
    let asked = shell.ask_all(deadline, |_| deadline, |_| true, ask);
    let (here, answers) = futures::join!(here, asked);
    let here = here?.map(|view| report(shell, registry, view));
    let unknown = answers.lack(ReadError::ManifestUnknown);
    let mut reports: Reports = answers.said.into_iter().collect();
    reports.insert(shell.region, here);
    let meant = Meant::by(&reports, reference, at_least).ok_or(unknown)?;
    let others = shell.ports.peers.iter().map(|peer| peer.region);
    let regions = [shell.region].into_iter().chain(others);
    let regions = regions.map(|region| (region, meant.state(reports.get(&region))));
    Ok(ImageStatus {
        version: meant.version,
        digest: meant.digest,
        bytes: meant.bytes,
        regions: regions.collect(),
    })
}

/// What this region says of an image: its state, and what transfers have brought besides.
pub(crate) fn report(shell: &Shell, registry: RegistryId, view: ImageView) -> ImageReport {
    let facts = ImageFacts {
        registry,
        is_merged: true,
        bytes: view.bytes,
        missing: &view.missing,
    };
    match shell.engine.look(|agent, _| agent.image(&facts)) {
        Progress::Copying { here, .. } => ImageReport { here, ..told(view) },
        Progress::Failed(trouble) => ImageReport {
            trouble: Some(words::trouble(trouble)),
            ..told(view)
        },
        Progress::Pending | Progress::Complete => told(view),
    }
}

/// What the state says of an image, as others are told.
pub(crate) fn told(view: ImageView) -> ImageReport {
    let missing = view.missing.iter().map(|leaf| leaf.size).sum();
    ImageReport {
        version: view.version,
        digest: view.digest,
        here: view.bytes.saturating_sub(missing),
        of: view.bytes,
        is_exposed: view.is_exposed,
        trouble: None,
    }
}

// === impl Meant ===

impl Meant {
    /// The newest that any region knows, unless that is a deletion; or what is asked for, if that is
    /// newer. Of a manifest that is named by its digest, older puts are as good.
    fn by(reports: &Reports, reference: &Reference, at_least: Option<Version>) -> Option<Self> {
        let known = || reports.values().flatten();
        let newest = known().map(|report| report.version).max();
        let version = newest.max(at_least)?;
        let (digest, floor) = match reference {
            Reference::Digest(digest) => (Some(*digest), at_least),
            Reference::Tag(_) => (None, Some(version)),
        };
        let of_version = || known().filter(|report| report.version == version);
        if of_version().any(|report| report.digest.is_none()) {
            return None;
        }
        let digest = digest.or_else(|| of_version().find_map(|report| report.digest));
        let sizes = known().filter(|report| digest.is_some() && report.digest == digest);
        Some(Self {
            version,
            digest,
            floor,
            bytes: sizes.map(|report| report.of).max().unwrap_or_default(),
        })
    }

    /// How far it is in a region, by what that says, if it says anything.
    fn state(&self, report: Option<&Option<ImageReport>>) -> ImageState {
        let report = match report {
            None => return ImageState::Unreachable,
            Some(None) => return ImageState::Pending,
            Some(Some(report)) => report,
        };
        let is_merged = report.digest == self.digest && Some(report.version) >= self.floor;
        match &report.trouble {
            _ if !is_merged => ImageState::Pending,
            _ if report.is_exposed => ImageState::Complete,
            Some(reason) => ImageState::Failed {
                reason: reason.clone(),
            },
            None => ImageState::Copying {
                here: report.here,
                of: self.bytes,
            },
        }
    }
}

#[cfg(test)]
mod tests;
