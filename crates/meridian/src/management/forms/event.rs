//! Events, as people and their programs read them.

use std::fmt;

use jiff::Timestamp;
use meridian_event::{Envelope, Event, Leaf, Mark, Notice, SHARDS, Target};
use meridian_metadata_service::{EventPage, ReadFrom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Some events of a region.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct EventLogPage {
    /// The events.
    pub(crate) events: Vec<LoggedEvent>,
    /// What to ask for next, as `after`.
    pub(crate) next: String,
}

/// What happened. Which of the fields are there depends on the kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct LoggedEvent {
    /// Its id: `<region>.<epoch>.<shard>.<seq>`. Comes twice only with the same event.
    pub(crate) id: String,
    /// By what consumers know an event that comes again: its id, or of a notice what derives from the push
    /// that it is about.
    pub(crate) key: String,
    /// When it was committed.
    pub(crate) time: String,
    /// `registry_created`, `manifest_put`, `manifest_deleted`, `tag_deleted`, `blob_put`, `blob_deleted`,
    /// `replicated`, `replicated_all` or `heartbeat`. Kinds are added.
    pub(crate) kind: String,
    /// The registry's id.
    pub(crate) registry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repository: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    /// The tags that were put with a manifest, or the one that was deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// Of a notice: the event of the push that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) push: Option<String>,
    /// The other regions that have an image, or of which a heartbeat tells how far they are merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) regions: Vec<String>,
    /// The name of a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

/// Reads what an answer named `next`.
pub(crate) fn parse_after(text: &str) -> Option<Vec<ReadFrom>> {
    let offsets = parse_offsets(text)?;
    Some(offsets.into_iter().map(ReadFrom::Offset).collect())
}

fn parse_offsets(text: &str) -> Option<Vec<u64>> {
    let offsets = text.split('.').map(|part| part.parse().ok());
    let offsets: Option<Vec<u64>> = offsets.collect();
    offsets.filter(|offsets| offsets.len() == usize::from(SHARDS))
}

// === impl EventLogPage ===

impl EventLogPage {
    /// Whether who goes on there has read all that was before this page's end.
    pub(crate) fn is_reached(&self, after: &str) -> bool {
        match (parse_offsets(after), parse_offsets(&self.next)) {
            (Some(after), Some(end)) => after.iter().zip(end).all(|(after, end)| *after >= end),
            _ => false,
        }
    }
}

impl From<EventPage> for EventLogPage {
    fn from(page: EventPage) -> Self {
        let next: Vec<_> = page.next.iter().map(ToString::to_string).collect();
        Self {
            events: page.events.iter().map(LoggedEvent::from).collect(),
            next: next.join("."),
        }
    }
}

// === impl LoggedEvent ===

impl LoggedEvent {
    fn of(mut self, kind: &str, repository: &impl ToString) -> Self {
        self.kind = kind.to_owned();
        self.repository = Some(repository.to_string());
        self
    }

    fn about(mut self, leaf: &Leaf) -> Self {
        self.digest = Some(leaf.digest.to_string());
        self.size = Some(leaf.size);
        self
    }

    fn noticed(mut self, kind: &str, notice: &Notice) -> Self {
        self.push = Some(notice.push.to_string());
        self.media_type = Some(notice.media_type.to_string());
        self.tags = notice.tags.iter().map(ToString::to_string).collect();
        self.of(kind, &notice.repository).about(&notice.manifest)
    }

    fn targeting(mut self, target: &Target) -> Self {
        match target {
            Target::Repository => {}
            Target::Tag(tag) => self.tags = vec![tag.to_string()],
            Target::Manifest(digest) => self.digest = Some(digest.to_string()),
        }
        self
    }

    /// Whether it only says how far regions are with each other.
    pub(crate) fn is_heartbeat(&self) -> bool {
        self.kind == "heartbeat"
    }
}

impl From<&Envelope> for LoggedEvent {
    fn from(envelope: &Envelope) -> Self {
        let millis = i64::try_from(envelope.version.millis).unwrap_or(i64::MAX);
        let time = Timestamp::from_millisecond(millis);
        let it = Self {
            id: envelope.id.to_string(),
            key: envelope.key(),
            time: time.map_or_else(|_| String::new(), |time| time.to_string()),
            registry: envelope.registry.to_string(),
            ..Self::default()
        };
        match &envelope.event {
            Event::RegistryCreated { name } => Self {
                kind: "registry_created".to_owned(),
                name: Some(name.to_string()),
                ..it
            },
            Event::ManifestPut {
                repository,
                manifest,
                media_type,
                tags,
                ..
            } => Self {
                media_type: Some(media_type.to_string()),
                tags: tags.iter().map(ToString::to_string).collect(),
                ..it.of("manifest_put", repository).about(manifest)
            },
            Event::ManifestDeleted { repository, digest } => Self {
                digest: Some(digest.to_string()),
                ..it.of("manifest_deleted", repository)
            },
            Event::TagDeleted {
                repository,
                tag,
                digest,
            } => Self {
                digest: Some(digest.to_string()),
                tags: vec![tag.to_string()],
                ..it.of("tag_deleted", repository)
            },
            Event::BlobPut {
                repository, blob, ..
            } => it.of("blob_put", repository).about(blob),
            Event::BlobDeleted { repository, digest } => Self {
                digest: Some(digest.to_string()),
                ..it.of("blob_deleted", repository)
            },
            Event::Replicated(notice) => it.noticed("replicated", notice),
            Event::ReplicatedAll { notice, regions } => Self {
                regions: regions.iter().map(ToString::to_string).collect(),
                ..it.noticed("replicated_all", notice)
            },
            Event::Heartbeat { marks } => {
                let mark = |mark: &Mark| format!("{}.{}.{}", mark.origin, mark.epoch, mark.merged);
                Self {
                    kind: "heartbeat".to_owned(),
                    regions: marks.iter().map(mark).collect(),
                    ..it
                }
            }
            Event::AttributesSet {
                repository, target, ..
            } => it.of("attributes_set", repository).targeting(target),
            Event::RepositoryDeleted { repository } => it.of("repository_deleted", repository),
            Event::WebhookSet { name, registration } => Self {
                kind: match registration {
                    Some(_) => "webhook_set".to_owned(),
                    None => "webhook_deleted".to_owned(),
                },
                name: Some(name.as_str().to_owned()),
                ..it
            },
        }
    }
}

/// A line for people.
impl fmt::Display for LoggedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, id, kind, .. } = self;
        write!(f, "{time}  {id:<18}  {kind:<16}")?;
        if let Some(name) = self.repository.as_ref().or(self.name.as_ref()) {
            write!(f, "  {name}")?;
        }
        if let Some((first, rest)) = self.tags.split_first() {
            write!(f, ":{first}")?;
            for tag in rest {
                write!(f, ",{tag}")?;
            }
        }
        if let Some(digest) = &self.digest {
            write!(f, "  {digest}")?;
        }
        if let Some(push) = &self.push {
            write!(f, "  push {push}")?;
        }
        if !self.regions.is_empty() {
            write!(f, "  {}", self.regions.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_names_is_understood_and_nothing_else() {
        let next: Vec<u64> = (0..u64::from(SHARDS)).collect();
        let page = EventLogPage::from(EventPage {
            events: Vec::new(),
            next,
        });
        let from = parse_after(&page.next).unwrap();
        assert_eq!(from[3], ReadFrom::Offset(3));
        assert!(page.is_reached(&page.next) && !page.is_reached(""));
        let before = page.next.replacen("15", "14", 1);
        assert!(!page.is_reached(&before));
        for wrong in ["", "0", "1.2.3", "a.b", &format!("{}.0", page.next)] {
            assert_eq!(parse_after(wrong), None, "{wrong}");
        }
    }
}
