//! Looking at files again and again, which is how a renewal is noticed wherever the files are.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Between two looks.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that is renewed on disk.
pub(crate) trait Watched: Send + 'static {
    /// Looks once. May wait for the disk.
    fn look(&mut self);
}

/// Looks at `watched` until `stop` is cancelled.
pub(crate) async fn watch<W: Watched>(mut watched: W, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every.clamp(SHORTEST, LONGEST));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let looked = tokio::task::spawn_blocking(move || {
            watched.look();
            watched
        });
        match looked.await {
            Ok(looked) => watched = looked,
            Err(_runtime_ends) => return,
        }
    }
}
