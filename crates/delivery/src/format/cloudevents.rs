//! `CloudEvents` 1.0 over HTTP, in both modes.
//!
//! The data are those of ACR's form, and the names by which Argo CD Image Updater looks for an image: it also
//! wants `image` in the type, the registry's host in the source, and `repository:tag` for the subject.
//! `sequence` and `partitionkey` are extensions that `CloudEvents` documents: within a partition, which is a
//! repository, sequences of one region grow as text.

use meridian_event::webhook::{Action, Message};
use meridian_oci::RepositoryName;
use serde::Serialize;

use super::{Form, acr, json, timestamp};
use crate::Content;

/// The attributes, in the order in which they are written.
#[derive(Serialize)]
struct Attributes {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitionkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
}

#[derive(Serialize)]
struct Structured<'a> {
    #[serde(flatten)]
    attributes: Attributes,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(flatten)]
    body: acr::Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
}

const JSON: &str = "application/json";

pub(super) fn structured(content: &Content<'_>, host: &str) -> Form {
    Form {
        content_type: "application/cloudevents+json; charset=utf-8",
        headers: Vec::new(),
        body: json(&Structured {
            attributes: Attributes::new(content, host),
            datacontenttype: JSON,
            data: Data::new(content, host),
        }),
    }
}

pub(super) fn binary(content: &Content<'_>, host: &str) -> Form {
    let attributes = Attributes::new(content, host);
    let all = [
        ("ce-specversion", Some(attributes.specversion.to_owned())),
        ("ce-id", Some(attributes.id)),
        ("ce-source", Some(attributes.source)),
        ("ce-type", Some(attributes.kind.to_owned())),
        ("ce-subject", attributes.subject),
        ("ce-time", Some(attributes.time)),
        ("ce-region", attributes.region),
        ("ce-partitionkey", attributes.partitionkey),
        ("ce-sequence", attributes.sequence),
    ];
    let named = all.into_iter();
    let headers = named.filter_map(|(name, value)| Some((name, escaped(&value?))));
    Form {
        content_type: JSON,
        headers: headers.collect(),
        body: json(&Data::new(content, host)),
    }
}

/// The value of a header: space, `"`, `%` and what is not printable ASCII are escaped.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

const fn kind(content: &Content<'_>) -> &'static str {
    let Some(message) = content.message() else {
        return "meridian.webhook.ping";
    };
    match message.action {
        Action::Push => "meridian.image.pushed",
        Action::Delete if message.digest.is_none() => "meridian.repository.deleted",
        Action::Delete => "meridian.image.deleted",
        Action::Quarantine => "meridian.image.quarantined",
        Action::ChartPush => "meridian.chart.pushed",
        Action::ChartDelete => "meridian.chart.deleted",
        Action::Untag => "meridian.tag.deleted",
        Action::Replicated => "meridian.image.replicated",
        Action::ReplicatedAll => "meridian.image.replicated_all",
        Action::ReplicationFailed => "meridian.image.replication_failed",
        Action::WebhookDisabled => "meridian.webhook.disabled",
    }
}

/// As images are named: by the tag, or by the digest.
fn subject(message: &Message) -> String {
    let Some(repository) = &message.repository else {
        let webhook = message.webhook.as_ref();
        return webhook.map_or_else(String::new, |name| name.as_str().to_owned());
    };
    match (&message.tag, &message.digest) {
        (Some(tag), _) => format!("{repository}:{tag}"),
        (None, Some(digest)) => format!("{repository}@{digest}"),
        (None, None) => repository.to_string(),
    }
}

// === impl Attributes ===

impl Attributes {
    fn new(content: &Content<'_>, host: &str) -> Self {
        let message = content.message();
        Self {
            specversion: "1.0",
            id: content.id().to_string(),
            source: format!("https://{host}"),
            kind: kind(content),
            subject: message.map(subject),
            time: timestamp(content.at()),
            region: message.map(|message| message.position.region.to_string()),
            partitionkey: message
                .and_then(|it| it.repository.as_ref())
                .map(ToString::to_string),
            sequence: message.map(|message| {
                let place = message.position;
                format!("{:020}.{:020}", place.epoch, place.seq)
            }),
        }
    }
}

// === impl Data ===

impl<'a> Data<'a> {
    fn new(content: &Content<'a>, host: &'a str) -> Self {
        let message = content.message();
        let tag = message.and_then(|message| message.tag.as_ref());
        let digest = message.and_then(|message| message.digest.as_ref());
        Self {
            body: acr::Body::new(content, host),
            repository_name: message
                .and_then(|it| it.repository.as_ref())
                .map(RepositoryName::as_str),
            image_tag: tag.map(|tag| tag.as_str()),
            image_digest: digest.map(ToString::to_string),
        }
    }
}
