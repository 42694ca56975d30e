//! How old an answer may be that is not named by its content (design §6.8).
//!
//! Owns the judgement: answer from here, ask other regions first, answer and say how old it may be, or
//! refuse. What is judged is judged before the state is read, so that what is read is not older.

use std::time::Duration;

use meridian_clients::Stale;
use meridian_clock::Version;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Elsewhere;
use super::counts::{Answered, Subject};
use crate::error::Failure;
use crate::extract::ExtractError;

/// How old the answers of this region may be: those about tags and lists, which other regions change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// As old as they are. What may be older than `max_staleness` says so.
    Eventual,
    /// At most `max_staleness`, as long as other regions can be asked. What may be older says so.
    #[default]
    Bounded,
    /// Not older than the question, or there is no answer. What is written to a tag is newer than all
    /// that any region had written to it before, or it is not written.
    Strong,
}

/// What is to become of the question for a tag that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Answer from here, and say that these regions may know better.
    Answer(Vec<Stale>),
    /// Ask the other regions. If they cannot be asked, answer and say so.
    Ask(Vec<Stale>),
    /// Ask the other regions. If they cannot be asked, there is no answer.
    Insist,
}

// === impl Elsewhere ===

impl Elsewhere {
    /// Hears from an agent how old the state of this region is, until it is dropped.
    pub(crate) async fn watch(&self) {
        self.currency.watch(&self.api).await;
    }

    /// What is to become of the question for a tag. To be asked before the tag is read here.
    pub(crate) fn judge_tag(&self) -> Judgement {
        let behind = || self.currency.behind(self.max_staleness);
        match self.consistency {
            Consistency::Eventual => Judgement::Answer(behind()),
            Consistency::Bounded => match behind() {
                behind if behind.is_empty() => Judgement::Answer(behind),
                behind => Judgement::Ask(behind),
            },
            Consistency::Strong => Judgement::Insist,
        }
    }

    /// Whether a write to a tag has to know what all other regions have written to it.
    pub(crate) fn insists(&self) -> bool {
        self.consistency == Consistency::Strong
    }

    /// Waits until everything is here that any region had done before, where an answer must not lack any of
    /// it, or a write must be stamped above all of it (design §6.8).
    ///
    /// # Errors
    ///
    /// When that takes too long: a region may be silent.
    pub(crate) async fn level(&self) -> Result<(), Failure> {
        match self.insists() {
            true => self.wait_for_all().await.map(drop),
            false => Ok(()),
        }
    }

    /// Whether everything is here that any region had done before `begun`.
    pub(crate) fn has_all_since(&self, begun: Instant) -> bool {
        self.currency.behind(begun.elapsed()).is_empty()
    }

    /// Waits until a version is visible in lists, wherever it was made, but not for longer than `wait`.
    ///
    /// # Errors
    ///
    /// When that takes too long, or the version is of a region that there is not.
    pub(crate) async fn reach(&self, version: Version, wait: Duration) -> Result<(), Failure> {
        if version.region == self.here {
            return Ok(());
        }
        if !self.knows(version.region) {
            return Err(ExtractError::Stranger.into());
        }
        match self.currency.fresh_since(Instant::now(), wait).await {
            true => Ok(()),
            false => Err(Failure::NotYet),
        }
    }

    /// The regions that may have changed a list that is read from now on.
    ///
    /// # Errors
    ///
    /// When a list may not be so old.
    pub(crate) async fn judge_list(&self) -> Result<Vec<Stale>, Failure> {
        let judged = match self.consistency {
            Consistency::Eventual | Consistency::Bounded => {
                Ok(self.currency.behind(self.max_staleness))
            }
            Consistency::Strong => self.wait_for_all().await,
        };
        let answered = judged.as_ref().map_or(Answered::Refused, Answered::from);
        self.counts.answered(Subject::List, answered);
        judged
    }

    async fn wait_for_all(&self) -> Result<Vec<Stale>, Failure> {
        let (begun, wait) = (Instant::now(), self.max_staleness);
        match self.currency.fresh_since(begun, wait).await {
            true => Ok(Vec::new()),
            false => Err(Failure::Behind),
        }
    }

    /// Counts how a question for a tag was answered.
    pub(crate) fn answered_tag(&self, answered: Answered) {
        self.counts.answered(Subject::Tag, answered);
    }
}
