//! Webhooks, and what is kept of their delivery.

use meridian_clock::Version;
use meridian_event::webhook::{
    DisableReason, DuePage, MessageId, Sealed, StoredWebhook, Undelivered, WebhookId,
};
use meridian_proto::meridian::content::v1 as content;
use meridian_proto::meridian::webhook::v1 as pb;
use meridian_proto::{message_id, registry, required, shard, text, version, webhook_id};

pub use meridian_proto::DecodeError;

pub use super::request_of;

use super::Result;
use crate::webhook::{PutWebhook, Subscriptions};

/// The greatest page of what was not delivered: with all that a message has it fits into one answer.
const LONGEST_PAGE: u32 = 1_000;

/// How many rows are wanted.
#[must_use]
pub fn undelivered_limit(limit: u32) -> usize {
    limit.min(LONGEST_PAGE).try_into().unwrap_or(usize::MAX)
}

/// An answer that may be known.
#[must_use]
pub fn subscriptions(answer: Option<Subscriptions>) -> pb::SubscriptionsResponse {
    let is_known = answer.is_none();
    let Subscriptions { version, webhooks } = answer.unwrap_or_default();
    pb::SubscriptionsResponse {
        webhooks: self::webhooks(&webhooks),
        version: version.map(Into::into),
        is_known,
    }
}

/// An answer that may be known.
///
/// # Errors
///
/// When a part of it means nothing.
pub fn take_subscriptions(value: pb::SubscriptionsResponse) -> Result<Option<Subscriptions>> {
    if value.is_known {
        return Ok(None);
    }
    Ok(Some(Subscriptions {
        version: take_version(value.version)?,
        webhooks: take_webhooks(value.webhooks)?,
    }))
}

/// A version that may be absent.
///
/// # Errors
///
/// When it is none.
pub fn take_version(value: Option<content::Version>) -> Result<Option<Version>> {
    value.map(|it| version(Some(it), "version")).transpose()
}

/// Webhooks.
///
/// # Errors
///
/// When one of them means nothing.
pub fn take_webhooks(value: Vec<pb::Stored>) -> Result<Vec<StoredWebhook>> {
    value.into_iter().map(take_webhook).collect()
}

fn take_webhook(value: pb::Stored) -> Result<StoredWebhook> {
    Ok(StoredWebhook {
        registry: registry(value.registry, "registry")?,
        version: version(value.version, "version")?,
        registration: required(value.registration, "registration")?.try_into()?,
        failing_since: value.failing_since,
    })
}

/// Webhooks.
#[must_use]
pub fn webhooks(stored: &[StoredWebhook]) -> Vec<pb::Stored> {
    let webhook = |stored: &StoredWebhook| pb::Stored {
        registry: Some(stored.registry.into()),
        version: Some(stored.version.into()),
        registration: Some((&stored.registration).into()),
        failing_since: stored.failing_since,
    };
    stored.iter().map(webhook).collect()
}

impl From<PutWebhook> for pb::PutRequest {
    fn from(new: PutWebhook) -> Self {
        Self {
            registry: new.registry.to_string(),
            webhook: Some((&new.webhook).into()),
            sealed: new.sealed.0.into(),
            expected: new.expected.map(Into::into),
            most: new.most,
            request: new.request.0.to_vec().into(),
        }
    }
}

impl TryFrom<pb::PutRequest> for PutWebhook {
    type Error = DecodeError;

    fn try_from(value: pb::PutRequest) -> Result<Self> {
        Ok(Self {
            registry: text(&value.registry, "registry")?,
            webhook: required(value.webhook, "webhook")?.try_into()?,
            sealed: Sealed(value.sealed.into()),
            expected: take_version(value.expected)?,
            most: value.most,
            request: request_of(&value.request)?,
        })
    }
}

/// What is due.
#[must_use]
pub fn due_page(page: &DuePage) -> pb::DueResponse {
    pb::DueResponse {
        rows: page.rows.iter().map(Into::into).collect(),
        next: page.next,
    }
}

/// What is due.
///
/// # Errors
///
/// When a part of it means nothing.
pub fn take_due_page(value: pb::DueResponse) -> Result<DuePage> {
    Ok(DuePage {
        rows: take_undelivered(value.rows)?,
        next: value.next,
    })
}

/// What was not delivered.
///
/// # Errors
///
/// When one of them means nothing.
pub fn take_undelivered(value: Vec<pb::Undelivered>) -> Result<Vec<Undelivered>> {
    value.into_iter().map(TryInto::try_into).collect()
}

/// Why a webhook is to be disabled.
#[must_use]
pub fn disable_request(
    webhook: WebhookId,
    since: Version,
    reason: DisableReason,
) -> pb::DisableRequest {
    pb::DisableRequest {
        webhook: Some(webhook.into()),
        since: Some(since.into()),
        failing_since: match reason {
            DisableReason::Gone => None,
            DisableReason::Failing { since } => Some(since),
        },
    }
}

/// Why a webhook is to be disabled.
///
/// # Errors
///
/// When it is not said which, or since when.
pub fn take_disable_request(
    value: pb::DisableRequest,
) -> Result<(WebhookId, Version, DisableReason)> {
    let failing = |since| DisableReason::Failing { since };
    let reason = value.failing_since.map_or(DisableReason::Gone, failing);
    let since = version(value.since, "since")?;
    Ok((webhook_id(value.webhook)?, since, reason))
}

/// Which of what was not delivered.
///
/// # Errors
///
/// When it means nothing.
pub fn take_mark(mark: &pb::Mark) -> Result<(u16, MessageId)> {
    Ok((shard(mark.shard)?, message_id(&mark.message)?))
}
