//! What every client asked, and what it was told.
//!
//! Owns the record of a run, and what an answer means: an effect, none, or nobody knows. Leaves to
//! `check` what may not be.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness::Answer;
use meridian_oci::Digest;
use serde_json::{Value, json};

/// A tag of a repository, such as `team/app:1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) repository: String,
    pub(crate) tag: String,
}

/// A version as the registry prints it: the order of all writes of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version(u64, u64);

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// A blob was uploaded, in one request or several.
    Upload(Digest),
    /// A manifest was put under a tag.
    Put(Name, Digest),
    /// A tag was deleted.
    Untag(Name),
    /// A tag was read.
    Read(Name),
    /// Content was read by digest, as a manifest or a blob.
    Fetch(&'static str, Digest),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It took effect.
    Done(Option<Version>),
    /// It read this.
    Found(Digest),
    /// There was nothing.
    Absent,
    /// It had no effect.
    Refused(u16),
    /// It may have had its effect, or may have it later.
    Unknown(String),
}

/// One call, from its first byte to the last one of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) client: usize,
    pub(crate) front: usize,
    pub(crate) call: Call,
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
    /// Whether the answer said that it may be old.
    pub(crate) is_stale: bool,
    /// What was said besides, where an answer has to say it.
    pub(crate) retry_after: bool,
}

/// Everything that was asked, by a clock of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct History {
    start: Instant,
    ops: Arc<Mutex<Vec<Op>>>,
}

// === impl Version ===

impl Version {
    #[cfg(test)]
    pub(crate) const fn at(millis: u64) -> Self {
        Self(millis, 0)
    }

    /// The version in an answer's `Meridian-Version`: `millis.counter@region`.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        let text = answer.header("meridian-version")?.trim_matches('"');
        let (stamp, _region) = text.split_once('@')?;
        let (millis, counter) = stamp.split_once('.')?;
        Some(Self(millis.parse().ok()?, counter.parse().ok()?))
    }
}

// === impl Name ===

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

// === impl Call ===

impl Call {
    /// Whether it changes what there is.
    pub(crate) const fn is_write(&self) -> bool {
        matches!(self, Self::Put(..) | Self::Untag(_))
    }

    /// The tag that it is about.
    pub(crate) const fn name(&self) -> Option<&Name> {
        match self {
            Self::Put(name, _) | Self::Untag(name) | Self::Read(name) => Some(name),
            Self::Upload(_) | Self::Fetch(..) => None,
        }
    }

    /// What an answer to it means.
    pub(crate) fn outcome(&self, answer: &Result<Answer, reqwest::Error>) -> Outcome {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Outcome::Unknown(error.to_string()),
        };
        let status = answer.status.as_u16();
        match (self, status) {
            (Self::Upload(_), 201) => Outcome::Done(None),
            (Self::Put(..), 201) | (Self::Untag(_), 202) => Outcome::Done(Version::of(answer)),
            (Self::Untag(_) | Self::Read(_) | Self::Fetch(..), 404) => Outcome::Absent,
            (Self::Read(_) | Self::Fetch(..), 200) => Outcome::Found(harness::digest(&answer.body)),
            (Self::Upload(_) | Self::Put(..) | Self::Untag(_), 500..) => {
                Outcome::Unknown(format!("{status}"))
            }
            _ => Outcome::Refused(status),
        }
    }
}

// === impl Op ===

impl Op {
    /// The region that was asked.
    pub(crate) const fn region(&self) -> usize {
        self.front / harness::FRONTS
    }

    /// Whether it did what it was asked to do.
    pub(crate) const fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Done(_) | Outcome::Found(_))
    }

    fn line(&self) -> Value {
        let (kind, about) = match &self.call {
            Call::Upload(digest) => ("upload", digest.to_string()),
            Call::Put(name, digest) => ("put", format!("{name} {digest}")),
            Call::Untag(name) => ("untag", name.to_string()),
            Call::Read(name) => ("read", name.to_string()),
            Call::Fetch(kind, digest) => ("fetch", format!("{kind}/{digest}")),
        };
        json!({
            "client": self.client,
            "front": self.front,
            "kind": kind,
            "about": about,
            "call_ns": u64::try_from(self.begun.as_nanos()).unwrap_or(u64::MAX),
            "return_ns": u64::try_from(self.ended.as_nanos()).unwrap_or(u64::MAX),
            "outcome": format!("{:?}", self.outcome),
        })
    }
}

// === impl History ===

impl History {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            ops: Arc::default(),
        }
    }

    /// The time since it began.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn record(&self, op: Op) {
        let mut ops = self.ops.lock().unwrap_or_else(PoisonError::into_inner);
        ops.push(op);
    }

    /// All that ended so far, in the order in which it began.
    pub(crate) fn ops(&self) -> Vec<Op> {
        let ops = self.ops.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ops = ops.clone();
        ops.sort_by_key(|op| op.begun);
        ops
    }

    /// Keeps it in a file, one call in each line; where that is.
    pub(crate) fn keep(&self, row: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("faults-{row}-{}.jsonl", std::process::id()));
        let lines: Vec<_> = self.ops().iter().map(|op| op.line().to_string()).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        path
    }
}
