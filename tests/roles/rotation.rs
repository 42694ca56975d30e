//! Certificates and their authorities are replaced under load, and no call fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use harness::{Authority, Client, Content, IdentityFiles, eventually, seed};
use tokio::task::JoinSet;

use crate::mutual::{MutualRegion, SERVICES, name};
use crate::region::SOON;
use crate::registry::{pull, push};

/// Requests that go on until they are told to stop. Each of them has to succeed.
struct Load {
    rounds: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

// === impl Load ===

impl Load {
    fn start(client: &Client) -> Self {
        let mut load = Self {
            rounds: Arc::default(),
            over: Arc::default(),
            clients: JoinSet::new(),
        };
        for number in 0..4 {
            let (rounds, over) = (Arc::clone(&load.rounds), Arc::clone(&load.over));
            load.clients
                .spawn(push_and_pull(client.clone(), number, rounds, over));
        }
        load
    }

    /// Waits until connections that were made before now are in use no longer.
    async fn goes_on(&self) {
        let begun = self.rounds.load(Ordering::Relaxed);
        let end = tokio::time::Instant::now() + 2 * AGE;
        eventually("requests are answered", SOON, || async {
            let rounds = self.rounds.load(Ordering::Relaxed);
            (rounds > begun + 4 && tokio::time::Instant::now() > end).then_some(())
        })
        .await;
    }

    async fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        self.rounds.load(Ordering::Relaxed)
    }
}

/// How long a connection between services is used.
const AGE: std::time::Duration = std::time::Duration::from_secs(1);

async fn push_and_pull(client: Client, number: u64, rounds: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    let mut content = Content::new(seed(120 + number));
    let repository = format!("team/app-{number}");
    while !over.load(Ordering::Relaxed) {
        let image = content.image(&[100, 30_000]);
        push(&client, &repository, "latest", &image).await;
        pull(&client, &repository, "latest", &image).await;
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

/// What happens to the files of a role.
type Change<'a> = dyn Fn(&str, IdentityFiles<'_>) + 'a;

/// Changes the files of each process, and waits until it uses them.
fn rotate(region: &MutualRegion, change: &Change<'_>) {
    for role in SERVICES {
        change(role, IdentityFiles(&region.home(role)));
        region.process(role).log_line("identity renewed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_authorities_are_replaced_and_no_call_fails() {
    let region =
        MutualRegion::start_with(|process| process.env("MERIDIAN_IDENTITY__CONNECTION_AGE", "1s"));
    let load = Load::start(&region.client());
    let (old, new) = (&region.authority, Authority::default());
    let steps: [&Change<'_>; 4] = [
        &|role, files| files.certify(&old.issue(&[&name(role)])),
        &|_, files| files.trust(&[old, &new]),
        &|role, files| files.certify(&new.issue(&[&name(role)])),
        &|_, files| files.trust(&[&new]),
    ];
    for step in steps {
        load.goes_on().await;
        tokio::task::block_in_place(|| rotate(&region, step));
    }
    load.goes_on().await;
    let rounds = load.end().await;
    assert!(rounds > 20, "{rounds} images only");

    // What the last authority did not issue is worth nothing any more.
    let leaf = old.issue(&[&name("frontend")]);
    let channel = crate::intruder::intrude(&region.metadata, Some(&leaf));
    let health = tonic_health::pb::health_client::HealthClient::new(channel)
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await;
    assert!(health.is_err());
}
