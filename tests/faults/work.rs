//! Clients that push, pull and delete, until they are told to stop.
//!
//! What each does follows from the seed and from what it was told. They share a few tags, so that
//! their writes meet; each image is pushed once, so that what a tag shows says who wrote it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Answer, Client, Content, Image};
use meridian_oci::Digest;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::history::{Call, History, Name, Op};

/// Clients at once.
const CLIENTS: usize = 6;
/// Tags for which they contend.
const TAGS: u64 = 5;
/// How long a client waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Between two calls of a client, so that nobody burns the machine when all are refused.
const PACE: Duration = Duration::from_millis(5);

/// How often somebody who waits looks at the history.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Blobs that are longer are sent in several requests.
const CHUNK: usize = 40_000;

pub(crate) const REPOSITORY: &str = "team/app";

/// Where clients work.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Of its frontends.
    pub(crate) bases: Vec<String>,
    /// The number of the first of them, among those of all regions.
    pub(crate) first_front: usize,
    /// What they contend for.
    pub(crate) tags: Vec<String>,
    /// Whether they pull what they find under a tag.
    pub(crate) pulls: bool,
}

/// Clients at work.
pub(crate) struct Work {
    pub(crate) history: History,
    stop: Arc<AtomicBool>,
    clients: JoinSet<Vec<Image>>,
}

struct Worker {
    number: usize,
    content: Content,
    /// Of each frontend.
    clients: Vec<Client>,
    site: Site,
    next: Arc<AtomicUsize>,
    history: History,
    pushed: Vec<Image>,
}

/// A client that does not wait for ever.
pub(crate) fn client(base: &str) -> Client {
    Client::with_patience(base, PATIENCE)
}

/// Tags whose names begin so.
pub(crate) fn tags(prefix: &str) -> impl Iterator<Item = String> {
    (0..TAGS).map(move |tag| format!("{prefix}{tag}"))
}

// === impl Site ===

impl Site {
    /// The only region that there is.
    fn alone(bases: &[String]) -> Self {
        Self {
            bases: bases.to_vec(),
            first_front: 0,
            tags: tags("t").collect(),
            pulls: false,
        }
    }
}

// === impl Work ===

impl Work {
    /// Has clients begin to ask these frontends in turn.
    pub(crate) fn begin(seed: u64, bases: &[String]) -> Self {
        Self::begin_at(&Site::alone(bases), seed, History::new())
    }

