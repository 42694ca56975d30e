//! Finishing what one entry may not: the tags of a deleted manifest that had very many. Looks at the
//! disk besides, so that its owner hears of room that is back though nobody pushes.

use std::time::Duration;

use meridian_catalog::{Command, query};
use tokio_util::sync::CancellationToken;

use crate::group::Group;

/// How often it is looked for work that an earlier process left behind, or that failed.
const INTERVAL: Duration = Duration::from_secs(2);

/// Sweeps until it is stopped.
pub(crate) async fn run(group: &Group, stop: CancellationToken) {
    loop {
        group.door().look(0);
        if matches!(query::has_sweeps(&group.view()), Ok(true)) {
            match group.propose(None, Command::Sweep).await {
                Ok(_) if !stop.is_cancelled() => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a sweep waits"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
