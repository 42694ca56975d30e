//! A docker engine and a containerd of our own, with all their data in one folder.
//!
//! The machine's own engine, if there is one, is neither used nor disturbed: sockets, data and
//! settings are ours, and no network is set up, since nothing is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Program, Service, find};
use crate::scratch::Scratch;

const START_LIMIT: Duration = Duration::from_secs(60);
const ASK_LIMIT: Duration = Duration::from_secs(10);

// Docker is dropped before the containerd that it uses.
pub(super) struct Engine {
    _docker: Service,
    _containerd: Service,
    docker_socket: PathBuf,
    containerd_socket: PathBuf,
}

impl Engine {
    /// Returns when both answer; fails with the log of the one that does not.
    pub(super) fn start(scratch: &Scratch) -> Result<Self> {
        let dir = scratch.dir("engine")?;
        let containerd_socket = dir.join("containerd.sock");
        let docker_socket = dir.join("docker.sock");
        let containerd = containerd(scratch, &dir, &containerd_socket)?;
        // Docker chooses its storage; where what it chooses does not work, `vfs` always does.
        let docker = docker(scratch, &dir, &docker_socket, &[]).or_else(|error| {
            eprintln!("{error:#}\nonce more, with plain copies as storage");
            docker(scratch, &dir, &docker_socket, &["--storage-driver", "vfs"])
        })?;
        Ok(Self {
            _docker: docker,
            _containerd: containerd,
            docker_socket,
            containerd_socket,
        })
    }

    /// What `DOCKER_HOST` is to be.
    pub(super) fn docker_host(&self) -> String {
        format!("unix://{}", self.docker_socket.display())
    }

    pub(super) fn containerd_socket(&self) -> &Path {
        &self.containerd_socket
    }
}

fn containerd(scratch: &Scratch, dir: &Path, socket: &Path) -> Result<Service> {
    let config = dir.join("containerd.toml");
    let at = dir.display();
    let text = format!(
        "version = 2\n\
         root = \"{at}/containerd\"\n\
         state = \"{at}/containerd-state\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = \"{}\"\n\
         [ttrpc]\naddress = \"{at}/containerd.ttrpc\"\n",
        socket.display()
    );
    fs::write(&config, text)?;
    let mut service = Program::new(program("containerd")?)
        .arg("--config")
        .arg(config)
        .start(&dir.join("containerd.log"))?;
    scratch.note(&service)?;
    service.wait_until(START_LIMIT, || {
        let ask = Program::new("ctr")
            .arg("--address")
            .arg(socket)
            .arg("version");
        ask.limit(ASK_LIMIT).output().is_ok()
    })?;
    Ok(service)
}

fn docker(scratch: &Scratch, dir: &Path, socket: &Path, storage: &[&str]) -> Result<Service> {
    let config = dir.join("docker.json");
    fs::write(&config, "{}")?;
    let host = format!("unix://{}", socket.display());
    let mut service = Program::new(program("dockerd")?)
        .arg("--config-file")
        .arg(config)
        .arg("--containerd")
        .arg(dir.join("containerd.sock"))
        .arg("--data-root")
        .arg(dir.join("docker"))
        .arg("--exec-root")
        .arg(dir.join("docker-state"))
        .arg("--pidfile")
        .arg(dir.join("docker.pid"))
        .args([
            "--host",
            &host,
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
        ])
        .args(storage)
        .start(&dir.join("docker.log"))?;
    scratch.note(&service)?;
    service.wait_until(START_LIMIT, || {
        let ask = Program::new("docker").args(["--host", &host, "version"]);
        ask.limit(ASK_LIMIT).output().is_ok()
    })?;
    Ok(service)
}

fn program(name: &str) -> Result<std::ffi::OsString> {
    find(name).with_context(|| format!("there is no {name}"))
}
