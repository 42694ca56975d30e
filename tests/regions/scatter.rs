//! A push whose every request is sent to another region: what a name service that answers in turn does
//! to clients.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use harness::{Answer, Client, Content, Image, Regions, digest, seed, with_digest};
use reqwest::Method;

const NAMES: [&str; 3] = ["eu", "us", "asia"];
const PUSHES: usize = 500;
/// How many go on at once.
const AT_ONCE: usize = 12;

/// Sends each request to a region of its own.
struct Scattered {
    clients: Vec<Client>,
    content: Mutex<Content>,
}

// === impl Scattered ===

impl Scattered {
    fn image(&self) -> Image {
        self.content().image(&[3_000])
    }

    fn client(&self) -> &Client {
        let at = self.content().number(0..self.clients.len() as u64);
        &self.clients[usize::try_from(at).unwrap()]
    }

    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a blob in two chunks and an end. Says what was not as it should be.
    async fn push_blob(&self, repository: &str, blob: &Bytes) -> Result<(), String> {
        let opened = self.client().open_upload(repository).await;
        let mut location = location(ok(opened, 202)?);
        let half = blob.len() / 2;
        for piece in [0..half, half..blob.len()] {
            let range = format!("{}-{}", piece.start, piece.end - 1);
            let headers = [("Content-Range", range.as_str())];
            let sent = self
                .client()
                .send(
                    Method::PATCH,
                    &location,
                    &headers,
                    blob.slice(piece.clone()),
                )
                .await;
            location = self::location(ok(sent, 202)?);
            let at = ok(self.client().get(&location).await, 204)?;
            let expected = format!("0-{}", piece.end - 1);
            if at.header("range") != Some(&expected) {
                return Err(format!("{:?} instead of {expected}", at.header("range")));
            }
        }
        let path = with_digest(&location, digest(blob));
        let finished = self
            .client()
            .send(Method::PUT, &path, &[], Bytes::new())
            .await;
        ok(finished, 201).map(drop)
    }

    async fn push(&self, repository: &str, tag: &str) -> Result<(), String> {
        let image = self.image();
        for blob in &image.blobs {
            self.push_blob(repository, blob).await?;
        }
        let manifest = image.manifest.clone();
        ok(
            self.client().put_manifest(repository, tag, manifest).await,
            201,
        )?;
        let pulled = ok(self.client().manifest(repository, tag).await, 200)?;
        if pulled.body != image.manifest {
            return Err("another manifest was pulled".to_owned());
        }
        for blob in &image.blobs {
            let pulled = ok(self.client().blob(repository, digest(blob)).await, 200)?;
            if pulled.body != *blob {
                return Err("another blob was pulled".to_owned());
            }
        }
        Ok(())
    }
}

fn ok(answer: reqwest::Result<Answer>, status: u16) -> Result<Answer, String> {
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    if answer.status == status {
        return Ok(answer);
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(format!("{} instead of {status}: {text}", answer.status))
}

fn location(answer: Answer) -> String {
    answer.header("location").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_may_send_every_request_to_another_region() {
    let folder = tempfile::tempdir().unwrap();
    let regions = Regions::start(&NAMES, folder.path(), Some("20ms,50MB/s"));
    let scattered = Scattered {
        clients: regions.bases().map(Client::new).collect(),
        content: Mutex::new(Content::new(seed(65))),
    };
    let pushes = (0..PUSHES).map(|number| {
        let scattered = &scattered;
        async move {
            let (repository, tag) = (format!("team/app{}", number % 7), format!("t{number}"));
            let pushed = scattered.push(&repository, &tag).await;
            pushed.map_err(|error| format!("push {number}: {error}"))
        }
    });
    let pushed: Vec<_> = futures::stream::iter(pushes)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let failed: Vec<_> = pushed.iter().filter_map(|it| it.as_ref().err()).collect();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}
