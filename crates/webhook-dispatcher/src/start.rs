//! How the service comes to life: what it stands on, its tasks, and what it shows of itself.
//!
//! Owns when a start is refused, for settings, keys or authorities that cannot be used. Leaves to each part what it does
//! while something else is away: none of them is waited for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use meridian_chassis::Supervisor;
use meridian_chassis::metrics::Metrics;
use meridian_chassis::seal::{KeyRing, KeyRingError};
use meridian_clients::MetadataApi;
use meridian_clients::replica::AgentId;
use meridian_clients::webhook::WebhookApi;
use meridian_clock::{Clock, Region};
use meridian_delivery::Dispatcher;
use meridian_error::{Classify, Code};
use meridian_eventlog::EventLog;

use crate::call::{CallError, Caller};
use crate::engine::Engine;
use crate::known::Known;
use crate::shell::Shell;
use crate::{Config, Controls, crew};

/// What the service stands on.
#[derive(Clone)]
pub struct Ports {
    /// The webhooks, in the metadata of this region.
    pub webhooks: Arc<dyn WebhookApi>,
    /// The metadata, as everybody sees them.
    pub metadata: Arc<dyn MetadataApi>,
    /// The event log of this region.
    pub log: Arc<dyn EventLog>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are no good.
    #[error("the settings of the webhook dispatcher are refused: {}", .0.join("; "))]
    Config(Vec<String>),
    /// There are no keys.
    #[error("the keys that seal webhooks cannot be used")]
    Keys(#[from] KeyRingError),
    /// Receivers cannot be called.
    #[error("receivers of webhooks cannot be called")]
    Call(#[from] CallError),
}

/// Starts the service. It waits for nothing: while the metadata, or the event log, is not there yet, it tries again.
/// A key file that is not there is made if `makes_keys` says so, which only a region without others may.
///
/// # Errors
///
/// When the configuration is refused; every fault is named. When there are no keys.
pub fn start(
    region: Region,
    config: Config,
    key_file: &Path,
    makes_keys: bool,
    ports: Ports,
    supervisor: &mut Supervisor,
) -> Result<Controls, StartError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(StartError::Config(faults));
    }
    let keys = match makes_keys {
        true => KeyRing::load_or_make(key_file, config.reload_every)?,
        false => KeyRing::load(key_file, config.reload_every)?,
    };
    let agent = format!("Meridian/{}", env!("CARGO_PKG_VERSION"));
    let caller = Caller::new(&config, &agent)?;
    let engine = Dispatcher::new(config.delivery.clone(), rand::random());
    let engine = Engine::new(engine, Arc::clone(&ports.clock));
    let known = Known::new(Arc::clone(&ports.webhooks), keys.clone());
    let (spawner, stop) = (supervisor.spawner(), supervisor.token());
    let parts = (engine, known, caller);
    let shell = Arc::new(Shell::new(
        region,
        config,
        ports,
        parts,
        agent,
        spawner,
        stop.clone(),
    ));
    show(&shell, supervisor.metrics());
    supervisor.spawn("webhooks.dispatcher", {
        let shell = Arc::clone(&shell);
        async move {
            shell.run().await;
            Ok(())
        }
    });
    supervisor.spawn("webhooks.crew", {
        let (shell, stop) = (Arc::clone(&shell), stop.clone());
        async move {
            crew::run(shell, AgentId(rand::random()), stop).await;
            Ok(())
        }
    });
    supervisor.spawn("webhooks.keys", async move {
        keys.renew(stop).await;
        Ok(())
    });
    Ok(Controls::of(shell))
}

fn show(shell: &Arc<Shell>, metrics: &Metrics) {
    let meters = Arc::clone(shell);
    let help = "Attempts to call receivers of webhooks, by what became of them.";
    metrics.read_counts("webhook_attempts", help, "outcome", move || {
        let meters = &meters.meters;
        [
            ("delivered", &meters.delivered),
            ("failed", &meters.failed),
            ("unsent", &meters.unsent),
        ]
        .map(|(outcome, count)| (outcome.to_owned(), count.load(Ordering::Relaxed)))
        .into()
    });
    let meters = Arc::clone(shell);
    let help =
        "Events that webhooks were to be told of, and that nobody has any more, or can read.";
    metrics.read_counts("webhook_lost_events", help, "reason", move || {
        let meters = &meters.meters;
        [
            ("expired", &meters.lost),
            ("unreadable", &meters.unreadable),
        ]
        .map(|(reason, count)| (reason.to_owned(), count.load(Ordering::Relaxed)))
        .into()
    });
    let meters = Arc::clone(shell);
    let help = "Shards whose events webhooks are not told of until somebody looks at them.";
    metrics.read("webhook_stopped_shards", help, move || {
        i64::try_from(meters.meters.stops.count()).ok()
    });
    let shown = Arc::clone(shell);
    let help = "What the dispatcher of webhooks holds.";
    metrics.read_each("webhook_held", help, "what", move || {
        let load = shown.engine.look(Dispatcher::load);
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        [
            ("webhooks", load.webhooks),
            ("messages", load.messages),
            ("requests", load.requests),
            ("receivers_left_alone", load.open),
        ]
        .map(|(what, count)| (what.to_owned(), number(count)))
        .into()
    });
}

// === impl StartError ===

impl Classify for StartError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}
