//! What is said of the replication of an image, as JSON and for people.

use std::fmt;

use meridian_clients::RepositoryPath;
use meridian_clients::image::{ImageState, ImageStatus};
use meridian_clock::Region;
use meridian_oci::Reference;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::columns::Columns;
use super::size;

/// How far an image is in every region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ImageReplication {
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// The tag or the digest that was asked for.
    pub(crate) reference: String,
    /// The newest version that any region knows.
    pub(crate) version: String,
    /// Its manifest, if anybody who answers knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// The bytes of the manifest, and of all that it needs, as far as that is known.
    pub(crate) bytes: u64,
    /// Each region, the one that was asked first.
    pub(crate) regions: Vec<RegionImage>,
}

/// How far an image is in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct RegionImage {
    pub(crate) region: String,
    pub(crate) state: ReplicationState,
    /// How many bytes are there. While it is copied, as what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_here: Option<u64>,
    /// Of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_total: Option<u64>,
    /// What is not to be had, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// How far an image is. `pending`: the region has not heard of it; `copying`: some of its bytes are
/// there; `complete`: the region answers it; `failed`: something of it is nowhere to be had, and is
/// looked for again and again; `unreachable`: the region does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplicationState {
    Pending,
    Copying,
    Complete,
    Failed,
    Unreachable,
}

// === impl ImageReplication ===

impl ImageReplication {
    pub(in crate::management) fn new(
        repository: &RepositoryPath,
        reference: &Reference,
        status: ImageStatus,
    ) -> Self {
        Self {
            registry: repository.registry.to_string(),
            repository: repository.name.to_string(),
            reference: reference.to_string(),
            version: status.version.to_string(),
            digest: status.digest.map(|digest| digest.to_string()),
            bytes: status.bytes,
            regions: status.regions.into_iter().map(Into::into).collect(),
        }
    }

    /// The regions that do not answer, and may know something newer.
    pub(crate) fn silent(&self) -> Vec<&str> {
        let rows = self.regions.iter();
        rows.filter(|row| row.state == ReplicationState::Unreachable)
            .map(|row| row.region.as_str())
            .collect()
    }

    /// Whether it is complete in all of these regions; in all there are, if none is named.
    pub(crate) fn is_complete(&self, regions: &[Region]) -> bool {
        let is_meant = |row: &&RegionImage| {
            regions.is_empty() || regions.iter().any(|it| it.as_str() == row.region)
        };
        let mut meant = self.regions.iter().filter(is_meant);
        meant.all(|row| row.state == ReplicationState::Complete)
    }
}

impl fmt::Display for ImageReplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.reference.contains(':') {
            '@'
        } else {
            ':'
        };
        writeln!(f, "{}{separator}{}", self.repository, self.reference)?;
        if let Some(digest) = &self.digest {
            writeln!(f, "{digest}")?;
        }
        writeln!(f, "version {}, {}", self.version, size(self.bytes))?;
        let mut rows = Columns::new(["region", "state", ""]);
        for row in &self.regions {
            rows.row([row.region.clone(), row.state.to_string(), row.detail()]);
        }
        write!(f, "\n{rows}")
    }
}

// === impl RegionImage ===

impl From<(Region, ImageState)> for RegionImage {
    fn from((region, state): (Region, ImageState)) -> Self {
        let mut row = Self {
            region: region.to_string(),
            state: ReplicationState::Pending,
            bytes_here: None,
            bytes_total: None,
            reason: None,
        };
        row.state = match state {
            ImageState::Pending => ReplicationState::Pending,
            ImageState::Copying { here, of } => {
                (row.bytes_here, row.bytes_total) = (Some(here), Some(of));
                ReplicationState::Copying
            }
            ImageState::Complete => ReplicationState::Complete,
            ImageState::Failed { reason } => {
                row.reason = Some(reason);
                ReplicationState::Failed
            }
            ImageState::Unreachable => ReplicationState::Unreachable,
        };
        row
    }
}

impl RegionImage {
    fn detail(&self) -> String {
        match (self.bytes_here, self.bytes_total, &self.reason) {
            (Some(here), Some(of), _) => format!("{} of {}", size(here), size(of)),
            (_, _, Some(reason)) => reason.clone(),
            _ => String::new(),
        }
    }
}

// === impl ReplicationState ===

impl fmt::Display for ReplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Copying => "copying",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
        })
    }
}
