//! The members of a group, and a frontend beside each of them.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use harness::{Client, Content, Dev, DevBuilder, Image, eventually};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Processes on one machine. Member `n` has a blob service and a frontend of its own, which ask
/// nobody else: what is said through it is what that member says.
pub(crate) struct Members {
    folder: TempDir,
    settings: Vec<(String, String)>,
    members: Vec<Option<Dev>>,
    fronts: Vec<Option<Dev>>,
}

// === impl Members ===

impl Members {
    /// So many members, none of which runs.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: Vec::new(),
            members: (0..count).map(|_| None).collect(),
            fronts: (0..count).map(|_| None).collect(),
        }
    }

    /// A group of so many, founded, with all its frontends.
    pub(crate) fn founded(count: usize) -> Self {
        Self::new(count).found()
    }

    /// Sets a setting of the members.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Founds the group by its settings.
    pub(crate) fn found(mut self) -> Self {
        let all: Vec<_> = (0..self.members.len()).collect();
        let starting: Vec<_> = all
            .iter()
            .map(|member| self.founder(*member, &all).launch())
            .collect();
        for (member, starting) in starting.into_iter().enumerate() {
            self.members[member] = Some(starting.ready().unwrap());
        }
        for member in all {
            self.start_front(member);
        }
        self
    }

    /// A member that founds a group with others.
    pub(crate) fn founder(&self, member: usize, founders: &[usize]) -> DevBuilder {
        let founders: Vec<_> = founders.iter().map(|it| self.endpoint(*it)).collect();
        self.builder(member).env(
            "MERIDIAN_METADATA__GROUP__FOUNDERS",
            format!("{founders:?}"),
        )
    }

    /// A member that waits to be founded or asked in.
    pub(crate) fn builder(&self, member: usize) -> DevBuilder {
        let builder = DevBuilder::run(&["metadata"], self.data_dir(member))
            .listen(self.endpoint(member))
            .env("MERIDIAN_METADATA__GROUP__ADVERTISE", self.endpoint(member))
            .env("MERIDIAN_EVENTS__KIND", "disk");
        self.settings
            .iter()
            .fold(builder, |builder, (name, value)| {
                builder.env(name, value.clone())
            })
    }

    /// Starts a member again, and waits until it serves.
    pub(crate) fn start(&mut self, member: usize) {
        self.members[member] = Some(self.builder(member).start());
    }

    pub(crate) fn start_front(&mut self, member: usize) {
        let blob = format!(
            "unix:{}",
            self.path(&format!("blob-{member}.sock")).display()
        );
        let front = DevBuilder::run(&["blob", "frontend"], self.path(&format!("front-{member}")))
            .env("MERIDIAN_SERVICES__METADATA", self.endpoint(member))
            .env("MERIDIAN_BLOB__LISTEN", format!("[\"{blob}\"]"))
            .env("MERIDIAN_FRONTEND__LISTEN", "[\"127.0.0.1:0\"]");
        self.fronts[member] = Some(front.start());
    }

    /// Takes over a process.
    pub(crate) fn has(&mut self, member: usize, process: Dev) {
        self.members[member] = Some(process);
    }

    pub(crate) fn take(&mut self, member: usize) -> Dev {
        self.members[member].take().unwrap()
    }

    pub(crate) fn process(&self, member: usize) -> &Dev {
        self.members[member].as_ref().unwrap()
    }

    /// A client of the frontend beside a member.
    pub(crate) fn client(&self, member: usize) -> Client {
        self.fronts[member].as_ref().unwrap().client()
    }

    pub(crate) fn endpoint(&self, member: usize) -> String {
        format!(
            "unix:{}",
            self.path(&format!("member-{member}.sock")).display()
        )
    }

    pub(crate) fn data_dir(&self, member: usize) -> PathBuf {
        self.path(&format!("member-{member}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `meridian cluster …`, asked of a member.
    pub(crate) fn cluster(&self, member: usize, arguments: &[&str]) -> Output {
        harness::cluster(&self.data_dir(member), arguments)
    }

    /// The same, which must succeed.
    #[track_caller]
    pub(crate) fn ask(&self, member: usize, arguments: &[&str]) -> Value {
        let output = self.cluster(member, arguments);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same, which must fail: what it says.
    #[track_caller]
    pub(crate) fn refused(&self, member: usize, arguments: &[&str]) -> String {
        let output = self.cluster(member, arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn status(&self, member: usize) -> Value {
        self.ask(member, &["status"])
    }

    /// The id of a member that runs.
    pub(crate) fn node(&self, member: usize) -> String {
        self.status(member)["node"].as_str().unwrap().to_owned()
    }

    /// Which member leads, in the eyes of `of`, when that knows.
    pub(crate) async fn leader(&self, of: usize) -> usize {
        eventually("a leader is known", SOON, || async {
            let status = self.status(of);
            let leader = harness::leader_of(&status)?;
            (0..self.members.len()).find(|it| leader == self.endpoint(*it))
        })
        .await
    }
}

/// The nodes that have a vote, in the eyes of a member.
pub(crate) fn voters(status: &Value) -> Vec<String> {
    let members = status["members"].as_array().unwrap();
    members
        .iter()
        .filter(|member| member["voter"] == true)
        .map(|member| member["node"].as_str().unwrap().to_owned())
        .collect()
}

/// A small image of a seed: all of it lies in the metadata.
pub(crate) fn image(seed: u64) -> Image {
    Content::new(seed).image(&[100])
}

/// Pushes it, or says what went wrong.
pub(crate) async fn push(client: &Client, tag: &str, image: &Image) -> Result<(), String> {
    for blob in &image.blobs {
        let pushed = client.push_blob("team/app", blob.clone()).await;
        let pushed = pushed.map_err(|error| error.to_string())?;
        if pushed.status.as_u16() != 201 {
            return Err(format!("{}: {:?}", pushed.status, pushed.body));
        }
    }
    let put = client.put_manifest("team/app", tag, image.manifest.clone());
    let put = put.await.map_err(|error| error.to_string())?;
    match put.status.as_u16() {
        201 => Ok(()),
        status => Err(format!("{status}: {:?}", put.body)),
    }
}

/// Pulls it and compares every byte.
pub(crate) async fn pull(client: &Client, tag: &str, image: &Image) {
    let answer = client.manifest("team/app", tag).await.unwrap();
    assert_eq!(answer.expect(200).body, image.manifest, "{tag}");
    for blob in &image.blobs {
        let answer = client.blob("team/app", harness::digest(blob)).await;
        assert_eq!(answer.unwrap().expect(200).body, blob);
    }
}
