//! The loop that carries out what the engine says.
//!
//! Owns the map from what the rules want to the ports. Keeps the promises that the engine relies on:
//! every question is answered once, within a deadline; what is said to be here is kept; an entry
//! that was applied holds the manifests that came with it. Leaves what is to be done, and when, to
//! the engine. Each action runs as a task of its own; how many there are at once is the engine's to
//! bound.

mod ask;
mod land;
mod merge;
mod repair;
mod report;
mod transfer;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meridian_chassis::Spawner;
use meridian_clients::peer::PeerApi;
use meridian_clients::replica::{Content, ContentKind};
use meridian_clock::Region;
use meridian_event::Leaf;
use meridian_replication::{Action, Body, Kind, TransferId, Want};
use tokio_util::sync::CancellationToken;

use crate::crew::Crew;
use crate::engine::Engine;
use crate::heads::Heads;
use crate::introductions::Introductions;
use crate::metrics::Meters;
use crate::spool::{Fate, Spool};
use crate::stops::Stops;
use crate::{Config, Ports};

pub(crate) use merge::cursor;
pub(crate) use repair::stream_of;

/// What carries out the engine's actions.
pub(crate) struct Shell {
    pub(crate) region: Region,
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    pub(crate) engine: Engine,
    pub(crate) spool: Spool,
    pub(crate) crew: Crew,
    pub(crate) heads: Heads,
    pub(crate) introductions: Introductions,
    pub(crate) stops: Stops,
    pub(crate) meters: Meters,
    spawner: Spawner,
    alarms: report::Alarms,
    transfers: Mutex<HashMap<TransferId, CancellationToken>>,
    /// Which peers' states are being copied.
    copying: BTreeMap<Region, tokio::sync::Mutex<()>>,
}

// === impl Shell ===

impl Shell {
    pub(crate) fn new(
        region: Region,
        config: Config,
        ports: Ports,
        engine: Engine,
        spool: Spool,
        crew: Crew,
        spawner: Spawner,
    ) -> Self {
        let copying = ports.peers.iter().map(|peer| (peer.region, <_>::default()));
        Self {
            region,
            meters: Meters::of(ports.peers.iter().map(|peer| peer.region)),
            copying: copying.collect(),
            config,
            ports,
            engine,
            spool,
            crew,
            heads: Heads::new(),
            introductions: Introductions::new(),
            stops: Stops::default(),
            spawner,
            alarms: <_>::default(),
            transfers: Mutex::default(),
        }
    }

    /// Does what the engine says until it is stopped.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let (actions, wake) = self.engine.poll();
            for action in actions {
                self.carry_out(action);
            }
            let waited = stop.run_until_cancelled(self.engine.wait(wake)).await;
            if waited.is_none() {
                return;
            }
        }
    }

    fn carry_out(self: &Arc<Self>, action: Action) {
        match action {
            Action::Propose {
                stream,
                ticket,
                after,
                events,
                bodies,
            } => self.start("replication.merge", async move |shell| {
                shell.merge(stream, ticket, after, events, &bodies).await;
            }),
            Action::Refill { stream, refill } => {
                self.start("replication.refill", async move |shell| {
                    shell.refill(stream, refill).await;
                });
            }
            Action::Resync {
                stream,
                cursor,
                reason,
            } => self.start("replication.resync", async move |shell| {
                shell.resync(stream, cursor, reason).await;
            }),
            Action::Report { stream, condition } => self.alarms.tell(stream, condition),
            Action::Check { id, bodies } => {
                let wants = self.wants(&bodies);
                self.start("replication.check", async move |shell| {
                    shell.check(id, wants).await;
                });
            }
            Action::Scan { after, limit } => {
                self.start("replication.scan", async move |shell| {
                    shell.scan(after, limit).await;
                });
            }
            Action::Ask { peer, bodies } => {
                let bodies: Vec<_> = bodies.into_iter().map(|(body, _)| body).collect();
                let wants = self.wants(&bodies);
                self.start("replication.ask", async move |shell| {
                    shell.ask(peer, wants).await;
                });
            }
            Action::Transfer(order) => {
                let cancelled = CancellationToken::new();
                self.transfers().insert(order.id, cancelled.clone());
                self.start("replication.transfer", async move |shell| {
                    let id = order.id;
                    cancelled.run_until_cancelled(shell.transfer(order)).await;
                    shell.transfers().remove(&id);
                });
            }
            Action::Abort { transfer } => {
                if let Some(transfer) = self.transfers().remove(&transfer) {
                    transfer.cancel();
                }
            }
            Action::Finish {
                body,
                kind,
                size,
                landing,
            } => self.start("replication.finish", async move |shell| {
                shell.finish(body, kind, size, landing).await;
            }),
            Action::Store { body } => self.start("replication.store", async move |shell| {
                shell.store(body).await;
            }),
            Action::Discard { body, want } => self.spool.forget(&body, want, Fate::Lost),
            Action::Present { body, want } => self.spool.forget(&body, want, Fate::Stored),
            Action::Absent { body, is_certain } => {
                if let Some(slot) = self.spool.get(&body) {
                    slot.miss(is_certain);
                }
            }
            Action::Corrupt { peer, body } => {
                tracing::error!(%peer, %body, "a region sent something that is not what its digest says");
            }
        }
    }

    fn start<F>(self: &Arc<Self>, name: &'static str, work: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawner.spawn_child(name, work(Arc::clone(self)));
    }

    /// What is wanted of these. What is not wanted any more needs no answer.
    fn wants(&self, bodies: &[Body]) -> Vec<Want> {
        self.engine
            .look(|agent, _| bodies.iter().filter_map(|it| agent.wanted(it)).collect())
    }

    pub(crate) fn peer(&self, region: Region) -> Option<&Arc<dyn PeerApi>> {
        let peer = self.ports.peers.iter().find(|it| it.region == region);
        peer.map(|peer| &peer.api)
    }

    /// Waits for an answer, but not for ever.
    pub(crate) async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        in_time(self.config.call_deadline, answer).await
    }

    fn transfers(&self) -> std::sync::MutexGuard<'_, HashMap<TransferId, CancellationToken>> {
        self.transfers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an answer, so long.
pub(crate) async fn in_time<T>(deadline: Duration, answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(deadline, answer).await.ok()
}

/// What is wanted, in the words of the contract.
pub(crate) fn content(want: &Want) -> Content {
    Content {
        registry: want.body.registry,
        repository: want.repository.clone(),
        kind: match want.kind {
            Kind::Manifest => ContentKind::Manifest,
            Kind::Blob => ContentKind::Blob,
        },
        leaf: Leaf {
            digest: want.body.digest,
            size: want.size,
        },
    }
}
