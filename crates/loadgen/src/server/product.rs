//! How each product is configured, equal in what it promises.
//!
//! Both acknowledge a push only when its bytes are on disk: that is the default of either, and
//! nothing here changes it. No authentication, no TLS, no access log, no telemetry; deletion on.
//! The peer keeps the descriptor cache that its own image switches on.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use tokio::process::Command;

/// A registry that the harness can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Product {
    Meridian,
    Distribution,
}

/// A product and the program that it is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Software {
    pub(crate) product: Product,
    pub(crate) binary: PathBuf,
}

/// A command line that is ready to be run.
pub(crate) struct Prepared {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

// === impl Software ===

impl Software {
    /// Writes what the product needs into `folder`.
    pub(crate) fn prepare(&self, folder: &Path, address: SocketAddr) -> io::Result<Prepared> {
        let arguments: Vec<OsString> = match self.product {
            Product::Meridian => vec![
                "dev".into(),
                "--listen".into(),
                address.to_string().into(),
                "--data-dir".into(),
                folder.join("data").into(),
            ],
            Product::Distribution => {
                let file = folder.join("config.yml");
                std::fs::write(&file, distribution_config(&folder.join("data"), address))?;
                vec!["serve".into(), file.into()]
            }
        };
        Ok(Prepared {
            program: self.binary.clone(),
            arguments,
        })
    }

    /// What the program says of itself, for the report.
    pub(crate) async fn version(&self) -> String {
        let mut command = Command::new(&self.binary);
        command.arg("--version").kill_on_drop(true);
        let limit = std::time::Duration::from_secs(10);
        match tokio::time::timeout(limit, command.output()).await {
            Ok(Ok(output)) => last_words(&String::from_utf8_lossy(&output.stdout)),
            _ => "unknown".to_owned(),
        }
    }
}

/// The first line without a leading path.
fn last_words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    match line.split_once(' ') {
        Some((path, rest)) if path.contains('/') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

fn distribution_config(data: &Path, address: SocketAddr) -> String {
    let data = data.display();
    format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  \
           cache:\n    blobdescriptor: inmemory\n  \
           delete:\n    enabled: true\n  \
           filesystem:\n    rootdirectory: {data}\n  \
           maintenance:\n    uploadpurging:\n      enabled: false\n  \
           tag:\n    concurrencylimit: 8\n\
         http:\n  addr: {address}\n"
    )
}

// === impl Prepared ===

impl Prepared {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        quiet(&mut command);
        command
    }
}

/// Switches the peer's telemetry off; ours has none to switch.
pub(crate) fn quiet(command: &mut Command) {
    command.env("OTEL_TRACES_EXPORTER", "none");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_configuration_names_its_place_and_allows_deletion() {
        let config = distribution_config(Path::new("/x/data"), ([127, 0, 0, 1], 7).into());
        assert!(config.contains("    rootdirectory: /x/data\n"));
        assert!(config.contains("  delete:\n    enabled: true\n"));
        assert!(config.ends_with("http:\n  addr: 127.0.0.1:7\n"));
    }

    #[test]
    fn a_version_does_not_carry_the_path_of_the_program() {
        let said = "/opt/registry github.com/distribution/distribution/v3 v3.1.1\n";
        assert_eq!(
            last_words(said),
            "github.com/distribution/distribution/v3 v3.1.1"
        );
        assert_eq!(last_words("meridian 0.1.0"), "meridian 0.1.0");
    }
}
