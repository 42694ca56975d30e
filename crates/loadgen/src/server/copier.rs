//! What copies images between two registries that know nothing of each other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use super::process::spawn;
use crate::affinity::Pinning;
use crate::client::CallError;

/// `skopeo copy`, a process for each image. It runs on the servers' CPU, and is a part of what they cost.
#[derive(Debug, Clone)]
pub(crate) struct Copier {
    pub(super) program: PathBuf,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) pinning: Option<Pinning>,
}

// === impl Copier ===

impl Copier {
    /// Copies an image byte for byte, and returns when the program has ended well. It ends with the
    /// future.
    pub(crate) async fn copy(&self, repository: &str, tag: &str) -> Result<(), CallError> {
        let what = "skopeo copy";
        let place = |registry| format!("docker://{registry}/{repository}:{tag}");
        let mut command = Command::new(&self.program);
        command
            .args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"])
            .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
            .args([place(self.from), place(self.to)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = spawn(&mut command, self.pinning).map_err(CallError::of(what))?;
        let output = child.wait_with_output().await;
        let output = output.map_err(CallError::of(what))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(CallError::of(what)(said))
    }
}
