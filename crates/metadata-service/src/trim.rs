//! Letting go of log that takes too much of the disk.
//!
//! openraft counts entries, and keeps so many for members that lag. But an entry may carry a
//! manifest of megabytes, so there is a second bound, in bytes; and on a disk that is full no log is
//! kept that a snapshot has. Leaves to openraft that nothing goes which is in no snapshot, or which a
//! member is being sent.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::group::Group;

/// Log of so many bytes is left alone, however full the disk is.
const LITTLE: u64 = 1 << 20;
/// How long to wait before the next attempt, if this one was not enough.
const PAUSE: Duration = Duration::from_secs(1);

/// Trims until it is stopped.
pub(crate) async fn run(group: &Group, stop: CancellationToken) {
    let mut is_large = group.log().is_large();
    let mut is_low = group.door().turns();
    loop {
        let due = async {
            tokio::select! {
                large = is_large.wait_for(|large| *large) => large.is_ok(),
                low = is_low.wait_for(|low| *low) => low.is_ok(),
            }
        };
        if stop.run_until_cancelled(due).await != Some(true) {
            return;
        }
        let is_full = *is_low.borrow();
        let kept = if is_full {
            LITTLE
        } else {
            group.log().max_bytes() / 2
        };
        let trimmed = group.trim_log(kept).await;
        if let Err(error) = &trimmed {
            tracing::warn!(%error, "the log stays longer than it should");
        }
        if is_full || trimmed.is_err() || *is_large.borrow() {
            let pause = tokio::time::sleep(PAUSE);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }
}
