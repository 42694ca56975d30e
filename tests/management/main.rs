//! The management API and the command line's client of it, as operators and strangers meet them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod checks;
mod document;
mod settings;
mod verbs;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use harness::{Answer, Client, Dev, DevBuilder, binary};
use reqwest::Method;
use tempfile::TempDir;

/// A token of an operator.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// A registry whose management API listens on a port.
struct Managed {
    folder: TempDir,
    dev: Dev,
    api: Client,
}

/// Writes a file that only its owner may read.
fn write_secret(file: &Path, text: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(draft, file).unwrap();
}

/// Where the management API of a process listens, from its log.
fn address(dev: &Dev) -> String {
    let line = dev.log_line("serving the management API");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

/// Runs the command line.
fn meridian(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    for name in ["MERIDIAN_SERVER", "MERIDIAN_TOKEN_FILE", "MERIDIAN_CA_FILE"] {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

// === impl Managed ===

impl Managed {
    fn start() -> Self {
        Self::start_with(|dev| dev)
    }

    fn start_with(set: impl FnOnce(DevBuilder) -> DevBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        write_secret(&tokens, TOKEN);
        let dev = DevBuilder::new(folder.path().join("data"))
            .env("MERIDIAN_MANAGEMENT__LISTEN", "[\"127.0.0.1:0\"]")
            .env("MERIDIAN_MANAGEMENT__TOKEN_FILE", tokens.to_str().unwrap())
            .env("MERIDIAN_MANAGEMENT__RELOAD_EVERY", "20ms");
        let dev = set(dev).start();
        let api = Client::new(format!("http://{}", address(&dev)));
        Self { folder, dev, api }
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    /// Asks, with what the header says.
    async fn ask_as(&self, authorization: Option<&str>, method: Method, path: &str) -> Answer {
        let headers = authorization.map(|value| ("authorization", value));
        let headers: Vec<_> = headers.into_iter().collect();
        let asked = self.api.send(method, path, &headers, Bytes::new()).await;
        asked.unwrap()
    }

    /// Asks as an operator.
    async fn ask(&self, method: Method, path: &str) -> Answer {
        self.ask_as(Some(&format!("Bearer {TOKEN}")), method, path)
            .await
    }
}
