//! Whether this process can do its work.
//!
//! Owns the named conditions of readiness. Keeps the invariant that a process is ready only
//! while it runs, is not stopping, and every condition holds. Leaves to the services when a
//! condition holds, and to the frontend how `/livez` and `/readyz` show it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// The readiness of a process: a set of named conditions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    state: Arc<watch::Sender<Report>>,
}

/// One named condition, held by the service that knows whether it is met. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Condition {
    name: Cow<'static, str>,
    state: Arc<watch::Sender<Report>>,
}

/// A reading of all conditions. Displays as `/readyz?verbose` shows it: one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    phase: Phase,
    conditions: BTreeMap<Cow<'static, str>, Result<(), Cow<'static, str>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Stopping,
}

// === impl Readiness ===

impl Default for Readiness {
    fn default() -> Self {
        let report = Report {
            phase: Phase::Starting,
            conditions: BTreeMap::new(),
        };
        Self {
            state: Arc::new(watch::Sender::new(report)),
        }
    }
}

impl Readiness {
    /// Adds a condition, not met yet. Add conditions in `start`, before the supervisor runs:
    /// what is not known to be needed cannot be waited for.
    pub fn condition(&self, name: impl Into<Cow<'static, str>>) -> Condition {
        let condition = Condition {
            name: name.into(),
            state: Arc::clone(&self.state),
        };
        condition.unset("starting");
        condition
    }

    /// Whether requests should be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.borrow().is_ready()
    }

    /// All conditions, as they are now.
    #[must_use]
    pub fn report(&self) -> Report {
        self.state.borrow().clone()
    }

    /// Waits until this process is ready.
    pub async fn ready(&self) {
        self.wait(Report::is_ready).await;
    }

    /// Waits until this process is not ready.
    pub async fn unready(&self) {
        self.wait(|report| !report.is_ready()).await;
    }

    pub(crate) fn open(&self) {
        self.enter(Phase::Running);
    }

    pub(crate) fn close(&self) {
        self.enter(Phase::Stopping);
    }

    fn enter(&self, phase: Phase) {
        self.state.send_modify(|report| report.phase = phase);
    }

    async fn wait(&self, holds: impl FnMut(&Report) -> bool) {
        let mut state = self.state.subscribe();
        let _held = state.wait_for(holds).await;
    }
}

// === impl Condition ===

impl Condition {
    /// The condition holds.
    pub fn set(&self) {
        self.change(Ok(()));
    }

    /// The condition does not hold, and this is why, in words for an operator.
    pub fn unset(&self, why: impl Into<Cow<'static, str>>) {
        self.change(Err(why.into()));
    }

    fn change(&self, to: Result<(), Cow<'static, str>>) {
        self.state.send_if_modified(|report| {
            let changed = report.conditions.get(&self.name) != Some(&to);
            report.conditions.insert(self.name.clone(), to);
            changed
        });
    }
}

// === impl Report ===

impl Report {
    /// Whether every condition holds in a process that runs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Running && self.conditions.values().all(Result::is_ok)
    }

    /// The conditions by name, each with why it does not hold if it does not.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, Result<(), &str>)> {
        self.conditions.iter().map(|(name, state)| match state {
            Ok(()) => (&**name, Ok(())),
            Err(why) => (&**name, Err(&**why)),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Phase::Starting => writeln!(f, "[-] process: starting")?,
            Phase::Running => writeln!(f, "[+] process")?,
            Phase::Stopping => writeln!(f, "[-] process: stopping")?,
        }
        for (name, state) in self.conditions() {
            match state {
                Ok(()) => writeln!(f, "[+] {name}")?,
                Err(why) => writeln!(f, "[-] {name}: {why}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_while_it_runs_and_every_condition_holds() {
        let readiness = Readiness::default();
        let leader = readiness.condition("a leader is known");
        let disk = readiness.condition("disk");
        leader.set();
        disk.set();
        assert!(!readiness.is_ready(), "it does not run yet");
        readiness.open();
        assert!(readiness.is_ready());
        disk.unset("full");
        assert!(!readiness.is_ready());
        assert_eq!(
            readiness.report().to_string(),
            "[+] process\n[+] a leader is known\n[-] disk: full\n"
        );
        disk.set();
        readiness.close();
        assert!(!readiness.is_ready());
    }

    #[tokio::test]
    async fn readiness_can_be_waited_for() {
        let readiness = Readiness::default();
        readiness.open();
        let condition = readiness.condition("disk");
        let set = async { condition.set() };
        tokio::join!(readiness.ready(), set);
        assert!(readiness.is_ready());
    }
}
