//! The loop that carries out what the engine says.
//!
//! Owns the map from what the rules want to the ports. Keeps the promise that the engine relies on: every question
//! is answered once, within a deadline. Each effect runs as a task of its own; how many there are at once is the
//! engine's to bound.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_chassis::Spawner;
use meridian_clients::webhook::WebhookApi;
use meridian_clock::{Clock, Region};
use meridian_delivery::{
    Attempt, Content, Dispatcher, Effect, LogPage, Outcome, Recorded, Sender, Subscription, request,
};
use meridian_event::webhook::{Message, Place, Record, WebhookId};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::call::Caller;
use crate::credentials::Credentials;
use crate::history::{Attempted, Exchange, History};
use crate::known::Known;
use crate::{Config, Ports, consume};

/// How long what is under way may take to end when the service is stopped.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait between two looks at whether it has.
const GLANCE: Duration = Duration::from_millis(50);

/// How many webhooks that fell behind read the log at once.
const PAGES: usize = 4;

/// The engine, and what time it is for it.
pub(crate) struct Engine {
    dispatcher: Mutex<Dispatcher>,
    clock: Arc<dyn Clock>,
    told: Notify,
}

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
    /// Where in the log those stand who read it themselves.
    readers: Mutex<BTreeMap<(WebhookId, u16), Reader>>,
    /// How many of them read at once.
    pages: Semaphore,
    /// Cancelled when the service is to end.
    stop: CancellationToken,
}

/// The part of the log that was read last: of what is behind a place, from that offset on, and where it goes on
/// behind its last place.
#[derive(Debug, Clone, Copy)]
struct Reader {
    after: Place,
    first: u64,
    upto: Place,
    next: u64,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) delivered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) unsent: AtomicU64,
    /// Events that were to be told and are lost.
    pub(crate) lost: AtomicU64,
}

// === impl Engine ===

impl Engine {
    pub(crate) fn new(dispatcher: Dispatcher, clock: Arc<dyn Clock>) -> Self {
        Self {
            dispatcher: Mutex::new(dispatcher),
            clock,
            told: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now_millis()
    }

    /// Tells it something, and has what follows carried out.
    pub(crate) fn tell<T>(&self, tell: impl FnOnce(&mut Dispatcher, u64) -> T) -> T {
        let now = self.now();
        let told = tell(&mut self.dispatcher(), now);
        self.told.notify_one();
        told
    }

    /// Looks at it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Dispatcher) -> T) -> T {
        look(&self.dispatcher())
    }

    /// What is to be done, and how long to wait before the next look though nothing is told.
    fn poll(&self) -> (Vec<Effect>, Duration) {
        let now = self.now();
        let mut dispatcher = self.dispatcher();
        let effects = dispatcher.poll(now);
        let wait = Duration::from_millis(dispatcher.wake().saturating_sub(now));
        (effects, wait)
    }

