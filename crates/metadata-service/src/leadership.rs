//! What a member does because it leads, and what it does to be fit to lead.
//!
//! ```text
//! every member:  look at the event log ── verified
//! the leader:    make the state this region's ── catch up with the event log ── publish … until it
//!                leads no more
//! ```
//!
//! Owns that order. Keeps the invariant that a region whose state is older than what it has told the
//! world takes no writes: each member looks at the event log once after its start, when it has seen
//! all that is committed, so that a leader that is elected while the event log is away need not.

use std::sync::Arc;
use std::time::Duration;

use meridian_catalog::{Command, Refusal, Reply, query};
use meridian_chassis::Supervisor;
use meridian_chassis::health::Condition;
use meridian_event::RegistryId;
use meridian_eventlog::{EventLog, Topic};
use meridian_oci::RegistryName;
use openraft::type_config::async_runtime::watch::WatchReceiver as _;
use tokio_util::sync::CancellationToken;

use crate::StartError;
use crate::config::Config;
use crate::group::Group;
use crate::heartbeat;
use crate::outbox::{PublishError, Publisher};

/// Between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a member judges whether it is fit to serve.
const JUDGE_EVERY: Duration = Duration::from_millis(250);
/// So many entries a member may lag behind and still be of use.
const SMALL_LAG: u64 = 10_000;

/// A member of a group of several, from its start on.
#[derive(Clone)]
pub(crate) struct Leadership {
    pub(crate) config: Config,
    pub(crate) group: Arc<Group>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) topic: Topic,
}

/// Makes an empty state into this region's, with its first registry, which is the same one in all
/// regions; brings the settings in force.
pub(crate) async fn initialize(config: &Config, group: &Group) -> Result<(), StartError> {
    let settings = config.retention.into();
    // A region that begins anew, with an empty state, is to be beyond all that it ever did before.
    let initialize = Command::Initialize {
        region: config.region,
        epoch: group.now(),
        settings,
    };
    begin_with(group, initialize).await?;
    // Before anything can be pushed: whether the state was empty by then decides how it meets others.
    if let Some(peers) = heartbeat::news_of_peers(&group.view(), &config.peers) {
        begin_with(group, peers).await?;
    }
    let name = "default".parse::<RegistryName>();
    let name = name.expect("`default` is a valid name");
    // A state that has it is left alone: founding needs a good clock, and a start does not.
    let has_default = matches!(query::registry(&group.view(), &name), Ok(Some(_)));
    if !has_default {
        let id = RegistryId::first();
        begin_with(group, Command::FoundRegistry { id, name }).await?;
    }
    begin_with(group, Command::Configure(settings)).await
}

async fn begin_with(group: &Group, command: Command) -> Result<(), StartError> {
    let reply = group.propose_own(command).await;
    match reply.map_err(StartError::Group)? {
        // Another leader was a moment earlier.
        Reply::Refused(Refusal::RegistryExists) => Ok(()),
        Reply::Refused(refusal) => Err(StartError::Refused(refusal)),
        _ => Ok(()),
    }
}

// === impl Leadership ===

impl Leadership {
    /// Begins. `told_all` is cancelled when nothing is published any more.
    pub(crate) fn spawn(self, told_all: CancellationToken, supervisor: &Supervisor) {
        let stop = supervisor.background_token();
        supervisor.spawn_background("metadata.verify", {
            let (this, stop) = (self.clone(), stop.clone());
            async move {
                let verified = stop.run_until_cancelled(this.verify()).await;
                verified.unwrap_or(Ok(()))?;
                stop.cancelled().await;
                Ok(())
            }
        });
        supervisor.spawn_background("metadata.outbox", {
            let (this, stop) = (self.clone(), stop.clone());
            async move {
                let _told_all = told_all.drop_guard();
                this.lead(stop).await
            }
        });
        supervisor.spawn_background("metadata.fitness", {
            let condition = supervisor.readiness().condition("metadata group");
            let group = Arc::clone(&self.group);
            async move {
                let judged = async { tokio::join!(judge(&group, &condition), listen(&group)) };
                stop.run_until_cancelled(judged).await;
                Ok(())
            }
        });
        if !self.config.group.founders.is_empty() {
            let group = Arc::clone(&self.group);
            let founders = self.config.group.founders.clone();
            let founding = async move {
                group.found_when_all_are_there(&founders, JUDGE_EVERY).await;
            };
            let stop = supervisor.token();
            supervisor
                .spawner()
                .spawn_child("metadata founding", async move {
                    stop.run_until_cancelled(founding).await;
                });
        }
        // While this member still hears the others: it has to learn that another one leads, or it would take itself
        // for the leader until its deadlines are over.
        let (group, stop) = (self.group, supervisor.leaving_token());
        supervisor.spawn_leaving("metadata.lead", async move {
            stop.cancelled().await;
            group.hand_over().await;
            Ok(())
        });
    }

