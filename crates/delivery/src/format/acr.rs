//! The form of Azure Container Registry: members as it has them and in its order, Meridian's after them.
//!
//! Events do not tell which program pushed, so `useragent` is empty, and no event tells the media type of
//! what it deleted.

use meridian_clock::Region;
use meridian_event::EventId;
use meridian_event::webhook::{Action, Message, WebhookName};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use serde::Serialize;

use super::{Form, json, timestamp};
use crate::Content;

#[derive(Serialize)]
pub(super) struct Body<'a> {
    id: String,
    timestamp: String,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Request<'a>>,
    #[serde(flatten)]
    more: Option<More<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a MediaType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'a RepositoryName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<&'a WebhookName>,
}

#[derive(Serialize)]
struct Request<'a> {
    id: String,
    host: &'a str,
    method: &'static str,
    useragent: &'static str,
}

/// What ACR does not tell.
#[derive(Serialize)]
pub(super) struct More<'a> {
    region: Region,
    position: Position,
    /// The push of what was replicated: the same for each region that tells of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    push: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<&'a [Region]>,
}

/// Grows within a repository and a region, by epoch first. Numbers above 2^53 are legal, so that what reads
/// numbers as floating point would not tell neighbours apart: they are text.
#[derive(Serialize)]
struct Position {
    epoch: String,
    shard: u16,
    seq: String,
}

pub(super) fn form(content: &Content<'_>, host: &str) -> Form {
    Form {
        content_type: "application/json; charset=utf-8",
        headers: Vec::new(),
        body: json(&Body::new(content, host)),
    }
}

/// What a request that did this would have been.
pub(super) const fn method(action: Action) -> &'static str {
    match action {
        Action::Delete | Action::ChartDelete | Action::Untag => "DELETE",
        Action::Push
        | Action::Quarantine
        | Action::ChartPush
        | Action::Replicated
        | Action::ReplicatedAll
        | Action::ReplicationFailed
        | Action::WebhookDisabled => "PUT",
    }
}

// === impl Body ===

impl<'a> Body<'a> {
    pub(super) fn new(content: &Content<'a>, host: &'a str) -> Self {
        let message = content.message();
        Self {
            id: content.id().to_string(),
            timestamp: timestamp(content.at()),
            action: content.action(),
            target: message.map(Target::new),
            request: message.and_then(|message| Request::new(message, host)),
            more: message.map(More::new),
        }
    }
}

impl<'a> Target<'a> {
    fn new(message: &'a Message) -> Self {
        Self {
            media_type: message.media_type.as_ref(),
            size: message.size,
            digest: message.digest,
            length: message.size,
            repository: message.repository.as_ref(),
            tag: message.tag.as_ref(),
            webhook: message.webhook.as_ref(),
        }
    }
}

impl<'a> Request<'a> {
    fn new(message: &Message, host: &'a str) -> Option<Self> {
        let is_chart = matches!(message.action, Action::ChartPush | Action::ChartDelete);
        (!is_chart).then(|| Self {
            id: message.id.to_string(),
            host,
            method: method(message.action),
            useragent: "",
        })
    }
}

impl<'a> More<'a> {
    pub(super) fn new(message: &'a Message) -> Self {
        let EventId {
            region,
            epoch,
            shard,
            seq,
        } = message.position;
        Self {
            region,
            position: Position {
                epoch: epoch.to_string(),
                shard,
                seq: seq.to_string(),
            },
            push: message.push.map(|push| push.to_string()),
            regions: Some(message.regions.as_slice()).filter(|it| !it.is_empty()),
        }
    }
}
