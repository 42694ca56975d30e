//! Two regions that replicate each other, each a process of its own, for clients that lose one of them.
//!
//! Owns the processes and where clients find them. Keeps the invariant that a region which is ended can
//! be started again, with its data and at the same addresses. Leaves to the cases what is lost, and when.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use ureq::Agent;

use super::ground::{Ground, LONG};
use crate::process::{Service, free_addresses};

const START_LIMIT: Duration = Duration::from_mins(1);
const END_LIMIT: Duration = Duration::from_mins(1);
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Two regions that replicate each other.
pub(super) struct Regions {
    /// The one that clients are nearer to.
    pub(super) eu: Region,
    pub(super) us: Region,
}

/// One of them.
pub(super) struct Region {
    name: &'static str,
    data: PathBuf,
    log: PathBuf,
    frontend: String,
    peers: String,
    admin: String,
    service: Option<Service>,
}

// === impl Regions ===

impl Regions {
    /// Returns when both answer. What they store lies in a folder of that name.
    pub(super) fn start(ground: &Ground, label: &str) -> Result<Self> {
        let mut regions = Self {
            eu: Region::lay("eu", ground, label)?,
            us: Region::lay("us", ground, label)?,
        };
        let Self { eu, us } = &mut regions;
        eu.start(us, ground, &[])?;
        us.start(eu, ground, &[])?;
        Ok(regions)
    }

    /// Returns when both regions have all of an image.
    pub(super) fn wait_for(&self, image: &str, ground: &Ground) -> Result<()> {
        ground
            .meridian()?
            .args(["replication", "wait", image, "--regions", "eu,us"])
            .args(["--timeout", "2m", "--data-dir"])
            .arg(&self.eu.data)
            .limit(LONG)
            .output()?;
        Ok(())
    }

    /// Has containerd look for images of `host` in eu first: in a folder that it is told by
    /// `--hosts-dir`, or by `config_path` on a node of Kubernetes.
    pub(super) fn write_hosts(&self, folder: &Path, host: &str) -> Result<()> {
        let text = format!(
            "server = \"http://{}\"\n\n\
             [host.\"http://{}\"]\n\
             capabilities = [\"pull\", \"resolve\"]\n",
            self.us.frontend, self.eu.frontend
        );
        let folder = folder.join(host);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("hosts.toml"), text)?;
        Ok(())
    }

    /// What both said last, for the report of a failure.
    pub(super) fn log_ends(&self) -> String {
        let end = |region: &Region| {
            let end = region.service.as_ref().map(Service::log_end);
            let end = end.unwrap_or_default();
            format!("---- region {} ----\n{end}", region.name)
        };
        [&self.eu, &self.us].map(end).join("\n")
    }
}

// === impl Region ===

impl Region {
    fn lay(name: &'static str, ground: &Ground, label: &str) -> Result<Self> {
        let folder = ground.dir(label)?;
        let [frontend, peers, admin] = free_addresses()?;
        Ok(Self {
            name,
            data: folder.join(name),
            log: folder.join(format!("{name}.log")),
            frontend,
            peers,
            admin,
            service: None,
        })
    }

    /// Starts it, also again, with settings besides; returns when it answers.
    pub(super) fn start(
        &mut self,
        other: &Self,
        ground: &Ground,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let at = |address: &str| format!("[{address:?}]");
        let anywhere = at("127.0.0.1:0");
        let endpoints = format!("MERIDIAN_REGIONS__{}__ENDPOINTS", other.name.to_uppercase());
        let program = ground
            .meridian()?
            .args(["run", "frontend", "blob", "metadata", "replication"])
            .arg("--data-dir")
            .arg(&self.data)
            .env("MERIDIAN_REGION", self.name)
            .env("MERIDIAN_FRONTEND__LISTEN", at(&self.frontend))
            .env("MERIDIAN_ADMIN__LISTEN", at(&self.admin))
            .env("MERIDIAN_BLOB__LISTEN", &anywhere)
            .env("MERIDIAN_METADATA__LISTEN", &anywhere)
            .env("MERIDIAN_REPLICATION__LISTEN", &anywhere)
            .env("MERIDIAN_REPLICATION__PEER_LISTEN", at(&self.peers))
            .env(endpoints, format!("http://{}", other.peers));
        let program = settings
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value));
        let mut service = program.start(&self.log)?;
        ground.note(&service)?;
        service.wait_until(START_LIMIT, || self.answers())?;
        self.service = Some(service);
        Ok(())
    }

    /// Ends it at once, with all its connections.
    pub(super) fn kill(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill();
        }
    }

    /// Waits until it has ended by itself; what it said last.
    pub(super) fn end(&mut self) -> Result<String> {
        let mut service = self.service.take().context("the region does not run")?;
        let is_ended = service.ends_within(END_LIMIT);
        let said = service.log_end();
        is_ended
            .then_some(said)
            .with_context(|| format!("region {} goes on", self.name))
    }

    /// `HOST:PORT`, where clients find it.
    pub(super) fn address(&self) -> &str {
        &self.frontend
    }

    /// How many requests of a route it has answered with that status.
    pub(super) fn answered(&self, route: &str, status: u16) -> Result<u64> {
        let metrics = get(&format!("http://{}/metrics", self.admin))?;
        let labels = format!("{{route=\"{route}\",status=\"{status}\"}} ");
        let name = format!("meridian_frontend_http_requests_total{labels}");
        let mut lines = metrics.lines();
        match lines.find_map(|line| line.strip_prefix(&name)) {
            Some(count) => count.parse().with_context(|| format!("{name}{count}")),
            None => Ok(0),
        }
    }

    fn answers(&self) -> bool {
        get(&format!("http://{}/v2/", self.frontend)).is_ok()
    }
}

fn get(url: &str) -> Result<String> {
    let config = Agent::config_builder().timeout_global(Some(ASK_LIMIT));
    let mut answer = Agent::from(config.build()).get(url).call()?;
    Ok(answer.body_mut().read_to_string()?)
}
