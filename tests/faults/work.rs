//! Clients that push, pull and delete, until they are told to stop.
//!
//! What each does follows from the seed and from what it was told. They share a few tags, so that
//! their writes meet; each image is pushed once, so that what a tag shows says who wrote it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Answer, Client, Content, Image};
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

const REPOSITORY: &str = "team/app";

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
    next: Arc<AtomicUsize>,
    history: History,
    pushed: Vec<Image>,
}

/// A client that does not wait for ever.
pub(crate) fn client(base: &str) -> Client {
    Client::with_patience(base, PATIENCE)
}

// === impl Work ===

impl Work {
    /// Has clients begin to ask these frontends in turn.
    pub(crate) fn begin(seed: u64, bases: &[String]) -> Self {
        let (history, stop) = (History::new(), Arc::new(AtomicBool::new(false)));
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let mut worker = Worker {
                number,
                content: Content::new(seed * 1_000 + number as u64),
                clients: bases.iter().map(|base| client(base)).collect(),
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
        let tag = format!("t{}", self.content.number(0..TAGS));
        let name = Name {
            repository: REPOSITORY.to_owned(),
            tag,
        };
        match self.content.number(0..10) {
            0..=3 => self.push(name).await,
            4 => {
                let path = format!("/v2/{REPOSITORY}/manifests/{}", name.tag);
                self.call(Call::Untag(name), async |client| client.delete(&path).await)
                    .await;
            }
            5..=7 => {
                let tag = name.tag.clone();
                self.call(Call::Read(name), async |client| {
                    client.manifest(REPOSITORY, &tag).await
                })
                .await;
            }
            _ => self.fetch().await,
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
            if !uploaded.await {
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
        let path = format!("/v2/{REPOSITORY}/{kind}/{digest}");
        self.call(Call::Fetch(kind, digest), async |client| {
            client.get(&path).await
        })
        .await;
    }

    /// The next frontend. All clients take turns, so that the calls of each go to all.
    fn client(&self) -> (Client, usize) {
        let front = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        (self.clients[front].clone(), front)
    }

    /// Makes a call, on record; returns whether it succeeded.
    async fn call(
        &self,
        call: Call,
        ask: impl AsyncFnOnce(Client) -> Result<Answer, reqwest::Error>,
    ) -> bool {
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
        has_succeeded
    }
}
