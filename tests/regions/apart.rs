//! Two regions of processes, `eu` and `us`, without brokers: agents ask each other for events.
//!
//! `us` has one agent or several, each of which reaches `eu` over a network of its own that counts what it
//! carries. Nothing else leads from `us` to `eu`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use harness::{Client, Dev, DevBuilder, Image, eventually, replication};
use meridian_wan::Mesh;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that is waited for.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How many this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// The regions.
pub(crate) struct Apart {
    folder: TempDir,
    eu: Dev,
    us: Dev,
    agents: Vec<Agent>,
}

/// An agent of `us`.
struct Agent {
    builder: DevBuilder,
    process: Option<Dev>,
    /// Between it and `eu`.
    mesh: Mesh,
}

// === impl Apart ===

impl Apart {
    /// Starts them with so many agents in `us`, each with such settings and such a network, and waits until
    /// `eu` takes pushes.
    pub(crate) async fn start(agents: usize, wan: &str, settings: &[(&str, &str)]) -> Self {
        let number = std::process::id() * 16 + STARTED.fetch_add(1, Ordering::Relaxed);
        let (folder, net) = (tempfile::tempdir().unwrap(), number % 250);
        let doors: Vec<_> = (0..agents).map(|agent| door(net, agent)).collect();
        let (eu_door, whole) = (
            format!("127.80.{net}.1:7405"),
            ["frontend", "blob", "metadata"],
        );
        let eu = DevBuilder::run(
            &[&whole[..], &["replication"]].concat(),
            folder.path().join("eu"),
        );
        let eu = among(eu, "eu", ("us", &urls(&doors)))
            .env("MERIDIAN_METADATA__LISTEN", ANYWHERE)
            .env("MERIDIAN_BLOB__LISTEN", ANYWHERE)
            .env("MERIDIAN_REPLICATION__LISTEN", ANYWHERE)
            .env("MERIDIAN_REPLICATION__PEER_LISTEN", list(&[&eu_door]))
            .start();
        let callers: Vec<_> = (0..agents).map(|agent| caller(net, agent)).collect();
        let us = DevBuilder::run(&whole, folder.path().join("us"));
        let us = among(us, "us", ("eu", &urls(std::slice::from_ref(&eu_door))))
            .env("MERIDIAN_METADATA__LISTEN", list(&[&metadata(net)]))
            .env("MERIDIAN_BLOB__LISTEN", list(&[&blob(net)]))
            .env("MERIDIAN_SERVICES__REPLICATION", urls(&callers))
            .start();
        let agents = (0..agents).map(|agent| {
            let mut mesh = Mesh::new(["eu", "us"], wan.parse().unwrap(), 1);
            let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
            let link = mesh.link("us", "eu", anywhere, eu_door.parse().unwrap());
            let eu = link.unwrap().address().to_string();
            let builder = DevBuilder::run(&["replication"], agent_dir(&folder, agent));
            let builder = among(builder, "us", ("eu", &urls(&[eu])))
                .listen(caller(net, agent))
                .env("MERIDIAN_REPLICATION__PEER_LISTEN", list(&[&doors[agent]]))
                .env("MERIDIAN_SERVICES__METADATA", urls(&[metadata(net)]))
                .env("MERIDIAN_SERVICES__BLOB", urls(&[blob(net)]))
                // No log brings events: they are asked for, and soon.
                .env("MERIDIAN_REPLICATION__STREAM__TAIL_GRACE", "20ms");
            let set = |builder: DevBuilder, (name, value): &(&str, &str)| builder.env(name, *value);
            let builder = settings.iter().fold(builder, set);
            Agent {
                process: Some(builder.start()),
                builder,
                mesh,
            }
        });
        let regions = Self {
            agents: agents.collect(),
            folder,
            eu,
            us,
        };
        regions.meet().await;
        regions
    }

    /// Waits until the regions have met.
    async fn meet(&self) {
        for client in [self.eu(), self.us()] {
            eventually("the regions have met", SOON, || async {
                let image = Image::of(vec![format!("of {}", client.base()).into()]);
                let pushed = client.push_image("first/steps", "1", &image).await;
                (pushed.unwrap().status == 201).then_some(())
            })
            .await;
        }
    }

    /// A client of `eu`.
    pub(crate) fn eu(&self) -> Client {
        self.eu.client()
    }

    /// A client of `us`.
    pub(crate) fn us(&self) -> Client {
        self.us.client()
    }

    /// An agent of `us` that runs.
    pub(crate) fn agent(&self, agent: usize) -> &Dev {
        self.agents[agent].process.as_ref().unwrap()
    }

    /// Kills an agent of `us`.
    pub(crate) fn kill(&mut self, agent: usize) {
        self.agents[agent].process.take().unwrap().kill();
    }

    /// Starts one again that was killed.
    pub(crate) fn start_again(&mut self, agent: usize) {
        let agent = &mut self.agents[agent];
        agent.process = Some(agent.builder.start());
    }

    /// What an agent of `us` says of replication, if it says something.
    pub(crate) fn status(&self, agent: usize) -> Option<Value> {
        let output = replication(&agent_dir(&self.folder, agent), &["status", "--json"]);
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Whether all that happened in `eu` is merged and complete in `us`, as an agent sees it.
    pub(crate) fn is_even(&self, agent: usize) -> Option<()> {
        let status = self.status(agent)?;
        let shards = status["peers"][0]["shards"].as_array()?;
        let is_merged = shards.iter().all(|shard| {
            let is_empty = shard["head"]
                .as_str()
                .is_some_and(|head| head.ends_with(".0"));
            shard["cursor"] == shard["head"] || is_empty
        });
        let is_whole = shards.len() == 16 && status["incomplete_images"] == 0;
        (is_merged && is_whole).then_some(())
    }

    /// How many bytes have come from `eu` to an agent.
    pub(crate) fn carried(&self, agent: usize) -> u64 {
        let lane = self.agents[agent].mesh.lane("eu", "us").unwrap();
        lane.traffic().delivered
    }

    /// Nothing comes from `eu` any more.
    pub(crate) fn cut(&self) {
        for Agent { mesh, .. } in &self.agents {
            mesh.part("eu", "us").unwrap();
        }
    }
}

const ANYWHERE: &str = r#"["127.0.0.1:0"]"#;

/// A process of a region that knows the other one.
fn among(builder: DevBuilder, name: &str, other: (&str, &str)) -> DevBuilder {
    let endpoints = format!("MERIDIAN_REGIONS__{}__ENDPOINTS", other.0.to_uppercase());
    builder
        .env("MERIDIAN_REGION", name)
        .env("MERIDIAN_FRONTEND__LISTEN", ANYWHERE)
        .env(&endpoints, other.1)
}

fn agent_dir(folder: &TempDir, agent: usize) -> PathBuf {
    folder.path().join(format!("us-agent-{agent}"))
}

/// Where an agent of `us` takes the calls of `eu`.
fn door(net: u32, agent: usize) -> String {
    format!("127.80.{net}.{}:7405", 10 + agent)
}

/// Where it takes those of the frontend.
fn caller(net: u32, agent: usize) -> String {
    format!("127.80.{net}.{}:7404", 10 + agent)
}

fn metadata(net: u32) -> String {
    format!("127.80.{net}.2:7401")
}

fn blob(net: u32) -> String {
    format!("127.80.{net}.2:7402")
}

fn list(addresses: &[&str]) -> String {
    format!("{addresses:?}")
}

fn urls(addresses: &[String]) -> String {
    let urls: Vec<_> = addresses.iter().map(|it| format!("http://{it}")).collect();
    format!("{urls:?}")
}
