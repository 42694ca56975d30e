//! The dispatchers of this region, and which shards are this one's.
//!
//! Correctness rests on nothing here: a shard that two work on has the progress of whoever took it over last, and
//! what both tell has the same ids. Owns, too, that what somebody asked to be told again is found, whoever was
//! asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meridian_clients::replica::AgentId;
use meridian_delivery::Dispatcher;
use meridian_replication::{Roll, Share};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::consume;
use crate::shell::Shell;
use crate::trouble::Trouble;

/// How often a dispatcher says that it lives.
const EVERY: Duration = Duration::from_millis(500);
/// How often the metadata are asked for what somebody else asked to be told again.
const LOOK: Duration = Duration::from_secs(15);
/// How often it is looked whether webhooks changed, though nothing happened.
const REFRESH: Duration = Duration::from_secs(5);

/// Works on what is this dispatcher's until it is stopped.
pub(crate) async fn run(shell: Arc<Shell>, me: AgentId, stop: CancellationToken) {
    let mut shards: BTreeMap<u16, CancellationToken> = BTreeMap::new();
    let mut roll = Roll::new(me.0);
    // Beside it, so that nobody is taken for gone because the metadata are slow.
    shell.start("webhooks.look", {
        let stop = stop.clone();
        async move |shell| {
            let _stopped = stop.run_until_cancelled(look_on(&shell)).await;
        }
    });
    let attending = async {
        loop {
            match shell.api().attend(me).await {
                Ok(attendance) => {
                    let living = attendance.agents.iter().map(|agent| agent.0);
                    if let Some(own) = roll.learn(living, attendance.is_settled) {
                        share(&shell, &own, &mut shards, &stop);
                    }
                }
                Err(error) => {
                    Trouble::new("the metadata do not say which dispatchers work").tell(&error);
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    stop.run_until_cancelled(attending).await;
}

/// Looks for what nobody tells.
async fn look_on(shell: &Shell) {
    let mut looked = Instant::now();
    loop {
        tokio::time::sleep(REFRESH).await;
        if let Err(error) = shell.refresh().await {
            Trouble::new("webhooks are not looked at yet").tell(&error);
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            for shard in shell.engine.look(Dispatcher::shards) {
                shell.look_again(shard).await;
            }
        }
    }
}

fn share(
    shell: &Arc<Shell>,
    own: &Share,
    shards: &mut BTreeMap<u16, CancellationToken>,
    stop: &CancellationToken,
) {
    for (_, stop) in shards.extract_if(.., |shard, _| !own.has(*shard)) {
        stop.cancel();
    }
    for shard in own.shards.iter().copied() {
        shards.entry(shard).or_insert_with(|| {
            let given = stop.child_token();
            let (consumer, end) = (given.clone(), stop.clone());
            shell.start("webhooks.consume", async move |shell| {
                consume::run(shell, shard, consumer, end).await;
            });
            given
        });
    }
    let (dispatchers, shards) = (own.workers, shards.len());
    tracing::info!(
        dispatchers,
        shards,
        "this dispatcher works with those of its region"
    );
}

// === impl Shell ===

impl Shell {
    /// Has the engine know what of a shard is due, whoever said that it is.
    async fn look_again(&self, shard: u16) {
        match self.api().standing(shard).await {
            Ok(Some(standing)) => self.engine.tell(|engine, _| {
                for (webhook, due) in &standing.due {
                    engine.pending(*webhook, shard, *due);
                }
            }),
            Ok(None) => {}
            Err(error) => {
                let trouble = Trouble::new("it is not known what of a shard is due");
                trouble.of_shard(shard).tell(&error);
            }
        }
    }
}
