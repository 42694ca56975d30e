//! Telling the state what is published, so that it may let go of it.

use std::time::Duration;

use meridian_catalog::{Command, Reply, query};
use meridian_event::SHARDS;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{FIRST_PAUSE, PublishError, state};
use crate::group::Group;

/// Between two acknowledgements, each of which is an entry of the metadata's log. Until the next one, what
/// is published is still in the outbox, which does no harm: a publisher that follows looks at the log.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(100);

/// Acknowledges what is published, now and then, and a last time when nothing is any more. It does not
/// hold up publishing: an acknowledgement is a write of the group, and takes as long as one.
pub(super) async fn keep_up(
    group: &Group,
    mut published: watch::Receiver<Vec<u64>>,
    stop: &CancellationToken,
) {
    let mut fails = false;
    loop {
        let goes_on = published.changed().await.is_ok();
        let next = published.borrow_and_update().clone();
        let mut pause = ACKNOWLEDGE_EVERY;
        let acknowledged = acknowledge(group, &next).await;
        if let Err(error) = &acknowledged {
            if !fails && !stop.is_cancelled() {
                let error = meridian_error::chain(error);
                tracing::warn!(
                    error,
                    "events are published, and that is not acknowledged yet: the outbox keeps them until it is"
                );
            }
            if !stop.is_cancelled() {
                published.mark_changed();
            }
            pause = FIRST_PAUSE;
        }
        fails = acknowledged.is_err();
        if !goes_on {
            return;
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

/// Trims the outbox before the next events to publish.
async fn acknowledge(group: &Group, next: &[u64]) -> Result<(), PublishError> {
    loop {
        let view = group.view();
        let streams = query::streams(&view).map_err(state)?;
        let Some(epoch) = streams.first().map(|stream| stream.epoch) else {
            return Ok(());
        };
        let through: Vec<(u16, u64)> = (0..SHARDS)
            .zip(streams)
            .map(|(shard, stream)| (shard, stream, next[usize::from(shard)] - 1))
            .filter(|(_, stream, published)| *published > stream.acknowledged)
            .map(|(shard, _, published)| (shard, published))
            .collect();
        drop(view);
        if through.is_empty() {
            return Ok(());
        }
        let command = Command::Acknowledge { epoch, through };
        let reply = group.propose_own(command).await?;
        fail::fail_point!("ob.after_cursor");
        if !matches!(reply, Reply::Collected { .. }) {
            return Ok(());
        }
    }
}
