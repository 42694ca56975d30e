//! What copies images between two registries that know nothing of each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use serde::Serialize;
use tokio::process::Command;

use super::process::spawn;
use crate::affinity::Pinning;
use crate::client::CallError;

/// `skopeo copy`, a process for each image, or `skopeo sync`, one for many. It runs on the servers' CPU, and is
/// a part of what they cost.
#[derive(Debug, Clone)]
pub(crate) struct Copier {
    pub(super) program: PathBuf,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// Where it is told which images are wanted, if they are many.
    pub(super) list: PathBuf,
    pub(super) pinning: Option<Pinning>,
}

/// What `skopeo sync` is to bring from a registry.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Wanted<'a> {
    tls_verify: bool,
    images: &'a BTreeMap<String, Vec<String>>,
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
            .args([place(self.from), place(self.to)]);
        self.run(what, command).await
    }

    /// Copies all tags that stand under each repository, one after the other. What a repository is called
    /// before its last part is that of all of them.
    pub(crate) async fn sync(
        &self,
        images: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), CallError> {
        let what = "skopeo sync";
        let wanted = Wanted {
            tls_verify: false,
            images,
        };
        let wanted = BTreeMap::from([(self.from.to_string(), wanted)]);
        // Every JSON is a YAML.
        let wanted = serde_json::to_vec(&wanted).map_err(CallError::of(what))?;
        let written = tokio::fs::write(&self.list, wanted).await;
        written.map_err(CallError::of(what))?;
        let first = images.keys().next().and_then(|it| it.rsplit_once('/'));
        let to = match first {
            Some((above, _)) => format!("{}/{above}", self.to),
            None => self.to.to_string(),
        };
        let mut command = Command::new(&self.program);
        command
            .args(["--insecure-policy", "sync", "--preserve-digests"])
            .args(["--src=yaml", "--dest=docker", "--dest-tls-verify=false"])
            .arg(&self.list)
            .arg(to);
        self.run(what, command).await
    }

    async fn run(&self, what: &'static str, mut command: Command) -> Result<(), CallError> {
        command
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
