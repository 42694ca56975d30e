//! moto, which speaks S3 and keeps all in memory.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::file::S3;
use super::store;
use crate::process::{Program, Service, free_address};
use crate::scratch::Scratch;
use crate::workspace::Workspace;

const INSTALL_LIMIT: Duration = Duration::from_mins(10);
const START_LIMIT: Duration = Duration::from_mins(1);

/// A virtual environment with what `tests/parts/moto.txt` pins. It is used by its own path and by
/// nothing that the installer has written into it, since it was made under another name.
pub(super) fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let pins = workspace.root().join("tests/parts/moto.txt");
    let text = fs::read_to_string(&pins)?;
    let recipe = include_str!("moto.rs");
    store::ensure("moto", &[&text, recipe], workspace, |dir| {
        Program::new("python3")
            .args(["-m", "venv"])
            .arg(dir)
            .output()?;
        Program::new(dir.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&pins)
            .limit(INSTALL_LIMIT)
            .output()?;
        Ok(())
    })
}

pub(super) fn start(
    services: &mut Vec<Service>,
    scratch: &Scratch,
    workspace: &Workspace,
) -> Result<S3> {
    let address = free_address()?;
    let endpoint = format!("http://{address}");
    let (host, port) = address.rsplit_once(':').expect("host and port");
    let dir = scratch.dir("moto")?;
    let mut service = Program::new(environment(workspace)?.join("bin/python"))
        // Its command line says whose it is.
        .arg("-X")
        .arg(format!("pycache_prefix={}", dir.display()))
        .args(["-m", "moto.server", "--host", host, "--port", port])
        .dir(dir)
        .start(&scratch.path().join("moto.log"))?;
    scratch.note(&service)?;
    let ready = service.wait_until(START_LIMIT, || ureq::get(&endpoint).call().is_ok());
    services.push(service);
    ready?;
    Ok(S3 { endpoint })
}
