//! Set-up work that consists of many alike calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::JoinSet;

use super::{Registry, Session};
use crate::client::CallError;

/// One of many alike pieces of set-up.
pub(crate) trait Chore: Clone + Send + 'static {
    /// Does the piece with this number.
    fn act(
        &self,
        session: &mut Session,
        number: u32,
    ) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// Does the pieces `0..count` over several connections, in any order. The first failure ends it.
pub(crate) async fn spread(
    registry: &Registry,
    connections: u32,
    count: u32,
    chore: impl Chore,
) -> Result<(), CallError> {
    let next = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..connections.min(count) {
        let (registry, chore, next) = (registry.clone(), chore.clone(), Arc::clone(&next));
        workers.spawn(async move {
            let mut session = Session::open(&registry).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<(), CallError>(());
                }
                chore.act(&mut session, number).await?;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.expect("a worker is neither aborted nor does it panic")?;
    }
    Ok(())
}
