//! What an event means to a webhook.
//!
//! Owns the rules of regions (design §6.13): a webhook of a region is told of a push when that region can
//! serve the image, in the region of the push at its commit, in every other one by that region's own notice.
//! A webhook of no region is told of each event once, by the region that committed it; its condition
//! `available_in` may hold a push back until the notice that all regions have it. All of it follows from one
//! event: nothing is remembered, so any dispatcher comes to the same messages with the same ids.
//!
//! A condition that names some of the regions is met when all of them have the image, which is never too
//! early and may be too late: nothing tells the origin's log that some have it. A deletion is told in the
//! region that committed it, because no event says when another one has merged it.

use meridian_clock::Region;
use meridian_event::webhook::{Action, Message, MessageId, WebhookId, WebhookName};
use meridian_event::{Envelope, Event, EventId, Leaf};
use meridian_oci::{Digest, MediaType, RepositoryName, Tag};
use sha2::{Digest as _, Sha256};

use crate::Subscription;
use crate::guard::{Guard, stands};

/// What an event tells, to whomever.
#[derive(Default)]
struct Fact<'a> {
    repository: Option<&'a RepositoryName>,
    webhook: Option<&'a WebhookName>,
    digest: Option<Digest>,
    size: Option<u64>,
    media_type: Option<&'a MediaType>,
    tags: &'a [Tag],
    push: Option<EventId>,
    regions: &'a [Region],
}

/// What a webhook is told of an event: for each action that it wants, one message for each tag in its scope.
#[must_use]
pub fn messages(envelope: &Envelope, to: &Subscription) -> Vec<Message> {
    let is_new = envelope.version > to.since || !stands(Guard::NothingOlder);
    if envelope.registry != to.registry || !is_new || !is_told_here(envelope, to) {
        return Vec::new();
    }
    let Some(fact) = Fact::of(&envelope.event) else {
        return Vec::new();
    };
    let mut messages = Vec::new();
    for action in actions(envelope, to) {
        for tag in fact.names() {
            if to.webhook.wants(action, fact.repository, tag) {
                messages.push(fact.message(envelope, to.id, action, tag));
            }
        }
    }
    messages
}

fn is_told_here(envelope: &Envelope, to: &Subscription) -> bool {
    let here = envelope.id.region;
    to.webhook.region.is_none_or(|region| region == here) || !stands(Guard::RegionBound)
}

/// The actions that an event is to a webhook.
fn actions(envelope: &Envelope, to: &Subscription) -> Vec<Action> {
    let here = envelope.id.region;
    match &envelope.event {
        Event::ManifestPut { .. } => of_push(is_met(to, here, &[]), &[]),
        Event::ManifestDeleted { .. } | Event::RepositoryDeleted { .. } => vec![Action::Delete],
        Event::TagDeleted { .. } => vec![Action::Untag],
        Event::Replicated(_) => {
            let is_bound = to.webhook.region.is_some() && stands(Guard::PushWhenServed);
            of_push(is_bound, &[Action::Replicated])
        }
        Event::ReplicatedAll { regions, .. } => {
            // What was told at the push is not told again.
            let is_met = !is_met(to, here, &[]) && is_met(to, here, regions);
            of_push(is_met, &[Action::ReplicatedAll])
        }
        Event::WebhookSet { registration, .. } => {
            let disabled = registration.as_ref().and_then(|it| it.disabled);
            let is_now = disabled.is_some_and(|disabled| disabled.at == envelope.version);
            is_now
                .then_some(Action::WebhookDisabled)
                .into_iter()
                .collect()
        }
        Event::RegistryCreated { .. }
        | Event::BlobPut { .. }
        | Event::BlobDeleted { .. }
        | Event::Heartbeat { .. }
        | Event::AttributesSet { .. } => Vec::new(),
    }
}

fn of_push(is_push: bool, others: &[Action]) -> Vec<Action> {
    let push = is_push.then_some(Action::Push);
    push.into_iter().chain(others.iter().copied()).collect()
}

/// Whether the condition of a webhook is met when this region, and those, have an image.
fn is_met(to: &Subscription, here: Region, others: &[Region]) -> bool {
    let mut wanted = to.webhook.available_in.iter();
    wanted.all(|region| *region == here || others.contains(region))
        || !stands(Guard::ConditionHolds)
}

/// The same for the same webhook, event, action and tag, and for nothing else. Of a notice that is made
/// again it is the same, too, because it derives from the event's key.
fn identify(to: WebhookId, envelope: &Envelope, action: Action, tag: Option<&Tag>) -> MessageId {
    let tag = tag.map_or("", Tag::as_str);
    // No part but the last can have a space in it.
    let text = format!("meridian-message {to} {} {action} {tag}", envelope.key());
    let hash = Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    MessageId::new(bytes)
}

// === impl Fact ===

impl<'a> Fact<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let bare = |repository| Self {
            repository: Some(repository),
            ..Self::default()
        };
        Some(match event {
            Event::ManifestPut {
                repository,
                manifest,
                media_type,
                tags,
                ..
            } => bare(repository).with(manifest, media_type, tags),
            Event::ManifestDeleted { repository, digest } => Self {
                digest: Some(*digest),
                ..bare(repository)
            },
            Event::TagDeleted {
                repository,
                tag,
                digest,
            } => Self {
                digest: Some(*digest),
                tags: std::slice::from_ref(tag),
                ..bare(repository)
            },
            Event::RepositoryDeleted { repository } => bare(repository),
            Event::Replicated(notice) => Self {
                push: Some(notice.push),
                ..bare(&notice.repository).with(&notice.manifest, &notice.media_type, &notice.tags)
            },
            Event::ReplicatedAll { notice, regions } => Self {
                push: Some(notice.push),
                regions,
                ..bare(&notice.repository).with(&notice.manifest, &notice.media_type, &notice.tags)
            },
            Event::WebhookSet { name, .. } => Self {
                webhook: Some(name),
                ..Self::default()
            },
            Event::RegistryCreated { .. }
            | Event::BlobPut { .. }
            | Event::BlobDeleted { .. }
            | Event::Heartbeat { .. }
            | Event::AttributesSet { .. } => return None,
        })
    }

    fn with(self, manifest: &Leaf, media_type: &'a MediaType, tags: &'a [Tag]) -> Self {
        Self {
            digest: Some(manifest.digest),
            size: Some(manifest.size),
            media_type: Some(media_type),
            tags,
            ..self
        }
    }

    /// Each tag, or none once.
    fn names(&self) -> impl Iterator<Item = Option<&'a Tag>> + use<'a> {
        let none = self.tags.is_empty().then_some(None);
        self.tags.iter().map(Some).chain(none)
    }

    fn message(
        &self,
        envelope: &Envelope,
        to: WebhookId,
        action: Action,
        tag: Option<&Tag>,
    ) -> Message {
        Message {
            id: identify(to, envelope, action, tag),
            action,
            position: envelope.id,
            at: envelope.version.millis,
            repository: self.repository.cloned(),
            webhook: self.webhook.cloned(),
            tag: tag.cloned(),
            digest: self.digest,
            size: self.size,
            media_type: self.media_type.cloned(),
            push: self.push,
            regions: self.regions.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