    /// The same at one site of several, whose calls all go to one history.
    pub(crate) fn begin_at(site: &Site, seed: u64, history: History) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let mut worker = Worker {
                number,
                content: Content::new(seed * 1_000 + number as u64),
                clients: site.bases.iter().map(|base| client(base)).collect(),
                site: site.clone(),
                next: Arc::clone(&next),
                history: history.clone(),
                pushed: Vec::new(),
            };
            let stop = Arc::clone(&stop);
            clients.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    worker.step().await;
                    tokio::time::sleep(PACE).await;
                }
                worker.pushed
            });
        }
        Self {
            history,
            stop,
            clients,
        }
    }

    /// Lets them finish what they are at; the images that they have sent.
    pub(crate) async fn end(mut self) -> (History, Vec<Image>) {
        self.stop.store(true, Ordering::SeqCst);
        let mut images = Vec::new();
        while let Some(pushed) = self.clients.join_next().await {
            images.extend(pushed.unwrap());
        }
        (self.history, images)
    }

    /// Whether a call of this kind that begins after now succeeds in time.
    pub(crate) async fn works_within(&self, time: Duration, wanted: impl Fn(&Op) -> bool) -> bool {
        let since = self.history.now();
        let works = async {
            loop {
                let ops = self.history.ops();
                let mut later = ops.iter().filter(|op| op.begun > since);
                if later.any(|op| op.succeeded() && wanted(op)) {
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(time, works).await.is_ok()
    }
}

// === impl Worker ===

impl Worker {
    async fn step(&mut self) {
        let tag = self.content.number(0..self.site.tags.len() as u64);
        let name = Name {
            repository: REPOSITORY.to_owned(),
            tag: self.site.tags[usize::try_from(tag).unwrap()].clone(),
        };
        match self.content.number(0..10) {
            0..=3 => self.push(name).await,
            4 => {
                let path = format!("/v2/{REPOSITORY}/manifests/{}", name.tag);
                self.call(Call::Untag(name), async |client| client.delete(&path).await)
                    .await;
            }
            5..=7 => self.read(name).await,
            _ => self.fetch().await,
        }
    }

    async fn read(&self, name: Name) {
        let tag = name.tag.clone();
        let answer = self.call(Call::Read(name), async |client| {
            client.manifest(REPOSITORY, &tag).await
        });
        let Some(answer) = answer.await else {
            return;
        };
        if self.site.pulls {
            for leaf in leaves(&answer) {
                self.get("blobs", leaf).await;
            }
        }
    }

    async fn push(&mut self, name: Name) {
        let size = match self.content.number(0..4) {
            0 => 100_000,
            _ => 200,
        };
        let image = self.content.image(&[size]);
        for blob in &image.blobs {
            let call = Call::Upload(harness::digest(blob));
            let uploaded = self.call(call, async |client| match blob.len() {
                ..=CHUNK => client.push_blob(REPOSITORY, blob.clone()).await,
                _ => {
                    client
                        .push_blob_chunked(REPOSITORY, blob.clone(), CHUNK)
                        .await
                }
            });
            if uploaded.await.is_none() {
                return;
            }
        }
        self.pushed.push(image.clone());
        let tag = name.tag.clone();
        let call = Call::Put(name, image.digest());
        self.call(call, async |client| {
            let manifest = image.manifest.clone();
            client.put_manifest(REPOSITORY, &tag, manifest).await
        })
        .await;
    }

    /// Reads again what it has pushed: the manifest, or one of its blobs.
    async fn fetch(&mut self) {
        if self.pushed.is_empty() {
            return;
        }
        let at = self.content.number(0..self.pushed.len() as u64);
        let image = &self.pushed[usize::try_from(at).unwrap()];
        let (kind, digest) = match self.content.number(0..3) {
            0 => ("manifests", image.digest()),
            blob => (
                "blobs",
                harness::digest(&image.blobs[usize::from(blob == 1)]),
            ),
        };
        self.get(kind, digest).await;
    }

    async fn get(&self, kind: &'static str, digest: Digest) {
        let path = format!("/v2/{REPOSITORY}/{kind}/{digest}");
        self.call(Call::Fetch(kind, digest), async |client| {
            client.get(&path).await
        })
        .await;
    }

    /// The next frontend. All clients take turns, so that the calls of each go to all.
    fn client(&self) -> (Client, usize) {
        let front = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        (self.clients[front].clone(), self.site.first_front + front)
    }

    /// Makes a call, on record; returns the answer if it succeeded.
    async fn call(
        &self,
        call: Call,
        ask: impl AsyncFnOnce(Client) -> Result<Answer, reqwest::Error>,
    ) -> Option<Answer> {
        let (client, front) = self.client();
        let begun = self.history.now();
        let answer = ask(client).await;
        let header = |name| answer.as_ref().is_ok_and(|it| it.header(name).is_some());
        let op = Op {
            client: self.number,
            front,
            begun,
            ended: self.history.now(),
            outcome: call.outcome(&answer),
            is_stale: header("meridian-stale"),
            retry_after: header("retry-after"),
            call,
        };
        let has_succeeded = op.succeeded();
        self.history.record(op);
        answer.ok().filter(|_| has_succeeded)
    }
}

/// What the manifest in an answer names.
pub(crate) fn leaves(answer: &Answer) -> Vec<Digest> {
    // What is no manifest is found by the digest of its bytes.
    let manifest: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let leaves = layers.chain([&manifest["config"]]);
    let digests = leaves.filter_map(|leaf| leaf["digest"].as_str()?.parse().ok());
    digests.collect()
}
