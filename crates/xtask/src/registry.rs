//! The registry under test: started fresh on a free port of loopback and ended with its owner, or
//! one that runs already.
//!
//! Also reads it the way a client would, over plain HTTP, so that a check does not have to trust the
//! client that it checks.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use ureq::Agent;

use crate::layout::{DOCKER_LIST, DOCKER_MANIFEST, Descriptor, INDEX, Layout, MANIFEST};
use crate::parts::{Part, Parts};
use crate::process::{Program, Service, free_address};
use crate::scratch::Scratch;
use crate::tools::Tools;
use crate::workspace::Workspace;

const START_LIMIT: Duration = Duration::from_mins(1);
const REQUEST_LIMIT: Duration = Duration::from_mins(2);

/// Which registry to test.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A fresh `meridian dev` from this workspace.
    Meridian,
    /// A fresh region of several processes, from this workspace.
    Region,
    /// The same, which sends its clients elsewhere for blobs.
    Redirecting,
    /// A fresh distribution, the reference implementation.
    Distribution,
    /// One that listens at `HOST:PORT`.
    At(String),
}

impl Subject {
    /// Whether it is built from this workspace.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(self, Self::Meridian | Self::Region | Self::Redirecting)
    }
}

impl FromStr for Subject {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "meridian" => Ok(Self::Meridian),
            "region" => Ok(Self::Region),
            "redirecting" => Ok(Self::Redirecting),
            "distribution" => Ok(Self::Distribution),
            at => {
                let (host, port) = at
                    .rsplit_once(':')
                    .context("neither a name nor HOST:PORT")?;
                ensure!(
                    !host.is_empty() && port.parse::<u16>().is_ok(),
                    "not HOST:PORT"
                );
                Ok(Self::At(at.to_owned()))
            }
        }
    }
}

pub(crate) struct Registry {
    address: String,
    agent: Agent,
    service: Option<Service>,
    // Ends after those who use them.
    parts: Option<Parts>,
}

