//! Sessions that nobody uses.
//!
//! Owns the timer. A session that was not used for long enough is ended with its bytes; before
//! that, one that rests for a minute lets go of its open file. What a former life of this process
//! left behind has no session here and is found by the sweep, as is every session that several instances
//! share: none of them knows whether another one uses it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Uploads;
use super::over::Ending;
use super::session::{Progress, Session};

/// After this, a session lets go of its open file.
const REST: Duration = Duration::from_secs(60);

impl Uploads {
    /// Ends and parks sessions until `stop`.
    pub(crate) async fn expire_until(&self, stop: CancellationToken) {
        let longest = self.config.idle_expiry / 4;
        let mut timer = interval(longest.clamp(Duration::from_millis(100), REST));
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = timer.tick() => self.expire().await,
            }
        }
    }

    /// Looks at every session once.
    pub(crate) async fn expire(&self) {
        for session in self.table.all() {
            let idle = self
                .clock
                .now_millis()
                .saturating_sub(session.used_millis());
            let idle = Duration::from_millis(idle);
            let age = self
                .clock
                .now_millis()
                .saturating_sub(session.ticket.created);
            let is_old = Duration::from_millis(age) > self.config.max_lifetime;
            // Who has the session uses it.
            let Ok(mut progress) = session.try_take() else {
                continue;
            };
            if self.sharing.is_some() {
                // Left behind by a request that never had its turn.
                self.table.remove(&session);
                continue;
            }
            if is_old || idle > self.config.idle_expiry {
                self.expire_session(&session, &mut progress).await;
            } else if idle > REST
                && let Progress::Open(draft) = &mut *progress
            {
                draft.park();
            }
        }
    }

    async fn expire_session(&self, session: &Arc<Session>, progress: &mut Progress) {
        tracing::info!(
            generation = session.ticket.generation,
            size_bytes = progress.offset(),
            "an abandoned upload session expired",
        );
        self.end(session, progress, Ending::Expired).await;
    }
}
