//! The notification envelope of Docker distribution. It knows `push` and `delete`; a tag that is deleted is
//! a `delete` of that tag, and what it does not know keeps its own name. Meridian's members come last, as in
//! ACR's form.

use meridian_event::webhook::{Action, Message, MessageId, WebhookName};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Form, acr, json, timestamp};
use crate::Content;

#[derive(Serialize)]
struct Envelope<'a> {
    events: [Event<'a>; 1],
}

#[derive(Serialize)]
struct Event<'a> {
    id: String,
    timestamp: String,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Request<'a>>,
    actor: Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source<'a>>,
    #[serde(flatten)]
    more: Option<acr::More<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a MediaType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'a RepositoryName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<&'a WebhookName>,
}

#[derive(Serialize)]
struct Request<'a> {
    id: String,
    addr: &'static str,
    host: &'a str,
    method: &'static str,
    useragent: &'static str,
}

/// Events do not tell who it was.
#[derive(Serialize)]
struct Actor {}

#[derive(Serialize)]
struct Source<'a> {
    addr: &'a str,
    #[serde(rename = "instanceID")]
    instance: String,
}

pub(super) fn form(content: &Content<'_>, host: &str) -> Form {
    let message = content.message();
    let event = Event {
        id: content.id().to_string(),
        timestamp: timestamp(content.at()),
        action: action(content),
        target: message.map(|message| Target::new(message, host)),
        request: message.map(|message| Request {
            id: message.id.to_string(),
            addr: "",
            host,
            method: acr::method(message.action),
            useragent: "",
        }),
        actor: Actor {},
        source: message.map(|message| Source {
            addr: host,
            instance: instance(message),
        }),
        more: message.map(acr::More::new),
    };
    Form {
        content_type: "application/vnd.docker.distribution.events.v2+json",
        headers: Vec::new(),
        body: json(&Envelope { events: [event] }),
    }
}

fn action(content: &Content<'_>) -> &'static str {
    match content.message().map(|message| message.action) {
        Some(Action::Untag) => Action::Delete.as_str(),
        _ => content.action(),
    }
}

/// Distribution has an id for each process; here a region is what tells.
fn instance(message: &Message) -> String {
    let hash = Sha256::digest(format!("meridian-region {}", message.position.region));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    MessageId::new(bytes).to_string()
}

// === impl Target ===

impl<'a> Target<'a> {
    /// Of a tag that is deleted, distribution tells the tag and not what it pointed at.
    fn new(message: &'a Message, host: &str) -> Self {
        let digest = message.digest.filter(|_| message.action != Action::Untag);
        let repository = message.repository.as_ref();
        let url = |digest| {
            let repository = repository?;
            Some(format!("https://{host}/v2/{repository}/manifests/{digest}"))
        };
        Self {
            media_type: message.media_type.as_ref(),
            digest,
            size: message.size,
            length: message.size,
            repository,
            // What is deleted has none.
            url: digest.filter(|_| message.size.is_some()).and_then(url),
            tag: message.tag.as_ref(),
            webhook: message.webhook.as_ref(),
        }
    }
}