impl Registry {
    /// Returns when it answers. What it stores lies in `scratch`.
    pub(crate) fn start(
        subject: &Subject,
        scratch: &Scratch,
        workspace: &Workspace,
        tools: &Tools,
    ) -> Result<Self> {
        let mut registry = Self {
            address: match subject {
                Subject::At(address) => address.clone(),
                Subject::Meridian
                | Subject::Region
                | Subject::Redirecting
                | Subject::Distribution => free_address()?,
            },
            agent: agent(),
            service: None,
            parts: None,
        };
        let program = match subject {
            Subject::At(_) => None,
            Subject::Meridian => Some(registry.meridian(workspace, &scratch.dir("registry")?)),
            Subject::Region => Some(registry.region(workspace)?),
            Subject::Redirecting => {
                let program = registry.meridian(workspace, &scratch.dir("registry")?);
                Some(redirecting(program))
            }
            Subject::Distribution => Some(registry.distribution(tools, &scratch.dir("registry")?)?),
        };
        if let Some(program) = program {
            registry.wait_for(program, scratch)?;
        }
        registry.ping().with_context(|| {
            let address = &registry.address;
            format!("no registry answers at {address}")
        })?;
        println!("registry under test: {subject:?} at {}", registry.address);
        Ok(registry)
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Says what happened to it, for the report of a failure.
    pub(crate) fn log_end(&self) -> Option<String> {
        self.service.as_ref().map(Service::log_end)
    }

    /// Fails unless `repository` holds all of `layout` below `root`, and `tag` names it.
    pub(crate) fn holds(
        &self,
        repository: &str,
        tag: &str,
        layout: &Layout,
        root: &Descriptor,
    ) -> Result<()> {
        layout
            .same(root, |wanted| {
                let kind = if wanted.is_manifest() {
                    "manifests"
                } else {
                    "blobs"
                };
                let name = if wanted.digest == root.digest {
                    tag
                } else {
                    &wanted.digest
                };
                self.get(&format!("{repository}/{kind}/{name}"))
            })
            .with_context(|| format!("in {repository}:{tag}"))
    }

    /// The digest of what a tag names, by its bytes.
    pub(crate) fn digest(&self, repository: &str, tag: &str) -> Result<String> {
        let manifest = self.get(&format!("{repository}/manifests/{tag}"))?;
        Ok(crate::content::digest(manifest)?.0)
    }

    /// What a tag names.
    pub(crate) fn manifest(&self, repository: &str, tag: &str) -> Result<Value> {
        let manifest = self.get(&format!("{repository}/manifests/{tag}"))?;
        serde_json::from_reader(manifest).context("the manifest is no JSON")
    }

    fn get(&self, path: &str) -> Result<Box<dyn Read>> {
        let response = self
            .agent
            .get(format!("http://{}/v2/{path}", self.address))
            .header(
                "Accept",
                [INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", "),
            )
            .call()
            .with_context(|| format!("GET {path}"))?;
        Ok(Box::new(response.into_body().into_reader()))
    }

    fn ping(&self) -> Result<()> {
        self.agent
            .get(format!("http://{}/v2/", self.address))
            .call()?;
        Ok(())
    }

    fn meridian(&self, workspace: &Workspace, data: &Path) -> Program {
        Program::new(workspace.program("meridian"))
            .args(["dev", "--listen", &self.address, "--data-dir"])
            .arg(data)
    }

    fn region(&mut self, workspace: &Workspace) -> Result<Program> {
        let parts = Parts::start(&[Part::Kafka { brokers: 1 }, Part::Redis], workspace)?;
        let program = Program::new(workspace.program("meridian-region"))
            .arg(&self.address)
            .env(parts.variable(), parts.file());
        self.parts = Some(parts);
        Ok(program)
    }

    fn distribution(&self, tools: &Tools, data: &Path) -> Result<Program> {
        let config = data.join("config.yml");
        let text = serde_json::json!({
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": data}, "delete": {"enabled": true}},
            "http": {"addr": self.address},
            "validation": {"manifests": {"urls": {"allow": ["^https://"]}}},
        });
        fs::write(&config, text.to_string())?;
        Ok(tools
            .program("registry")
            .env("OTEL_TRACES_EXPORTER", "none")
            .arg("serve")
            .arg(config))
    }

    fn wait_for(&mut self, program: Program, scratch: &Scratch) -> Result<()> {
        let mut service = program.start(&scratch.path().join("registry.log"))?;
        scratch.note(&service)?;
        service.wait_until(START_LIMIT, || self.ping().is_ok())?;
        self.service = Some(service);
        Ok(())
    }
}

/// With a data endpoint, to which clients are sent for all that does not rest with its record.
fn redirecting(meridian: Program) -> Program {
    meridian
        .env("MERIDIAN_BLOB__DATA__LISTEN", "[\"127.0.0.1:0\"]")
        .env("MERIDIAN_FRONTEND__BLOBS__DELIVERY", "redirect")
        .env("MERIDIAN_FRONTEND__BLOBS__MIN_SIZE", "0B")
}

fn agent() -> Agent {
    let config = Agent::config_builder().timeout_global(Some(REQUEST_LIMIT));
    config.build().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_name_or_an_address() {
        assert!(matches!("meridian".parse().unwrap(), Subject::Meridian));
        assert!(matches!("region".parse().unwrap(), Subject::Region));
        assert!(matches!(
            "redirecting".parse().unwrap(),
            Subject::Redirecting
        ));
        assert!(matches!(
            "distribution".parse().unwrap(),
            Subject::Distribution
        ));
        assert!(matches!("localhost:5000".parse().unwrap(), Subject::At(_)));
        for wrong in [
            "",
            "localhost",
            ":5000",
            "localhost:port",
            "localhost:70000",
        ] {
            assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
        }
    }
}