    fn dispatcher(&self) -> MutexGuard<'_, Dispatcher> {
        self.dispatcher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
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
            readers: Mutex::default(),
            pages: Semaphore::new(PAGES),
            stop,
        }
    }

    pub(crate) fn api(&self) -> &dyn WebhookApi {
        &*self.ports.webhooks
    }

    /// Does what the engine says until it is stopped; then what is under way ends, and is recorded.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let wait = self.step();
            let told = self.engine.told.notified();
            let waited = tokio::time::timeout(wait, told);
            if self.stop.run_until_cancelled(waited).await.is_none() {
                break;
            }
        }
        self.engine.tell(|engine, _| engine.leave());
        let farewell = async {
            while self.engine.look(Dispatcher::is_busy) {
                self.step();
                let told = self.engine.told.notified();
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
                    let error = meridian_error::chain(error);
                    tracing::debug!(%webhook, error, "what is due again cannot be read");
                }
                let page = page.ok();
                shell
                    .engine
                    .tell(|engine, now| engine.due(now, webhook, shard, ticket, page));
            }),
            Effect::Disable { webhook, reason } => {
                self.start("webhooks.disable", async move |shell| {
                    shell.disable(webhook, reason).await;
                });
            }
            Effect::Prune { shard, until } => self.start("webhooks.prune", async move |shell| {
                if let Err(error) = shell.api().prune(shard, until).await {
                    let error = meridian_error::chain(&error);
                    tracing::debug!(shard, error, "what was kept for long enough is not dropped");
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

    async fn attempt(&self, attempt: Attempt) {
        let Attempt {
            ticket,
            to,
            message,
            attempt,
        } = attempt;
        fail::fail_point!("wh.attempt.before");
        let outcome = match self.credentials(&to) {
            Some(_) if forgets() => Outcome::Answered {
                status: 200,
                retry_after: None,
            },
            Some(credentials) => {
                let told = Told::Message(&message, attempt);
                let (outcome, _) = self.call(&to, &credentials, told).await;
                outcome
            }
            None => Outcome::Unsent,
        };
        fail::fail_point!("wh.attempt.after");
        let count = match outcome {
            Outcome::Answered {
                status: 200..=299, ..
            } => &self.meters.delivered,
            Outcome::Unsent => &self.meters.unsent,
            _ => &self.meters.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.engine
            .tell(|engine, now| engine.attempted(now, ticket, outcome));
    }

    fn credentials(&self, to: &Subscription) -> Option<Arc<Credentials>> {
        let opened = self
            .known
            .credentials(to.id, to.registry, &to.webhook.name, &to.sealed);
        match opened {
            Ok(credentials) => Some(credentials),
            Err(error) => {
                if self.known.is_news(to.id, &to.sealed) {
                    let error = meridian_error::chain(&error);
                    let webhook = to.webhook.name.as_str();
                    tracing::error!(
                        webhook,
                        error,
                        "a webhook is not told of anything: give this dispatcher the keys that it was sealed with"
                    );
                }
                None
            }
        }
    }

    /// Calls a receiver, and remembers it.
    pub(crate) async fn call(
        &self,
        to: &Subscription,
        credentials: &Credentials,
        told: Told<'_>,
    ) -> (Outcome, Exchange) {
        let at = self.engine.now();
        let sender = Sender {
            host: &self.config.host,
            agent: &self.agent,
        };
        let secrets = credentials.secrets(at);
        let content = told.content();
        let callback = &credentials.callback;
        let made = request(
            to.webhook.format,
            callback,
            content,
            sender,
            Some(&secrets),
            at,
        );
        let (headers, body) = (masked(&made.headers, callback), text(&made.body));
        let (outcome, attempted) = self.caller.call(&callback.uri, made).await;
        let (message, attempt) = told.parts();
        let exchange = Exchange {
            id: content.id(),
            action: message.as_ref().map(|message| message.action),
            message,
            attempt,
            at,
            millis: self.engine.now().saturating_sub(at),
            uri: callback.uri.to_string(),
            headers,
            body,
            attempted,
        };
        self.history.add(to.id, exchange.clone());
        (outcome, exchange)
    }

    async fn record(&self, ticket: u64, record: &Record) {
        fail::fail_point!("wh.record.before");
        let recorded = match self.api().record(record).await {
            Ok(true) => Recorded::Done,
            Ok(false) => Recorded::Refused,
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::debug!(shard = record.shard, error, "progress is not recorded yet");
                Recorded::Failed
            }
        };
        fail::fail_point!("wh.record.after");
        let shard = record.shard;
        self.engine
            .tell(|engine, now| engine.recorded(now, shard, ticket, recorded));
    }

    /// Has a webhook disabled, however long nobody answers: until then it is not told anything.
    async fn disable(&self, webhook: WebhookId, reason: meridian_event::webhook::DisableReason) {
        let mut is_first = true;
        let is_disabled = loop {
            match self.api().disable(webhook, reason).await {
                Ok(is_disabled) => break is_disabled,
                Err(error) if is_first => {
                    is_first = false;
                    let error = meridian_error::chain(&error);
                    tracing::warn!(%webhook, error, "a webhook is not disabled yet, though its receiver is gone");
                }
                Err(_) => {}
            }
            if !self.known.has(webhook) {
                break false;
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

    /// A part of the log, for a webhook that fell behind.
    async fn log(
        &self,
        webhook: WebhookId,
        shard: u16,
        after: Place,
        limit: usize,
    ) -> Option<LogPage> {
        // Those that fell behind do not keep the others from what happens now.
        let _permit = self.pages.acquire().await.ok()?;
        let reader = (webhook, shard);
        let stood = self.readers().get(&reader).copied();
        let from = stood.and_then(|stood| stood.offset(after));
        let read = consume::page(self, shard, after, from, limit).await;
        match read {
            Ok((page, (first, next))) => {
                let mut readers = self.readers();
                readers.retain(|(webhook, _), _| self.known.has(*webhook));
                let stands = Reader {
                    after,
                    first,
                    upto: page.upto,
                    next,
                };
                readers.insert(reader, stands);
                Some(page)
            }
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::debug!(%webhook, shard, error, "the event log cannot be read");
                None
            }
        }
    }

    fn readers(&self) -> MutexGuard<'_, BTreeMap<(WebhookId, u16), Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Reader ===

impl Reader {
    /// Where what is behind a place begins, or a little before.
    fn offset(self, after: Place) -> Option<u64> {
        if after == self.upto {
            return Some(self.next);
        }
        (self.after <= after && after < self.upto).then_some(self.first)
    }
}

/// What is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told<'a> {
    /// That the webhook works.
    Ping(meridian_event::webhook::MessageId, u64),
    /// A message, on which attempt.
    Message(&'a Arc<Message>, u8),
}

// === impl Told ===

impl<'a> Told<'a> {
    fn content(self) -> Content<'a> {
        match self {
            Self::Ping(id, at) => Content::Ping { id, at },
            Self::Message(message, _) => Content::Message(message),
        }
    }

    fn parts(self) -> (Option<Arc<Message>>, u8) {
        match self {
            Self::Ping(..) => (None, 1),
            Self::Message(message, attempt) => (Some(Arc::clone(message)), attempt),
        }
    }
}

/// What webhooks add to their requests is often a credential.
fn masked(
    headers: &[(String, String)],
    callback: &meridian_event::webhook::Callback,
) -> Vec<(String, String)> {
    let is_own = |name: &str| {
        let mut names = callback.headers.expose().map(|(name, _)| name);
        names.any(|it| it.eq_ignore_ascii_case(name) && !it.eq_ignore_ascii_case("content-type"))
    };
    let shown = headers.iter().map(|(name, value)| match is_own(name) {
        true => (name.clone(), "***".to_owned()),
        false => (name.clone(), value.clone()),
    });
    shown.collect()
}

/// Whether a message is taken for delivered that is not: for tests, which have to notice.
fn forgets() -> bool {
    fail::fail_point!("wh.forget", |_| true);
    false
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Says whether a receiver took something.
pub(crate) const fn is_taken(attempted: &Attempted) -> bool {
    matches!(
        attempted,
        Attempted::Answered {
            status: 200..=299,
            ..
        }
    )
}
