//! Clients that push manifests to many repositories.
//!
//! Keeps the invariant that the numbers of a repository's manifests grow in the order of their commits: each
//! repository has one client, which waits for each answer.

use std::ops::Range;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::client::CallError;
use crate::registry::{Registry, Session};
use crate::workload::stock::{Shelf, Stock, small_manifest};

const CLIENTS: u64 = 64;
/// A multiple of the clients.
const REPOSITORIES: u32 = 256;

/// Clients with their connections.
pub(super) struct Pushers {
    shelves: Arc<[Shelf]>,
    clients: Vec<(u64, Session)>,
    next: u64,
}

// === impl Pushers ===

impl Pushers {
    /// Fills the repositories with what all manifests name.
    pub(super) async fn open(registry: &Registry) -> Result<Self, CallError> {
        let stock = Stock::new(registry, "hooks", REPOSITORIES);
        let shelves = stock.shelves().await?.into();
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            clients.push((number, Session::open(registry).await?));
        }
        Ok(Self {
            shelves,
            clients,
            next: 0,
        })
    }

    /// Pushes so many manifests, and returns their numbers. The clients are lost if one of them fails.
    pub(super) async fn push(&mut self, count: u64) -> Result<Range<u64>, CallError> {
        let numbers = self.next..self.next + count;
        let mut tasks = JoinSet::new();
        for (client, mut session) in self.clients.drain(..) {
            let (shelves, numbers) = (Arc::clone(&self.shelves), numbers.clone());
            tasks.spawn(async move {
                for number in numbers.filter(|number| number % CLIENTS == client) {
                    put(&mut session, &shelves, number).await?;
                }
                Ok::<_, CallError>((client, session))
            });
        }
        while let Some(task) = tasks.join_next().await {
            let client = task.expect("a client is neither aborted nor does it panic")?;
            self.clients.push(client);
        }
        self.next = numbers.end;
        Ok(numbers)
    }

    /// Pushes one manifest, and returns its number.
    pub(super) async fn push_one(&mut self) -> Result<u64, CallError> {
        let number = self.next;
        let (_, session) = self.clients.first_mut().ok_or(CallError::Nowhere)?;
        put(session, &self.shelves, number).await?;
        self.next += 1;
        Ok(number)
    }
}

async fn put(session: &mut Session, shelves: &[Shelf], number: u64) -> Result<(), CallError> {
    let shelf = usize::try_from(number % u64::from(REPOSITORIES)).unwrap_or_default();
    let repository = &shelves[shelf].repository;
    let manifest = small_manifest(number);
    session
        .put_manifest(repository, &format!("e{number}"), &manifest)
        .await
}
