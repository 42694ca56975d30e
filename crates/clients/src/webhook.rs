//! What the metadata of a region offers to those who manage webhooks, and to those who deliver.
//!
//! Owns the contract. Definitions are the same in all regions, and may be changed in each; what is kept of their
//! delivery is the region's own. What only receivers may know is sealed throughout: nobody on this way has the key.

use async_trait::async_trait;
use meridian_clock::Version;
use meridian_error::{Classify, Code, Retry};
use meridian_event::webhook::{
    Assignment, DisableReason, DuePage, MessageId, Record, Sealed, StoredWebhook, Undelivered,
    Webhook, WebhookId, WebhookName,
};
use meridian_oci::RegistryName;

use crate::replica::{AgentId, Attendance, EventRange, Events};
use crate::{ReadError, RequestId, WriteError};

/// The webhooks of a region.
///
/// # Contract
///
/// Reads are linearizable. What was written is durable when it is answered; a call of unknown outcome may be
/// repeated.
#[async_trait]
pub trait WebhookApi: Send + Sync + 'static {
    /// All that a registry has, by name.
    async fn list(&self, registry: &RegistryName) -> Result<Vec<StoredWebhook>, WebhookError>;

    /// Creates a webhook, or changes it as it was when it was read. Returns the version that it has now.
    async fn put(&self, new: PutWebhook) -> Result<Version, WebhookError>;

    /// Deletes a webhook: what was to be told to it is not.
    async fn delete(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        request: RequestId,
    ) -> Result<(), WebhookError>;

    /// Events of this region that are kept, for whoever finds the event log without them.
    async fn events(&self, range: &EventRange) -> Result<Events, ReadError>;

    /// All that there are, unless that is what the answer said which is known by this version.
    async fn subscriptions(
        &self,
        known: Option<Version>,
    ) -> Result<Option<Subscriptions>, WebhookError>;

    /// Says that a dispatcher works for this region, and answers which do; see
    /// [`ReplicaApi::attend`](crate::replica::ReplicaApi::attend).
    async fn attend(&self, dispatcher: AgentId) -> Result<Attendance, WebhookError>;

    /// Takes a shard over from whoever worked on it, and answers how far it is told.
    async fn take(&self, shard: u16) -> Result<Assignment, WebhookError>;

    /// How far a shard is told, as [`take`](Self::take) would answer, and it stays with whoever works on it.
    async fn standing(&self, shard: u16) -> Result<Option<Assignment>, WebhookError>;

    /// Keeps progress, all of it or nothing. Says no if the shard was taken over.
    async fn record(&self, record: &Record) -> Result<bool, WebhookError>;

    /// What of a webhook and a shard is due until then, the earliest first.
    async fn due(
        &self,
        webhook: WebhookId,
        shard: u16,
        until: u64,
        limit: usize,
    ) -> Result<DuePage, WebhookError>;

    /// Disables a webhook whose receiver failed, and that was created or last enabled `since` then. Says no if it
    /// had success since, is enabled again, or is gone.
    async fn disable(
        &self,
        webhook: WebhookId,
        since: Version,
        reason: DisableReason,
    ) -> Result<bool, WebhookError>;

    /// Drops what was to be kept until then.
    async fn prune(&self, shard: u16, until: u64) -> Result<(), WebhookError>;

    /// What of a webhook was not delivered: at most `limit`, from after one of them on.
    async fn undelivered(
        &self,
        webhook: WebhookId,
        after: Option<(u16, MessageId)>,
        limit: usize,
    ) -> Result<Vec<Undelivered>, WebhookError>;

    /// Has what was not delivered attempted again then, in milliseconds since the Unix epoch. Returns of how much
    /// that is so.
    async fn retry(
        &self,
        webhook: WebhookId,
        messages: &[(u16, MessageId)],
        due: u64,
    ) -> Result<u64, WebhookError>;
}

/// All webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscriptions {
    /// By which this answer is known; nothing, while there never was a webhook.
    pub version: Option<Version>,
    /// The webhooks.
    pub webhooks: Vec<StoredWebhook>,
}

/// A webhook to create or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutWebhook {
    /// In which registry.
    pub registry: RegistryName,
    /// The definition.
    pub webhook: Webhook,
    /// Its callback and its secrets.
    pub sealed: Sealed,
    /// The version that it replaces; nothing, to create one.
    pub expected: Option<Version>,
    /// How many the registry may have.
    pub most: u32,
    /// Which request this is.
    pub request: RequestId,
}

/// Why something is not had of webhooks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// There is no such webhook.
    #[error("there is no such webhook")]
    Unknown,
    /// There is one of that name.
    #[error("there is a webhook of that name already")]
    Exists,
    /// It is not what it was when it was read.
    #[error("the webhook was changed by somebody else meanwhile; look at it again")]
    Changed,
    /// The registry has as many as it may.
    #[error("a registry has at most {most} webhooks; delete one first")]
    TooMany {
        /// How many that is.
        most: u64,
    },
    /// The metadata do not answer, or refuse.
    #[error(transparent)]
    Metadata(#[from] WriteError),
}

// === impl WebhookError ===

impl From<ReadError> for WebhookError {
    fn from(error: ReadError) -> Self {
        Self::Metadata(error.into())
    }
}

impl Classify for WebhookError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::Exists => Code::AlreadyExists,
            Self::Changed => Code::Conflict,
            Self::TooMany { .. } => Code::ResourceExhausted,
            Self::Metadata(error) => error.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Metadata(error) => error.retry(),
            _ => Retry::No,
        }
    }
}
