//! The handle with which running parts start further tasks.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::TaskResult;
use super::roster::{Role, Roster, Stage};

/// What a task is called in logs.
pub type TaskName = Cow<'static, str>;

/// Starts named, supervised tasks at run time. Cheap to clone.
///
/// It does not bound how many: whoever starts tasks on behalf of somebody else holds a permit for
/// each, as the accept loop does for connections.
#[derive(Debug, Clone)]
pub struct Spawner {
    roster: Arc<Roster>,
}

// === impl Spawner ===

impl Spawner {
    pub(super) const fn new(roster: Arc<Roster>) -> Self {
        Self { roster }
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Cancelled when services are to stop accepting and to drain.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.roster.stop(Stage::Serving).clone()
    }

    /// Cancelled when a stop is asked for, while services still accept.
    #[must_use]
    pub fn leaving_token(&self) -> CancellationToken {
        self.roster.stop(Stage::Leaving).clone()
    }

    /// Cancelled when every service has ended.
    #[must_use]
    pub fn background_token(&self) -> CancellationToken {
        self.roster.stop(Stage::Background).clone()
    }

    /// Starts a service; see [`Supervisor::spawn`](super::Supervisor::spawn).
    pub fn spawn<F>(&self, name: impl Into<TaskName>, task: F) -> AbortHandle
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.roster
            .spawn(Stage::Serving, Role::Service, name.into(), task)
    }

    /// Starts what ends before services do; see [`Supervisor::spawn_leaving`](super::Supervisor::spawn_leaving).
    pub fn spawn_leaving<F>(&self, name: impl Into<TaskName>, task: F) -> AbortHandle
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.roster
            .spawn(Stage::Leaving, Role::Service, name.into(), task)
    }

    /// Starts what services stand on; see
    /// [`Supervisor::spawn_background`](super::Supervisor::spawn_background).
    pub fn spawn_background<F>(&self, name: impl Into<TaskName>, task: F) -> AbortHandle
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.roster
            .spawn(Stage::Background, Role::Service, name.into(), task)
    }

    /// Starts one of many that come and go: a connection, a transfer. Its end is nobody's end; a
    /// shutdown waits for it as for a service.
    pub fn spawn_child<F>(&self, name: impl Into<TaskName>, task: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = async move {
            task.await;
            Ok(())
        };
        self.roster
            .spawn(Stage::Serving, Role::Child, name.into(), task)
    }
}
