//! A webhook: who is told of which events, where, and in which form.
//!
//! Owns the definition, as every region, the management API and the dispatcher carry it, and what the metadata
//! keep of its delivery. A definition is lawful by construction: each part is parsed, and [`Webhook::check`] and
//! [`Callback::check`] say what does not fit together. Keeps apart what anybody may see of a webhook and what is
//! a secret of its receiver: that is only ever kept, and told to other regions, [`Sealed`]. Leaves what an event
//! means as messages, and all that is done with them, to `delivery`.

mod action;
mod callback;
mod format;
mod headers;
mod identity;
mod message;
mod name;
mod progress;
mod registration;
mod scope;
mod uri;

use std::collections::BTreeSet;

use meridian_clock::Region;
use meridian_error::{Classify, Code};
use meridian_oci::{RepositoryName, Tag};
use serde::{Deserialize, Serialize};

pub use action::{Action, ParseActionError};
pub use callback::Callback;
pub use format::{Format, ParseFormatError};
pub use headers::{CustomHeaders, ParseHeadersError};
pub use identity::{MessageId, ParseMessageIdError, ParseWebhookIdError, WebhookId};
pub use message::{Message, Place, Undelivered};
pub use name::{ParseWebhookNameError, WebhookName};
pub use progress::{Assignment, Change, DisableReason, DuePage, Record};
pub use registration::{Disabled, Registration, Sealed, StoredWebhook};
pub use scope::{ParseScopeError, Scope};
pub use uri::{ParseServiceUriError, ServiceUri};

/// Who is told of what, without where and with which credentials: that is its [`Callback`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// What people call it.
    pub name: WebhookName,
    /// The region whose dispatcher delivers. Where there is none, each event is delivered by the region in
    /// which it was committed.
    pub region: Option<Region>,
    /// Of what.
    pub actions: BTreeSet<Action>,
    /// Of which repositories and tags.
    pub scope: Scope,
    /// Whether anything is delivered.
    pub status: Status,
    /// In which form.
    pub format: Format,
    /// A push is told when all of these can serve it; where there are none, when the region that tells can.
    pub available_in: BTreeSet<Region>,
}

/// Whether a webhook is told of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    Enabled,
    /// It is not, because somebody said so or because it failed for too long.
    Disabled,
}

/// How much a registry may have of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookLimits {
    /// Webhooks of a registry.
    pub webhooks: usize,
    /// Headers of a webhook.
    pub headers: usize,
    /// Bytes of their names and values.
    pub header_bytes: usize,
    /// Regions of a condition.
    pub regions: usize,
}

/// What does not fit together in a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookFault {
    /// It would never be told of anything.
    #[error("a webhook without actions is never called; give at least one, such as `push`")]
    NoActions,
    /// It has more headers than it may.
    #[error("a webhook has at most {0} custom headers")]
    Headers(usize),
    /// They are longer than they may be.
    #[error("the custom headers of a webhook have at most {0} bytes")]
    HeaderBytes(usize),
    /// It waits for more regions than it may.
    #[error("`available_in` names at most {0} regions")]
    Regions(usize),
    /// Only the origin of a push knows of all regions when they have it.
    #[error(
        "a webhook with `available_in` is called once, by the region of the push; leave out its region"
    )]
    BoundAndConditional,
}

// === impl Webhook ===

impl Webhook {
    /// Looks for what does not fit together, or exceeds a limit.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub fn check(&self, limits: &WebhookLimits) -> Result<(), WebhookFault> {
        if self.actions.is_empty() {
            Err(WebhookFault::NoActions)
        } else if self.available_in.len() > limits.regions {
            Err(WebhookFault::Regions(limits.regions))
        } else if self.region.is_some() && !self.available_in.is_empty() {
            Err(WebhookFault::BoundAndConditional)
        } else {
            Ok(())
        }
    }

    /// Whether it is to be told of this, there. What is in no repository is in every scope.
    #[must_use]
    pub fn wants(
        &self,
        action: Action,
        repository: Option<&RepositoryName>,
        tag: Option<&Tag>,
    ) -> bool {
        let is_in_scope = |repository| self.scope.matches(repository, tag);
        self.status == Status::Enabled
            && self.actions.contains(&action)
            && repository.is_none_or(is_in_scope)
    }
}

// === impl WebhookLimits ===

/// What a registry of the highest tier may have.
impl Default for WebhookLimits {
    fn default() -> Self {
        Self {
            webhooks: 500,
            headers: 20,
            header_bytes: 8 << 10,
            regions: 16,
        }
    }
}

// === impl WebhookFault ===

impl Classify for WebhookFault {
    fn code(&self) -> Code {
        match self {
            Self::NoActions | Self::BoundAndConditional => Code::InvalidArgument,
            Self::Headers(_) | Self::HeaderBytes(_) | Self::Regions(_) => Code::ResourceExhausted,
        }
    }
}

#[cfg(test)]
mod tests;
