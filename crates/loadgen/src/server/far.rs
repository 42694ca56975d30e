//! What a product has besides, if it has two places.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::ServerError;
use super::copier::Copier;
use super::process::Process;
use super::product::Prepared;
use super::wan::Wan;
use crate::affinity::Pinning;
use crate::kafka::Stream;
use crate::registry::Registry;

/// The other place, and the way there. Clones share the way.
#[derive(Clone)]
pub(crate) struct Far {
    /// Where its clients find it, without crossing the network.
    pub(crate) registry: Registry,
    /// Where its events are read, if they go to Kafka; without crossing the network, too.
    pub(crate) stream: Option<Stream>,
    /// What brings images there, if the product does not do it by itself.
    pub(crate) copier: Option<Copier>,
    /// What brings images there, if it is for a case to start.
    pub(super) agent: Option<Arc<Later>>,
    pub(crate) wan: Arc<Wan>,
}

/// A process that is started later than the others.
pub(super) struct Later {
    pub(super) prepared: Prepared,
    /// Its output goes there.
    pub(super) log: PathBuf,
    pub(super) pinning: Option<Pinning>,
}

/// A process that a case has started. It is killed with this value.
pub(crate) struct Agent(Process);

// === impl Far ===

impl Far {
    /// Starts the agent, if there is one to start, and waits for nothing.
    pub(crate) fn start_agent(&self) -> Result<Option<Agent>, ServerError> {
        let started = self.agent.as_ref().map(|agent| {
            let Later {
                prepared,
                log,
                pinning,
            } = &**agent;
            Process::start(prepared, log, None, *pinning).map(Agent)
        });
        started.transpose()
    }
}

// === impl Agent ===

impl Agent {
    pub(crate) fn id(&self) -> Option<u32> {
        self.0.id()
    }

    /// Kills it as `kill -9` does, and waits until it has gone.
    pub(crate) async fn kill(self) -> Result<(), ServerError> {
        self.0.end(Instant::now()).await
    }
}
