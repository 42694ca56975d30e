//! `cargo xtask parts`: the services that Meridian stands on, for tests.
//!
//! Starts the real ones on free ports of loopback: Apache Kafka from Maven Central, twice, and once more
//! for each of three regions that have a network of their own, Redis from the distribution, moto's S3 server
//! from the Python Package Index. What they are and where they are found stands in one file, which tests
//! read; the variable `XTASK_PARTS` names it.
//!
//! Keeps the invariant that parts have one owner, which ends them when it ends: a command for the
//! time of its tests, or, after `parts up`, a process of our own that does nothing else.
//!
//! ```text
//! parts up ── starts ──▶ parts hold ── starts ──▶ brokers, Redis, moto
//!                            ▲ writes parts.toml once all of them have answered
//! parts down ── ends ────────┘ by the id in parts.toml
//! ```

mod certificates;
mod file;
mod holder;
mod kafka;
mod moto;
mod redis;
mod store;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::prerequisites::{self, Need};
use crate::process::Service;
use crate::scratch::Scratch;
use crate::workspace::Workspace;
use file::Description;
use kafka::Network;

/// Names the file to those who look for parts. What begins with `MERIDIAN_` is a setting.
const VARIABLE: &str = "XTASK_PARTS";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Start them, and leave them running
    Up(Options),
    /// End those that `up` has started
    Down,
    /// Start them, and end with them: what `up` leaves behind
    #[command(hide = true)]
    Hold(Options),
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How many brokers Kafka has
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=5))]
    brokers: u16,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Kafka {
        brokers: u16,
    },
    /// One broker, of another region.
    OtherKafka,
    /// Three brokers: each is the whole of a cluster, in a network of its own. Needs root.
    Regions,
    Redis,
    Moto,
}

/// Parts that run. They end when it is dropped.
pub(crate) struct Parts {
    services: Vec<Service>,
    file: PathBuf,
    // Dropped after those who keep their data there.
    scratch: Scratch,
}

pub(crate) fn run(verb: &Verb, workspace: &Workspace) -> Result<()> {
    match verb {
        Verb::Up(options) => {
            ensure(&options.parts(), workspace)?;
            holder::up(*options, workspace)
        }
        Verb::Down => holder::down(workspace),
        Verb::Hold(options) => {
            let parts = Parts::start(&options.parts(), workspace)?;
            holder::hold(&parts, workspace)
        }
    }
}

/// Brings here what the parts are made of.
fn ensure(parts: &[Part], workspace: &Workspace) -> Result<()> {
    let needs: Vec<Need> = parts
        .iter()
        .flat_map(|part| part.needs())
        .copied()
        .collect();
    prerequisites::ensure(&needs, workspace)?;
    for part in parts {
        let had = match part {
            Part::Kafka { .. } | Part::OtherKafka | Part::Regions => {
                kafka::libraries(workspace).map(drop)
            }
            Part::Redis => Ok(()),
            Part::Moto => moto::environment(workspace).map(drop),
        };
        had.with_context(|| format!("{part:?} cannot be had"))?;
    }
    Ok(())
}

// === impl Options ===

impl Options {
    fn parts(self) -> Vec<Part> {
        let brokers = self.brokers;
        let mut parts = vec![
            Part::Kafka { brokers },
            Part::OtherKafka,
            Part::Redis,
            Part::Moto,
        ];
        // Nobody else may make networks, nor run the tests that stand on them.
        if prerequisites::is_root() {
            parts.push(Part::Regions);
        }
        parts
    }
}

// === impl Part ===

impl Part {
    const fn needs(self) -> &'static [Need] {
        match self {
            Self::Kafka { .. } | Self::OtherKafka => &[Need::Java, Need::Maven],
            Self::Regions => &[
                Need::Java,
                Need::Maven,
                Need::Root,
                Need::Iproute,
                Need::Namespaces,
            ],
            Self::Redis => &[Need::Redis],
            Self::Moto => &[Need::Python],
        }
    }
}

// === impl Parts ===

impl Parts {
    /// Returns when each of them has answered.
    pub(crate) fn start(wanted: &[Part], workspace: &Workspace) -> Result<Self> {
        ensure(wanted, workspace)?;
        let scratch = Scratch::new()?;
        let file = scratch.path().join("parts.toml");
        let mut parts = Self {
            services: Vec::new(),
            file,
            scratch,
        };
        let mut description = Description::ours();
        for part in wanted {
            let begun = parts.begin(*part, &mut description, workspace);
            begun.with_context(|| format!("{part:?} does not start"))?;
        }
        description.write(&parts.file)?;
        Ok(parts)
    }

    fn begin(
        &mut self,
        part: Part,
        description: &mut Description,
        workspace: &Workspace,
    ) -> Result<()> {
        let Self {
            services, scratch, ..
        } = self;
        match part {
            Part::Kafka { brokers } => {
                let network = Network::Ours;
                let kafka = kafka::start("kafka", brokers, network, services, scratch, workspace)?;
                description.kafka = Some(kafka);
            }
            Part::OtherKafka => {
                let (name, network) = ("other-kafka", Network::Ours);
                let kafka = kafka::start(name, 1, network, services, scratch, workspace)?;
                description.other_kafka = Some(kafka);
            }
            Part::Regions => {
                for name in ["region-1", "region-2", "region-3"] {
                    let network = Network::Own;
                    let kafka = kafka::start(name, 1, network, services, scratch, workspace)?;
                    description.regions.push(kafka);
                }
            }
            Part::Redis => description.redis = Some(redis::start(services, scratch)?),
            Part::Moto => description.s3 = Some(moto::start(services, scratch, workspace)?),
        }
        Ok(())
    }

    /// The variable in which tests look for [`Parts::file`].
    pub(crate) fn variable(&self) -> &'static str {
        VARIABLE
    }

    /// What the parts are, and where they are found.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Keeps what the parts said, in the folder that it returns.
    pub(crate) fn keep_logs(&mut self, workspace: &Workspace) -> Result<PathBuf> {
        let kept = workspace.target().join("parts.logs");
        let _ = fs::remove_dir_all(&kept);
        fs::create_dir_all(&kept).with_context(|| format!("cannot create {}", kept.display()))?;
        for entry in fs::read_dir(self.scratch.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "log")
                && let Some(name) = path.file_name()
            {
                fs::copy(&path, kept.join(name))?;
            }
        }
        Ok(kept)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // Nothing of what they keep is needed, so that none has to end in order.
        self.services.iter_mut().for_each(Service::kill);
    }
}
