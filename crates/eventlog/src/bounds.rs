//! Which offsets of a shard can be read, and the wait for more.

use std::time::Duration;

use tokio::sync::watch;

use crate::ReadError;

/// The offsets that a shard holds: from `low` up to, and without, `high`. Neither ever falls while
/// a log is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest offset that retention has left.
    pub low: u64,
    /// The offset that the next record will get.
    pub high: u64,
}

// === impl Bounds ===

impl Bounds {
    /// Whether a read may start at `from`; the next offset may be asked for.
    pub(crate) const fn check(self, from: u64) -> Result<(), ReadError> {
        let Self { low, high } = self;
        if low <= from && from <= high {
            Ok(())
        } else {
            Err(ReadError::OutOfRange { low, high })
        }
    }
}

/// The bounds of a shard once they hold a record at `from`; `None` when `wait` passes first.
/// Cancelling loses nothing.
pub(crate) async fn reached(
    bounds: &watch::Sender<Bounds>,
    from: u64,
    wait: Duration,
) -> Result<Option<Bounds>, ReadError> {
    let now = *bounds.borrow();
    now.check(from)?;
    if from < now.high {
        return Ok(Some(now));
    }
    if wait.is_zero() {
        return Ok(None);
    }
    let mut watcher = bounds.subscribe();
    let reached = watcher.wait_for(|bounds| from < bounds.high);
    match tokio::time::timeout(wait, reached).await {
        Ok(Ok(bounds)) => {
            bounds.check(from)?;
            Ok(Some(*bounds))
        }
        // The sender is borrowed, so it cannot have gone away.
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}
