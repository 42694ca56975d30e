//! Whether clients are to be sent to this region: what DNS and load balancers ask for.
//!
//! Owns the verdict behind `/healthz/region`, and when it is looked for: the metadata is asked linearizably, and
//! the store behind the blob service is asked for something, again and again, whoever asks for the verdict or
//! not. Keeps the invariants that one failure alone changes nothing, nor one success, so that no region flaps;
//! that a drain is obeyed at the next look, and by all frontends, also while the metadata has no quorum; and that
//! what everybody may see says no more than which part fails. What is asked for here is answered whatever the
//! verdict is: that is for whoever sends clients.

use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::config::{self, Bounds};
use meridian_chassis::metrics::Metrics;
use meridian_clients::{BlobApi, Drained, MetadataApi};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How it is looked whether clients are to be sent to this region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SteeringConfig {
    /// How often.
    #[serde(with = "config::duration")]
    pub every: Duration,
    /// How long an answer may take. A region that is slower is as one that does not answer.
    #[serde(with = "config::duration")]
    pub deadline: Duration,
    /// After so many failures, one after the other, clients are to go elsewhere.
    pub fall: u32,
    /// After so many successes, one after the other, they are to come back.
    pub rise: u32,
}

/// Whether clients are to be sent here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody has looked yet.
    Unknown,
    /// They are.
    Serving,
    /// An operator wants them elsewhere.
    Drained(Drained),
    /// These parts fail.
    Failing(Vec<Part>),
}

/// A part of a region, as everybody may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Metadata,
    Blobs,
    Store,
}

/// What one look found.
struct Found {
    /// Nothing, if the metadata did not say.
    drained: Option<Option<Drained>>,
    /// What failed.
    failing: Vec<Part>,
}

/// Comes to a verdict, look by look.
struct Judge {
    fall: u32,
    rise: u32,
    is_up: Option<bool>,
    /// How many looks, one after the other, found the opposite.
    against: u32,
    drained: Option<Drained>,
    /// What failed at the last look that found a failure.
    failing: Vec<Part>,
}

/// The verdict, and who looks for it.
pub(crate) struct Steering {
    config: SteeringConfig,
    metadata: Arc<dyn MetadataApi>,
    blobs: Arc<dyn BlobApi>,
    verdict: watch::Sender<Verdict>,
}

// === impl SteeringConfig ===

impl Default for SteeringConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            deadline: Duration::from_secs(2),
            fall: 3,
            rise: 2,
        }
    }
}

impl SteeringConfig {
    /// Adds everything that is wrong with it.
    pub(crate) fn judge(&self, bounds: &mut Bounds) {
        let spans = Duration::from_millis(100)..=Duration::from_mins(5);
        bounds.span("steering.every", self.every, spans.clone());
        bounds.span("steering.deadline", self.deadline, spans);
        for (key, count) in [("fall", self.fall), ("rise", self.rise)] {
            bounds.number(&format!("steering.{key}"), count.into(), 1..=100);
        }
    }
}

// === impl Judge ===

impl Judge {
    const fn new(config: &SteeringConfig) -> Self {
        Self {
            fall: config.fall,
            rise: config.rise,
            is_up: None,
            against: 0,
            drained: None,
            failing: Vec::new(),
        }
    }

    fn hear(&mut self, found: Found) -> Verdict {
        let is_good = found.failing.is_empty();
        if let Some(drained) = found.drained {
            self.drained = drained;
        }
        if !is_good {
            self.failing = found.failing;
        }
        let needed = if is_good { self.rise } else { self.fall };
        match self.is_up {
            Some(is_up) if is_up == is_good => self.against = 0,
            Some(_) if self.against + 1 < needed => self.against += 1,
            _ => (self.is_up, self.against) = (Some(is_good), 0),
        }
        match (&self.drained, self.is_up) {
            (Some(drained), _) => Verdict::Drained(drained.clone()),
            (None, Some(false)) => Verdict::Failing(self.failing.clone()),
            (None, _) => Verdict::Serving,
        }
    }
}

// === impl Steering ===

