//! The list of who runs.
//!
//! Owns the record of every live task: its name, its stage and the handle that aborts it. Keeps
//! the invariant that an entry lives exactly as long as its task, whether that returns, panics or
//! is aborted, because a guard inside the task removes it. Leaves the order of a shutdown to
//! [`Supervisor`](super::Supervisor).

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::TaskResult;
use super::spawner::TaskName;

/// A supervised task that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum TaskFailed {
    /// The task returned an error.
    #[error("task {name} failed")]
    Failed {
        /// The name it was spawned under.
        name: TaskName,
        /// What it returned.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The task ended before anybody asked it to.
    #[error("task {name} ended early")]
    EndedEarly {
        /// The name it was spawned under.
        name: TaskName,
    },
    /// The task panicked. Production never sees this: [`panic_hook`](crate::panic_hook) aborts.
    #[error("task {name} panicked")]
    Panicked {
        /// The name it was spawned under.
        name: TaskName,
    },
    /// Tasks outlived the grace period and were aborted.
    #[error("tasks did not stop in time: {0}")]
    Lingering(String),
}

/// When in a shutdown a task is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Leaving,
    Serving,
    Background,
}

/// What the end of a task means to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The process cannot do without it.
    Service,
    /// One of many that come and go.
    Child,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    leaving: Crew,
    serving: Crew,
    background: Crew,
    next: AtomicU64,
    live: Mutex<HashMap<u64, Entry>>,
    first_failure: Mutex<Option<TaskFailed>>,
}

#[derive(Debug, Default)]
struct Crew {
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    name: TaskName,
    stage: Stage,
    role: Role,
    abort: Option<AbortHandle>,
}

/// Lives inside a task and reports its end.
struct Presence {
    roster: Arc<Roster>,
    id: u64,
    role: Role,
    result: Option<TaskResult>,
}

// === impl Roster ===

impl Roster {
    pub(super) fn stop(&self, stage: Stage) -> &CancellationToken {
        &self.crew(stage).stop
    }

    pub(super) fn spawn<F>(
        self: &Arc<Self>,
        stage: Stage,
        role: Role,
        name: TaskName,
        task: F,
    ) -> AbortHandle
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let abort = None;
        lock(&self.live).insert(
            id,
            Entry {
                name,
                stage,
                role,
                abort,
            },
        );
        let presence = Presence {
            roster: Arc::clone(self),
            id,
            role,
            result: None,
        };
        let handle = self.crew(stage).tasks.spawn(presence.attend(task));
        let abort = handle.abort_handle();
        if let Some(entry) = lock(&self.live).get_mut(&id) {
            entry.abort = Some(abort.clone());
        }
        abort
    }

    /// Asks a stage to end and waits for it until `deadline`. Who is still there is aborted and
    /// named in the log. Services among them are returned: those do what they are told, while a
    /// connection may be held open by anybody, which is no failure of this process.
    pub(super) async fn end(&self, stage: Stage, deadline: Instant) -> Vec<String> {
        let crew = self.crew(stage);
        crew.stop.cancel();
        crew.tasks.close();
        if tokio::time::timeout_at(deadline, crew.tasks.wait())
            .await
            .is_ok()
        {
            return Vec::new();
        }
        for name in self.abort(stage, Role::Child) {
            tracing::warn!(
                task = name,
                "still running after the grace period; cut short"
            );
        }
        let names = self.abort(stage, Role::Service);
        for name in &names {
            tracing::error!(task = name, "still running after the grace period; aborted");
        }
        names
    }

    pub(super) fn take_failure(&self) -> Option<TaskFailed> {
        lock(&self.first_failure).take()
    }

    const fn crew(&self, stage: Stage) -> &Crew {
        match stage {
            Stage::Leaving => &self.leaving,
            Stage::Serving => &self.serving,
            Stage::Background => &self.background,
        }
    }

    fn abort(&self, stage: Stage, role: Role) -> Vec<String> {
        let mut counts = BTreeMap::<String, usize>::new();
        for entry in lock(&self.live).values() {
            if entry.stage == stage && entry.role == role {
                *counts.entry(entry.name.to_string()).or_default() += 1;
                if let Some(abort) = &entry.abort {
                    abort.abort();
                }
            }
        }
        let numbered = |(name, count)| match count {
            1 => name,
            _ => format!("{name} (×{count})"),
        };
        counts.into_iter().map(numbered).collect()
    }

    fn left(&self, id: u64, role: Role, result: Option<TaskResult>) {
        let Some(Entry { name, stage, .. }) = lock(&self.live).remove(&id) else {
            return;
        };
        let asked = self.crew(stage).stop.is_cancelled();
        let failure = match (result, role) {
            _ if std::thread::panicking() => TaskFailed::Panicked { name },
            (Some(Err(source)), _) => TaskFailed::Failed { name, source },
            (Some(Ok(())) | None, Role::Service) if !asked => TaskFailed::EndedEarly { name },
            _ => return,
        };
        self.record(failure);
    }

    fn record(&self, failure: TaskFailed) {
        tracing::error!(
            error = meridian_error::chain(&failure),
            "a task ended; stopping the process"
        );
        lock(&self.first_failure).get_or_insert(failure);
        self.serving.stop.cancel();
    }
}

// === impl Presence ===

impl Presence {
    async fn attend(mut self, task: impl Future<Output = TaskResult>) {
        self.result = Some(task.await);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.roster.left(self.id, self.role, self.result.take());
    }
}

/// No holder of these locks can leave what they guard half-changed, so poison means nothing here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
