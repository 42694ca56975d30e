//! A containerd and a docker engine of our own, with all their data in one folder.
//!
//! The machine's own engines, if there are any, are neither used nor disturbed: sockets, data and
//! settings are ours, and no network is set up, since nothing is run.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Program, Service, find};
use crate::scratch::Scratch;

const START_LIMIT: Duration = Duration::from_secs(60);
const ASK_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Containerd {
    _service: Service,
    socket: PathBuf,
}

impl Containerd {
    /// Returns when it answers; fails with its log when it does not.
    pub(super) fn start(scratch: &Scratch) -> Result<Self> {
        let dir = scratch.dir("containerd")?;
        let socket = dir.join("containerd.sock");
        let config = dir.join("config.toml");
        let at = dir.display();
        let text = format!(
            "version = 2\n\
             root = \"{at}/data\"\n\
             state = \"{at}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{}\"\n\
             [ttrpc]\naddress = \"{at}/ttrpc.sock\"\n",
            socket.display()
        );
        fs::write(&config, text)?;
        let mut service = Program::new(program("containerd")?)
            .arg("--config")
            .arg(config)
            .start(&dir.join("log"))?;
        scratch.note(&service)?;
        service.wait_until(START_LIMIT, || {
            let ask = Program::new("ctr").arg("--address").arg(&socket);
            ask.arg("version").limit(ASK_LIMIT).output().is_ok()
        })?;
        Ok(Self {
            _service: service,
            socket,
        })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}

pub(super) struct Docker {
    _service: Service,
    host: String,
}

impl Docker {
    /// Docker chooses its storage; where what it chooses does not work, plain copies always do.
    /// Fails with its log when even then it does not answer.
    pub(super) fn start(scratch: &Scratch, containerd: &Containerd) -> Result<Self> {
        Self::start_with(scratch, containerd, &[]).or_else(|error| {
            eprintln!("{error:#}\nonce more, with plain copies as storage");
            Self::start_with(scratch, containerd, &["--storage-driver", "vfs"])
        })
    }

    fn start_with(scratch: &Scratch, containerd: &Containerd, storage: &[&str]) -> Result<Self> {
        let dir = scratch.dir("docker")?;
        let config = dir.join("config.json");
        fs::write(&config, "{}")?;
        let host = format!("unix://{}", dir.join("docker.sock").display());
        let mut service = Program::new(program("dockerd")?)
            .arg("--config-file")
            .arg(config)
            .arg("--containerd")
            .arg(containerd.socket())
            .arg("--data-root")
            .arg(dir.join("data"))
            .arg("--exec-root")
            .arg(dir.join("state"))
            .arg("--pidfile")
            .arg(dir.join("pid"))
            .args(["--host", &host, "--bridge=none"])
            .args(["--iptables=false", "--ip6tables=false"])
            .args(storage)
            .start(&dir.join("log"))?;
        scratch.note(&service)?;
        service.wait_until(START_LIMIT, || {
            let ask = Program::new("docker").args(["--host", &host, "version"]);
            ask.limit(ASK_LIMIT).output().is_ok()
        })?;
        Ok(Self {
            _service: service,
            host,
        })
    }

    /// What `DOCKER_HOST` is to be.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

fn program(name: &str) -> Result<OsString> {
    find(name).with_context(|| format!("there is no {name}"))
}
