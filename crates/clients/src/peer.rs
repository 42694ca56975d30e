//! What an agent offers to the agents of other regions.
//!
//! Owns the contract between regions. Leaves to mutual TLS who may call: whoever may is trusted with
//! everything that this region has.

use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use meridian_error::{Classify, Code, Retry};
use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Reference, RepositoryName};

use crate::image::ImageReport;
use crate::replica::{
    Content, ContentKind, CopyMark, CopyPage, EventRange, Events, Found, Progress,
};

/// Pieces of content on their way. An error item ends the stream; what came before it counts.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Piece, PeerError>> + Send>>;

/// A region, as the agents of others see it.
///
/// # Contract
///
/// Every call only reads, so any may be repeated. Answers are linearizable where they say what the
/// region has.
#[async_trait]
pub trait PeerApi: Send + Sync + 'static {
    /// How far the region is.
    async fn progress(&self) -> Result<Progress, PeerError>;

    /// Events of the region, for one whose event log lost them. See
    /// [`ReplicaApi::events`](crate::replica::ReplicaApi::events).
    async fn events(&self, range: &EventRange) -> Result<Events, PeerError>;

    /// The lengths of those of these that the region has, in the repository that is named with
    /// each; the lengths that are asked with are ignored.
    async fn holds(&self, contents: &[Content]) -> Result<Vec<Option<u64>>, PeerError>;

    /// What is known of a tag or a manifest. See
    /// [`ReplicaApi::find`](crate::replica::ReplicaApi::find).
    async fn find(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Vec<Found>, PeerError>;

    /// Reads content, one part after the other.
    async fn fetch(&self, parts: &[FetchPart]) -> Result<Pieces, PeerError>;

    /// A part of all that the region knows. See
    /// [`ReplicaApi::copy`](crate::replica::ReplicaApi::copy).
    async fn copy(&self, after: Option<CopyMark>, limit: usize) -> Result<CopyPage, PeerError>;

    /// How far an image is in the region, tombstones too. Nothing if nothing is known of it.
    async fn image(
        &self,
        registry: RegistryId,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ImageReport>, PeerError>;
}

/// A range of content that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPart {
    /// The registry.
    pub registry: RegistryId,
    /// A repository that has it.
    pub repository: RepositoryName,
    /// Of what kind it is.
    pub kind: ContentKind,
    /// Which, and the length of the whole in bytes.
    pub leaf: Leaf,
    /// Which bytes.
    pub range: Range<u64>,
}

/// What came of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The next bytes of the part with this number.
    Bytes(usize, Bytes),
    /// The region has not got the content of the part with this number.
    Absent(usize),
}

/// Why a region did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It cannot be reached, or cannot answer now.
    #[error("the region does not answer: {reason}")]
    Unavailable {
        /// Why, for the log.
        reason: String,
    },
    /// It asks to be left alone for a while.
    #[error("the region is busy")]
    Busy {
        /// For how long.
        retry_after: Duration,
    },
    /// The answer did not come in time.
    #[error("the region did not answer in time")]
    DeadlineExceeded,
    /// It refuses us, or we do not understand it: this does not pass by itself.
    #[error("the region refuses: {reason}")]
    Refused {
        /// Why, for the log.
        reason: String,
    },
}

// === impl PeerError ===

impl Classify for PeerError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Busy { .. } => Code::ResourceExhausted,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Refused { .. } => Code::Denied,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Busy { retry_after } => Retry::Yes {
                after: Some(*retry_after),
            },
            Self::Unavailable { .. } | Self::DeadlineExceeded => Retry::Yes { after: None },
            Self::Refused { .. } => Retry::No,
        }
    }
}
