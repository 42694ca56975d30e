//! The loop that carries out what the engine says.
//!
//! Owns the map from what the rules want to the ports, and the end: what is under way then has five seconds, and is
//! recorded. Keeps the promise that the engine relies on: every question is answered once, within a deadline. Each
//! effect runs as a task of its own; how many there are at once is the engine's to bound. Leaves attempts to
//! `attempt.rs`, and reading for those that fell behind to `readers.rs`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use meridian_chassis::Spawner;
use meridian_clients::webhook::{WebhookApi, WebhookError};
use meridian_clock::Region;
use meridian_delivery::{Dispatcher, Effect, Recorded, Subscription};
use meridian_event::webhook::{DisableReason, Record};
use tokio_util::sync::CancellationToken;

use crate::call::Caller;
use crate::engine::Engine;
use crate::history::History;
use crate::known::Known;
use crate::readers::Readers;
use crate::trouble::{Stops, Trouble};
use crate::{Config, Ports};

/// How long what is under way may take to end when the service is stopped.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait between two looks at whether it has.
const GLANCE: Duration = Duration::from_millis(50);

/// What carries out the engine's effects.
pub(crate) struct Shell {
    pub(crate) region: Region,
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    pub(crate) engine: Engine,
    pub(crate) known: Known,
    pub(crate) caller: Caller,
    pub(crate) history: History,
    pub(crate) meters: Meters,
    /// What this program calls itself in requests.
    pub(crate) agent: String,
    spawner: Spawner,
    pub(crate) readers: Readers,
    /// Cancelled when the service is to end.
    stop: CancellationToken,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) delivered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) unsent: AtomicU64,
    /// Events that were to be told and are lost.
    pub(crate) lost: AtomicU64,
    /// Those that are there, and that nobody here can read.
    pub(crate) unreadable: AtomicU64,
    pub(crate) stops: Stops,
}

// === impl Shell ===

impl Shell {
    pub(crate) fn new(
        region: Region,
        config: Config,
        ports: Ports,
        (engine, known, caller): (Engine, Known, Caller),
        agent: String,
        spawner: Spawner,
        stop: CancellationToken,
    ) -> Self {
        Self {
            region,
            history: History::new(config.history),
            config,
            ports,
            engine,
            known,
            caller,
            meters: Meters::default(),
            agent,
            spawner,
            readers: Readers::new(),
            stop,
        }
    }

    pub(crate) fn api(&self) -> &dyn WebhookApi {
        &*self.ports.webhooks
    }

    /// Has all know which webhooks there are now.
    pub(crate) async fn refresh(&self) -> Result<(), WebhookError> {
        if self.known.refresh(&self.engine).await? {
            self.history.retain(|webhook| self.known.has(webhook));
        }
        Ok(())
    }

    /// Does what the engine says until it is stopped; then what is under way ends, and is recorded.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let wait = self.step();
            let told = self.engine.told();
            let waited = tokio::time::timeout(wait, told);
            if self.stop.run_until_cancelled(waited).await.is_none() {
                break;
            }
        }
        self.engine.tell(|engine, _| engine.leave());
        let farewell = async {
            while self.engine.look(Dispatcher::is_busy) {
                self.step();
                let told = self.engine.told();
                let _told_or_not = tokio::time::timeout(GLANCE, told).await;
            }
        };
        let _ended = tokio::time::timeout(FAREWELL, farewell).await;
    }

    /// Has everything done that is to be done now, and returns how long to wait.
    fn step(self: &Arc<Self>) -> Duration {
        let (effects, wait) = self.engine.poll();
        for effect in effects {
            self.carry_out(effect);
        }
        wait
    }

    fn carry_out(self: &Arc<Self>, effect: Effect) {
        match effect {
            Effect::Attempt(attempt) => self.start("webhooks.attempt", async move |shell| {
                shell.attempt(attempt).await;
            }),
            Effect::Record { ticket, record } => {
                self.start("webhooks.record", async move |shell| {
                    shell.record(ticket, &record).await;
                });
            }
            Effect::Log {
                ticket,
                webhook,
                shard,
                after,
                limit,
            } => self.start("webhooks.log", async move |shell| {
                let page = shell.log(webhook, shard, after, limit).await;
                shell
                    .engine
                    .tell(|engine, now| engine.log(now, webhook, shard, ticket, page));
            }),
            Effect::Due {
                ticket,
                webhook,
                shard,
                until,
                limit,
            } => self.start("webhooks.due", async move |shell| {
                let page = shell.api().due(webhook, shard, until, limit).await;
                if let Err(error) = &page {
                    let trouble = Trouble::new("what is due again cannot be read");
                    trouble.of_shard(shard).of_webhook(webhook).tell(error);
                }
                let page = page.ok();
                shell
                    .engine
                    .tell(|engine, now| engine.due(now, webhook, shard, ticket, page));
            }),
            Effect::Disable { to, reason } => {
                self.start("webhooks.disable", async move |shell| {
                    shell.disable(&to, reason).await;
                });
            }
            Effect::Prune { shard, until } => self.start("webhooks.prune", async move |shell| {
                if let Err(error) = shell.api().prune(shard, until).await {
                    let trouble = Trouble::new("what was kept for long enough is not dropped");
                    trouble.of_shard(shard).tell(&error);
                }
            }),
        }
    }

    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        work: impl FnOnce(Arc<Self>) -> F,
    ) {
        self.spawner.spawn_child(name, work(Arc::clone(self)));
    }

    async fn record(&self, ticket: u64, record: &Record) {
        fail::fail_point!("wh.record.before");
        let recorded = match self.api().record(record).await {
            Ok(true) => Recorded::Done,
            Ok(false) => Recorded::Refused,
            Err(error) => {
                let trouble = Trouble::new("progress is not recorded yet");
                trouble.of_shard(record.shard).tell(&error);
                Recorded::Failed
            }
        };
        fail::fail_point!("wh.record.after");
        let shard = record.shard;
        self.engine
            .tell(|engine, now| engine.recorded(now, shard, ticket, recorded));
    }

    /// Has a webhook disabled, however long nobody answers: until then it is not told anything. Where it has
    /// another receiver by then, or is enabled again, the engine knows that nothing is to be disabled.
    async fn disable(&self, to: &Subscription, reason: DisableReason) {
        let webhook = to.id;
        let mut is_first = true;
        let is_disabled = loop {
            match self.api().disable(webhook, to.since, reason).await {
                Ok(is_disabled) => break is_disabled,
                Err(error) if is_first => {
                    is_first = false;
                    let error = meridian_error::chain(&error);
                    tracing::warn!(%webhook, error, "a webhook is not disabled yet, though its receiver is gone");
                }
                Err(_) => {}
            }
            if !self.known.is(to) {
                return;
            }
            let pause = tokio::time::sleep(self.config.delivery.again);
            if self.stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        };
        if is_disabled {
            tracing::warn!(%webhook, ?reason, "a webhook is disabled");
        }
        self.engine
            .tell(|engine, _| engine.disabled(webhook, is_disabled));
    }
}
