//! Three processes on one machine, each of which can be killed and started again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Client, Dev, DevBuilder};
use tempfile::TempDir;

/// How long calls may take where a test waits for them to fail.
const HASTY: &str = "2s";

/// How long anything may take that a test waits for.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The processes of a region. Those that others call listen on Unix sockets: a port that was given
/// back is free for anybody, a path is not.
pub(crate) struct Region {
    folder: TempDir,
    is_hasty: bool,
    blob_settings: Vec<(String, String)>,
    pub(crate) metadata: Option<Dev>,
    pub(crate) blob: Option<Dev>,
    pub(crate) frontend: Option<Dev>,
}

// === impl Region ===

impl Region {
    /// A region whose processes all serve.
    pub(crate) fn start() -> Self {
        Self::empty().started()
    }

    pub(crate) fn started(mut self) -> Self {
        self.start_metadata();
        self.start_blob();
        self.start_frontend();
        self
    }

    /// One that does not wait long for a process that is away.
    pub(crate) fn hasty(mut self) -> Self {
        self.is_hasty = true;
        self
    }

    /// One whose blob service has these settings besides, as variables.
    pub(crate) fn blob_settings(mut self, settings: Vec<(String, String)>) -> Self {
        self.blob_settings = settings;
        self
    }

    /// A region without a process.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            is_hasty: false,
            blob_settings: Vec::new(),
            metadata: None,
            blob: None,
            frontend: None,
        }
    }

    pub(crate) fn start_metadata(&mut self) {
        let builder = self.builder("metadata").listen(self.endpoint("metadata"));
        self.metadata = Some(builder.start());
    }

    pub(crate) fn start_blob(&mut self) {
        let builder = self.builder("blob").listen(self.endpoint("blob"));
        let settings = self.blob_settings.iter();
        let builder = settings.fold(builder, |builder, (name, value)| builder.env(name, value));
        self.blob = Some(builder.start());
    }

    pub(crate) fn start_frontend(&mut self) {
        self.frontend = Some(self.builder("frontend").start());
    }

    /// A process of the region that was not started, on a free port.
    pub(crate) fn builder(&self, role: &str) -> DevBuilder {
        let builder = DevBuilder::run(&[role], self.data_dir(role))
            .env("MERIDIAN_SERVICES__METADATA", self.endpoint("metadata"))
            .env("MERIDIAN_SERVICES__BLOB", self.endpoint("blob"));
        match self.is_hasty {
            true => builder.env("MERIDIAN_SERVICES__CALLS__DEADLINE", HASTY),
            false => builder,
        }
    }

    pub(crate) fn data_dir(&self, role: &str) -> PathBuf {
        self.folder.path().join(role)
    }

    /// The socket that a service listens on.
    pub(crate) fn socket(&self, role: &str) -> PathBuf {
        self.folder.path().join(format!("{role}.sock"))
    }

    fn endpoint(&self, role: &str) -> String {
        format!("unix:{}", self.socket(role).display())
    }

    pub(crate) fn client(&self) -> Client {
        self.frontend.as_ref().unwrap().client()
    }

    /// Waits until requests get through to both services again.
    pub(crate) async fn recovered(&self) {
        let client = self.client();
        let absent = harness::digest(b"nobody has pushed this");
        let paths = [
            "/v2/team/app/tags/list".to_owned(),
            format!("/v2/team/app/blobs/{absent}"),
        ];
        for path in &paths {
            harness::eventually(path, SOON, || async {
                let answer = client.get(path).await.ok()?;
                (answer.status.as_u16() < 500).then_some(())
            })
            .await;
        }
    }
}

/// What a verb of the command line answers, as JSON.
pub(crate) fn verb(data_dir: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = std::process::Command::new(harness::binary())
        .args(arguments)
        .arg("--json")
        .arg("--data-dir")
        .arg(data_dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
