//! Clients that push, mount, move tags and delete, until the registry is gone.

use std::sync::{Arc, Mutex};

use harness::{Client, Content, Image, digest, with_digest};
use reqwest::StatusCode;

use crate::ledger::Ledger;

/// The ledger, shared by the clients.
pub(crate) type Shared = Arc<Mutex<Ledger>>;

/// What a client does next.
enum Step {
    Push,
    PushChunked,
    Mount,
    Untag,
    DeleteManifest,
    PushWrong,
    Pull,
}

/// The outcome is not known: the registry is gone.
struct Gone;

impl From<reqwest::Error> for Gone {
    fn from(_: reqwest::Error) -> Self {
        Self
    }
}

/// Runs that many clients until each of them has lost the registry, or has taken `steps` steps.
pub(crate) async fn run(client: &Client, ledger: &Shared, seed: u64, clients: u64, steps: u64) {
    let tasks = (0..clients).map(|number| {
        let worker = Worker {
            client: client.clone(),
            ledger: Arc::clone(ledger),
            content: Content::new(seed.wrapping_mul(1_000_003).wrapping_add(number)),
            repository: format!("team/app{number}"),
            donor: format!("team/app{}", (number + 1) % clients),
            pushed: Vec::new(),
        };
        tokio::task::spawn(worker.run(steps))
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

struct Worker {
    client: Client,
    ledger: Shared,
    content: Content,
    repository: String,
    donor: String,
    pushed: Vec<Image>,
}

impl Worker {
    async fn run(mut self, steps: u64) {
        for number in 0..steps {
            let step = match self.content.number(0..10) {
                0..=3 => Step::Push,
                4..=5 => Step::PushChunked,
                6 => Step::Mount,
                7 if number % 2 == 0 => Step::Pull,
                7 => Step::Untag,
                8 if number % 2 == 0 => Step::PushWrong,
                _ => Step::DeleteManifest,
            };
            let done = match step {
                Step::Push => self.push(number, false).await,
                Step::PushChunked => self.push(number, true).await,
                Step::Mount => self.mount(number).await,
                Step::Untag => self.untag(number).await,
                Step::DeleteManifest => self.delete().await,
                Step::PushWrong => self.push_wrong().await,
                Step::Pull => self.pull().await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    fn index(&mut self, range: std::ops::Range<u64>) -> usize {
        usize::try_from(self.content.number(range)).unwrap()
    }

    async fn push(&mut self, number: u64, chunked: bool) -> Result<(), Gone> {
        // One layer that is kept in the metadata, and one that is kept in the store.
        let small = self.index(1..16_000);
        let large = self.index(17_000..400_000);
        let image = self.content.image(&[small, large]);
        for blob in &image.blobs {
            let answer = if chunked {
                self.client
                    .push_blob_chunked(&self.repository, blob.clone(), 50_000)
                    .await?
            } else {
                self.client
                    .push_blob(&self.repository, blob.clone())
                    .await?
            };
            if answer.status != StatusCode::CREATED {
                return self.refused(&answer);
            }
            self.ledger().blob(&self.repository, digest(blob));
        }
        self.put(number, image).await
    }

    async fn put(&mut self, number: u64, image: Image) -> Result<(), Gone> {
        let tag = format!("t{}", number % 7);
        let value = Some(image.digest());
        self.ledger().tag_sent(&self.repository, &tag, value);
        let answer = self
            .client
            .put_manifest(&self.repository, &tag, image.manifest.clone())
            .await?;
        if answer.status != StatusCode::CREATED {
            return self.refused(&answer);
        }
        let mut ledger = self.ledger();
        ledger.manifest(&self.repository, &image);
        ledger.tag_done(&self.repository, &tag, value);
        drop(ledger);
        self.pushed.push(image);
        Ok(())
    }

    /// Pushes an image whose layers come from another repository, where they can.
    async fn mount(&mut self, number: u64) -> Result<(), Gone> {
        let shared = self.content.bytes(40_000);
        let answer = self.client.push_blob(&self.donor, shared.clone()).await?;
        if answer.status != StatusCode::CREATED {
            return self.refused(&answer);
        }
        self.ledger().blob(&self.donor, digest(&shared));
        let (repository, donor) = (&self.repository, &self.donor);
        let mount = digest(&shared);
        let path = format!("/v2/{repository}/blobs/uploads/?mount={mount}&from={donor}");
        let answer = self
            .client
            .send(reqwest::Method::POST, &path, &[], bytes::Bytes::new())
            .await?;
        if answer.status != StatusCode::CREATED {
            return self.refused(&answer);
        }
        self.ledger().blob(repository, mount);
        let config = self.content.image(&[]).blobs.remove(0);
        let answer = self.client.push_blob(repository, config.clone()).await?;
        if answer.status != StatusCode::CREATED {
            return self.refused(&answer);
        }
        self.put(number, Image::of(vec![config, shared])).await
    }

    async fn untag(&mut self, number: u64) -> Result<(), Gone> {
        let tag = format!("t{}", number % 7);
        self.ledger().tag_sent(&self.repository, &tag, None);
        let path = format!("/v2/{}/manifests/{tag}", self.repository);
        let answer = self.client.delete(&path).await?;
        match answer.status {
            StatusCode::ACCEPTED | StatusCode::NOT_FOUND => {
                self.ledger().tag_done(&self.repository, &tag, None);
                Ok(())
            }
            _ => self.refused(&answer),
        }
    }

    async fn delete(&mut self) -> Result<(), Gone> {
        if self.pushed.is_empty() {
            return Ok(());
        }
        let victim = self.index(0..self.pushed.len() as u64);
        let victim = self.pushed.swap_remove(victim).digest();
        self.ledger().forget_manifest(&self.repository, victim);
        let path = format!("/v2/{}/manifests/{victim}", self.repository);
        let answer = self.client.delete(&path).await?;
        match answer.status {
            StatusCode::ACCEPTED | StatusCode::NOT_FOUND => Ok(()),
            _ => self.refused(&answer),
        }
    }

    /// Pulls an image that nobody else deletes. A pull that breaks off is visibly cut.
    async fn pull(&mut self) -> Result<(), Gone> {
        let Some(image) = self.pushed.last() else {
            return Ok(());
        };
        for blob in &image.blobs {
            let path = format!("/v2/{}/blobs/{}", self.repository, digest(blob));
            let answer = self.client.get(&path).await?;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert!(answer.body == *blob, "{path} has other bytes");
        }
        Ok(())
    }

    /// Pushes bytes under a digest that is not theirs: nothing of it may ever be seen.
    async fn push_wrong(&mut self) -> Result<(), Gone> {
        let bytes = self.content.bytes(30_000);
        let location = self.client.start_upload(&self.repository).await?;
        let path = with_digest(&location, digest(b"other bytes"));
        let put = reqwest::Method::PUT;
        let answer = self.client.send(put, &path, &[], bytes).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        Ok(())
    }

    /// A refusal promises nothing. One that nobody should get is a failure of its own.
    fn refused(&self, answer: &harness::Answer) -> Result<(), Gone> {
        let collected = self.ledger().collects && answer.status == StatusCode::BAD_REQUEST;
        let may_be = collected || answer.status.is_server_error() || answer.status == 202;
        let text = String::from_utf8_lossy(&answer.body);
        assert!(may_be, "{}: {text}", answer.status);
        Ok(())
    }
}
