//! A state to read from.
//!
//! Owns how fresh it is: linearizable, or, of what is named by its content and while no quorum answers, that
//! of this member, which says so. Leaves the round to the leader to `barrier`, and what is read to `read`.

use std::time::Duration;

use meridian_clients::{ReadError, Stale};
use openraft::ReadPolicy;
use tokio::time::{Instant, timeout, timeout_at};

use super::barrier::{self, Unconfirmed};
use super::{Group, unavailable};
use crate::changes::View;

/// How long a read of what is named by its content waits for a quorum (design §6.8), and how long
/// while the last that was heard is that nobody answers.
const CONTENT_BUDGET: Duration = Duration::from_millis(500);
const GLANCE: Duration = Duration::from_millis(50);

impl Group {
    /// The state, with every write that was acknowledged before the call.
    pub(crate) async fn read(&self) -> Result<View, ReadError> {
        fail::fail_point!("meta.read.skip_index", |_| Ok(self.view()));
        self.read_whole().await
    }

    /// The same, to compare with something outside of the group, which tests of stale reads leave alone.
    pub(crate) async fn read_whole(&self) -> Result<View, ReadError> {
        if !(self.alone && self.is_leader()) {
            let deadline = Instant::now() + self.deadline;
            let index = self.barrier.index(deadline).await?;
            self.applied(index, deadline).await?;
        }
        Ok(self.view())
    }

    /// The same, if a quorum says that this member leads, however reads are configured: what only a leader
    /// does is not begun by one that was.
    pub(crate) async fn read_as_leader(&self) -> Result<View, ReadError> {
        let deadline = Instant::now() + self.deadline;
        let index = timeout_at(deadline, self.confirmed(ReadPolicy::ReadIndex)).await;
        let index = index.unwrap_or(Err(ReadError::DeadlineExceeded))?;
        self.applied(index, deadline).await?;
        Ok(self.view())
    }

    /// The state to look into for what is named by its content. Without a quorum it is the one that
    /// this member has: content does not change, and only whether it is still there is unknown.
    pub(crate) async fn read_content(&self) -> Result<(View, Option<Stale>), ReadError> {
        if self.alone && self.is_leader() {
            return Ok((self.view(), None));
        }
        let budget = match self.barrier.is_dark() {
            true => GLANCE,
            false => CONTENT_BUDGET.min(self.deadline),
        };
        // The round goes on without us, and finds out when a quorum answers again.
        let deadline = Instant::now() + self.deadline;
        let fresh = async {
            let index = self.barrier.index(deadline).await?;
            self.applied(index, deadline).await
        };
        match timeout(budget, fresh).await {
            Ok(Ok(())) => Ok((self.view(), None)),
            _ => {
                let (region, age) = (self.claim().region(), self.barrier.age());
                Ok((self.view(), Some(Stale { region, age })))
            }
        }
    }

    /// Fails while the leader is known and does not answer this member.
    pub(crate) fn hears_leader(&self) -> Result<(), ReadError> {
        self.barrier.is_heard()
    }

    /// Finds out whether it does.
    pub(crate) async fn listen(&self) {
        self.barrier.listen().await;
    }

    /// Returns when the entry at `index` is applied here.
    async fn applied(&self, index: u64, deadline: Instant) -> Result<(), ReadError> {
        let mut progress = self.state.progress();
        match timeout_at(deadline, progress.wait_for(|applied| *applied >= index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_closed)) => Err(unavailable("it is shutting down")),
            Err(_elapsed) => Err(unavailable("this member lags behind")),
        }
    }

    /// Up to which entry readers have to wait, if this member leads.
    pub(crate) async fn read_index(&self) -> Result<u64, ReadError> {
        self.confirmed(self.policy.clone()).await
    }

    async fn confirmed(&self, policy: ReadPolicy) -> Result<u64, ReadError> {
        match barrier::confirm(&self.raft, policy).await {
            Ok(read) => Ok(read.index),
            Err(Unconfirmed::Elsewhere(_)) => Err(unavailable("another member leads by now")),
            Err(Unconfirmed::Failed(why)) => Err(unavailable(why)),
        }
    }
}