    pub(crate) fn publisher(&self) -> Publisher {
        Publisher::new(
            Arc::clone(&self.group),
            Arc::clone(&self.events),
            self.topic.clone(),
            self.config.publish_linger.unwrap_or_default(),
        )
    }

    /// Looks at the event log until that has succeeded once.
    async fn verify(&self) -> Result<(), PublishError> {
        self.caught_up().await?;
        self.group.verify();
        Ok(())
    }

    /// A publisher that has caught up with the event log, however long that takes.
    pub(crate) async fn caught_up(&self) -> Result<Publisher, PublishError> {
        let mut publisher = self.publisher();
        let mut pause = FIRST_PAUSE;
        loop {
            match publisher.catch_up().await {
                Ok(()) => return Ok(publisher),
                Err(error) if error.is_final() => return Err(error),
                // Before the group is founded there is nothing to compare, and nothing to tell.
                Err(error) if pause == LONGEST_PAUSE && self.group.leader().is_some() => {
                    let error = meridian_error::chain(&error);
                    tracing::warn!(error, "the event log cannot be looked at");
                }
                Err(error) => {
                    let error = meridian_error::chain(&error);
                    tracing::debug!(error, "the event log cannot be looked at yet");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Does the leader's work whenever this member leads.
    async fn lead(self, stop: CancellationToken) -> meridian_chassis::TaskResult {
        while stop
            .run_until_cancelled(self.group.until(true))
            .await
            .is_some()
        {
            let lost = stop.child_token();
            let leading = {
                let lost = lost.clone();
                async {
                    self.begin(&lost).await?;
                    let Some(caught_up) = lost.run_until_cancelled(self.caught_up()).await else {
                        return Ok(());
                    };
                    let publisher = caught_up?;
                    self.group.verify();
                    publisher.run(lost).await?;
                    meridian_chassis::TaskResult::Ok(())
                }
            };
            let ends = async {
                self.group.until(false).await;
                lost.cancel();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                led = leading => led?,
                () = ends => {}
            }
        }
        Ok(())
    }

    /// Makes the state this region's, for as long as it takes.
    async fn begin(&self, lost: &CancellationToken) -> meridian_chassis::TaskResult {
        let mut pause = FIRST_PAUSE;
        while !lost.is_cancelled() {
            match initialize(&self.config, &self.group).await {
                Ok(()) => return Ok(()),
                Err(error @ StartError::Refused(_)) => return Err(error.into()),
                Err(error) => {
                    let error = meridian_error::chain(&error);
                    tracing::debug!(error, "the leader cannot begin yet");
                }
            }
            lost.run_until_cancelled(tokio::time::sleep(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }
}

/// Says whether this member is of use to those who ask it: it knows a leader, has a vote in the
/// committed membership, and lags little. Tells of changes of the leader besides.
async fn judge(group: &Group, condition: &Condition) {
    let mut ticks = tokio::time::interval(JUDGE_EVERY);
    let mut leader = None;
    loop {
        ticks.tick().await;
        let leads = group.leader();
        if std::mem::replace(&mut leader, leads) != leads {
            group.meters().leader_changes.inc();
            match leads {
                Some(node) if node == group.me() => tracing::info!("this member leads the group"),
                Some(node) => tracing::info!(node = format!("{node:016x}"), "another member leads"),
                None => tracing::warn!("no member is known to lead the group"),
            }
        }
        match fitness(group) {
            Ok(()) => condition.set(),
            Err(why) => condition.unset(why),
        }
    }
}

/// Finds out whether the leader answers this member, also while nobody reads here.
async fn listen(group: &Group) {
    let mut ticks = tokio::time::interval(JUDGE_EVERY);
    loop {
        ticks.tick().await;
        group.listen().await;
    }
}

fn fitness(group: &Group) -> Result<(), String> {
    let metrics = group.raft().metrics();
    let metrics = metrics.borrow_watched();
    if group.claim().cluster().is_none() {
        return Err(
            "this member belongs to no group yet; found one with `meridian cluster init`, \
                    or have it join with `meridian cluster join`"
                .to_owned(),
        );
    }
    let mut voters = metrics.committed_membership_config.voter_ids();
    if !voters.any(|voter| voter == group.me()) {
        return Err("this member has no vote in the group".to_owned());
    }
    if metrics.current_leader.is_none() {
        return Err("no leader is known".to_owned());
    }
    if let Err(unheard) = group.hears_leader() {
        return Err(unheard.to_string());
    }
    let applied = metrics.last_applied.map_or(0, |id| id.index);
    let lag = metrics.last_log_index.unwrap_or(0).saturating_sub(applied);
    if lag > SMALL_LAG {
        return Err(format!("this member has {lag} entries to apply"));
    }
    Ok(())
}