impl Steering {
    pub(crate) fn new(
        config: SteeringConfig,
        metadata: Arc<dyn MetadataApi>,
        blobs: Arc<dyn BlobApi>,
    ) -> Self {
        Self {
            config,
            metadata,
            blobs,
            verdict: watch::Sender::new(Verdict::Unknown),
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.borrow().clone()
    }

    pub(crate) fn register(self: &Arc<Self>, metrics: &Metrics) {
        let this = Arc::clone(self);
        let help = "Whether clients are to be sent to this region (1) or to others (0).";
        metrics.read("frontend_region_serving", help, move || {
            match &*this.verdict.borrow() {
                Verdict::Unknown => None,
                Verdict::Serving => Some(1),
                Verdict::Drained(_) | Verdict::Failing(_) => Some(0),
            }
        });
    }

    /// Looks again and again, until it is dropped.
    pub(crate) async fn watch(&self) {
        let mut judge = Judge::new(&self.config);
        let mut ticks = interval(self.config.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell(judge.hear(self.look().await));
        }
    }

    async fn look(&self) -> Found {
        let deadline = self.config.deadline;
        let drained = timeout(deadline, self.metadata.drained());
        let store = timeout(deadline, self.blobs.probe());
        let (drained, store) = tokio::join!(drained, store);
        let mut failing = Vec::new();
        let drained = match drained {
            Ok(Ok(drained)) => Some(drained),
            Ok(Err(_)) | Err(_) => {
                failing.push(Part::Metadata);
                None
            }
        };
        match store {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(trouble))) => {
                tracing::debug!(trouble, "the store does not answer");
                failing.push(Part::Store);
            }
            Ok(Err(_)) | Err(_) => failing.push(Part::Blobs),
        }
        Found { drained, failing }
    }

    fn tell(&self, verdict: Verdict) {
        self.verdict.send_if_modified(|known| {
            if *known == verdict {
                return false;
            }
            match &verdict {
                Verdict::Unknown => {}
                Verdict::Serving => tracing::info!("clients are to be sent to this region"),
                Verdict::Drained(drained) => tracing::info!(
                    reason = drained.reason,
                    "this region is drained: clients are to be sent to others"
                ),
                Verdict::Failing(parts) => {
                    tracing::warn!(
                        ?parts,
                        "clients are to be sent to other regions: parts fail"
                    );
                }
            }
            *known = verdict;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Found {
        Found {
            drained: Some(None),
            failing: Vec::new(),
        }
    }

    fn bad(part: Part) -> Found {
        Found {
            drained: (part != Part::Metadata).then_some(None),
            failing: vec![part],
        }
    }

    fn drained() -> Drained {
        Drained {
            millis: 7,
            reason: "maintenance".to_owned(),
        }
    }

    fn judge() -> Judge {
        Judge::new(&SteeringConfig::default())
    }

    #[test]
    fn the_first_look_decides() {
        assert_eq!(judge().hear(good()), Verdict::Serving);
        let failing = Verdict::Failing(vec![Part::Store]);
        assert_eq!(judge().hear(bad(Part::Store)), failing);
    }

    #[test]
    fn neither_one_failure_nor_one_success_changes_anything() {
        let mut judge = judge();
        judge.hear(good());
        for _ in 0..3 {
            assert_eq!(judge.hear(bad(Part::Blobs)), Verdict::Serving);
            assert_eq!(judge.hear(bad(Part::Blobs)), Verdict::Serving);
            assert_eq!(judge.hear(good()), Verdict::Serving);
        }
        judge.hear(bad(Part::Blobs));
        judge.hear(bad(Part::Blobs));
        let failing = Verdict::Failing(vec![Part::Metadata]);
        assert_eq!(judge.hear(bad(Part::Metadata)), failing);
        assert_eq!(judge.hear(good()), failing);
        assert_eq!(judge.hear(bad(Part::Metadata)), failing);
        assert_eq!(judge.hear(good()), failing);
        assert_eq!(judge.hear(good()), Verdict::Serving);
    }

    #[test]
    fn a_drain_is_obeyed_at_once_and_not_forgotten_while_nobody_can_be_asked() {
        let mut judge = judge();
        judge.hear(good());
        let found = Found {
            drained: Some(Some(drained())),
            ..good()
        };
        assert_eq!(judge.hear(found), Verdict::Drained(drained()));
        for _ in 0..9 {
            assert_eq!(judge.hear(bad(Part::Metadata)), Verdict::Drained(drained()));
        }
        let failing = Verdict::Failing(vec![Part::Metadata]);
        assert_eq!(
            judge.hear(good()),
            failing,
            "it is not drained, and not well yet"
        );
        assert_eq!(judge.hear(good()), Verdict::Serving);
    }
}
