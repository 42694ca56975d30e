//! Whom a server tells of pushes.
//!
//! Owns how a product learns of its receivers: ours by `meridian webhook create`, as its users do it; distribution by
//! its configuration, before it starts. Where receivers listen is fixed when a server is laid out; whether any does is
//! for a case to say.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use super::ServerError;
use crate::receiver::Doors;

/// How long a receiver may take. A backlog is made by receivers that do not answer until all was pushed.
pub(super) const PATIENCE: &str = "5m";
const POLL: Duration = Duration::from_millis(100);

/// The receivers of a server. Clones share the sockets.
#[derive(Debug, Clone)]
pub(crate) struct Hooks {
    pub(crate) doors: Arc<Doors>,
    /// Who is asked to tell them; nobody where the configuration says it.
    pub(super) teller: Option<Teller>,
    /// What keeps the messages that were not delivered, and what delivers them, if those are processes of their own.
    pub(crate) members: Vec<u32>,
    pub(crate) dispatcher: Vec<u32>,
}

/// A dispatcher of ours.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    pub(super) program: PathBuf,
    pub(super) data: PathBuf,
}

// === impl Hooks ===

impl Hooks {
    pub(super) fn new(count: u32, teller: Option<Teller>) -> io::Result<Self> {
        Ok(Self {
            doors: Arc::new(Doors::open(count)?),
            teller,
            members: Vec::new(),
            dispatcher: Vec::new(),
        })
    }

    /// Has the server know its receivers. The caller has a deadline.
    pub(crate) async fn create(&self) -> Result<(), ServerError> {
        let Some(teller) = &self.teller else {
            return Ok(());
        };
        let uris = self.doors.uris().map_err(super::prepare(&teller.data))?;
        for (endpoint, uri) in (0..).zip(&uris) {
            // A dispatcher answers a moment after it was started.
            while !teller.create(endpoint, uri).await? {
                sleep(POLL).await;
            }
        }
        Ok(())
    }
}

// === impl Teller ===

impl Teller {
    async fn create(&self, endpoint: u32, uri: &str) -> Result<bool, ServerError> {
        let mut command = Command::new(&self.program);
        command
            .args(["webhook", "create", &format!("bench{endpoint}")])
            .args(["--uri", uri, "--actions", "push", "--data-dir"])
            .arg(&self.data)
            .kill_on_drop(true);
        let output = command.output().await;
        let output = output.map_err(|source| ServerError::Spawn {
            program: self.program.clone(),
            source,
        })?;
        Ok(output.status.success())
    }
}
