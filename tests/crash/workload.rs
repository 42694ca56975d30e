//! Clients that push, mount, move tags and delete, until the registry is gone.
//!
//! Each has a repository of its own. What it does follows from the seed and from the answers. Every
//! answer is held against the ledger at once: what was deleted and is answered, or was put and is
//! not, fails there.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use harness::{Answer, Client, Content, Image, digest, with_digest};
use meridian_oci::Digest;
use reqwest::{Method, StatusCode};
use tokio::task::JoinHandle;

use crate::ledger::{Fate, Ledger};

/// The ledger, shared by the clients.
pub(crate) type Shared = Arc<Mutex<Ledger>>;

/// After so many requests in a row whose outcome is unknown, a client takes the registry for gone.
const PATIENCE: u64 = 3;
/// So many steps a client goes on with after the power went, if it is let.
const AFTERWARDS: u64 = 20;
/// Tags of a client.
const TAGS: u64 = 7;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: u64,
    /// Steps of each client.
    pub(crate) steps: u64,
    /// Whether blobs are large enough to become files. Otherwise only the metadata is written.
    pub(crate) stores: bool,
}

/// What a client does next.
enum Step {
    Push,
    PushChunked,
    Mount,
    Retag,
    Restore,
    Untag,
    DeleteManifest,
    DeleteBlob,
    DeleteNeededBlob,
    PushWrong,
    Pull,
    Miss,
}

/// The outcome is not known.
struct Unknown;

impl From<reqwest::Error> for Unknown {
    fn from(_: reqwest::Error) -> Self {
        Self
    }
}

/// Clients at work.
pub(crate) struct Work {
    clients: Vec<JoinHandle<()>>,
    ledger: Shared,
}

struct Worker {
    client: Client,
    ledger: Shared,
    content: Content,
    load: Load,
    repository: String,
    donor: String,
    /// Images that are there.
    pushed: Vec<Image>,
    /// Images that were deleted.
    deleted: Vec<Image>,
    /// Blobs that no manifest needs, and their repositories.
    loose: Vec<(String, Digest)>,
    /// Tags whose last write may still take effect are left behind with the life.
    life: u64,
}

// === impl Load ===

impl Load {
    /// Work that only an end of the registry ends.
    pub(crate) const fn endless(clients: u64) -> Self {
        Self {
            clients,
            steps: u64::MAX,
            stores: true,
        }
    }
}

// === impl Work ===

impl Work {
    /// Sets clients to work. They go on where the ledger stands.
    pub(crate) fn begin(client: &Client, ledger: &Shared, seed: u64, load: Load) -> Self {
        let clients = (0..load.clients).map(|number| {
            let worker = Worker::new(client, ledger, seed, number, load);
            tokio::task::spawn(worker.run())
        });
        Self {
            clients: clients.collect(),
            ledger: Arc::clone(ledger),
        }
    }

    /// Waits for that many more promises, while all clients are at work.
    pub(crate) async fn promises(&self, more: u64) {
        let mut answers = self.ledger.lock().unwrap().answers();
        let goal = *answers.borrow() + more;
        let reached = answers.wait_for(|answers| *answers >= goal);
        let reached = tokio::time::timeout(std::time::Duration::from_secs(60), reached);
        drop(reached.await.expect("the clients get no answers"));
    }

    /// How many clients are at work; each has a request under way.
    pub(crate) fn under_way(&self) -> usize {
        let at_work = |client: &&JoinHandle<()>| !client.is_finished();
        self.clients.iter().filter(at_work).count()
    }

    /// Waits until each client has lost the registry, or has taken its steps.
    pub(crate) async fn end(self) {
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

// === impl Worker ===

impl Worker {
    fn new(client: &Client, ledger: &Shared, seed: u64, number: u64, load: Load) -> Self {
        let repository = format!("team/app{number}");
        let (pushed, deleted) = {
            let ledger = ledger.lock().unwrap();
            let images = |fate| ledger.images(&repository, fate);
            (images(Fate::Present), images(Fate::Absent))
        };
        Self {
            client: client.clone(),
            ledger: Arc::clone(ledger),
            content: Content::new(seed.wrapping_mul(1_000_003).wrapping_add(number)),
            donor: format!("team/app{}", (number + 1) % load.clients),
            load,
            repository,
            pushed,
            deleted,
            loose: Vec::new(),
            life: 0,
        }
    }

    async fn run(mut self) {
        let (mut unknown, mut afterwards) = (0, 0);
        for _ in 0..self.load.steps {
            match self.step().await {
                Ok(()) => unknown = 0,
                Err(Unknown) => {
                    self.life += 1;
                    unknown += 1;
                }
            }
            afterwards += u64::from(self.ledger().is_cut());
            if unknown == PATIENCE || afterwards == AFTERWARDS {
                return;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Unknown> {
        let step = match self.content.number(0..20) {
            0..=4 => Step::Push,
            5..=6 if self.load.stores => Step::PushChunked,
            5..=6 => Step::Push,
            7..=8 => Step::Mount,
            9 => Step::Retag,
            10 => Step::Restore,
            11..=12 => Step::Untag,
            13..=14 => Step::DeleteManifest,
            15 => Step::DeleteBlob,
            16 => Step::DeleteNeededBlob,
            17 if self.load.stores => Step::PushWrong,
            18 => Step::Miss,
            _ => Step::Pull,
        };
        match step {
            Step::Push => self.push(false).await,
            Step::PushChunked => self.push(true).await,
            Step::Mount => self.mount().await,
            Step::Retag => self.retag().await,
            Step::Restore => self.restore().await,
            Step::Untag => self.untag().await,
            Step::DeleteManifest => self.delete_manifest().await,
            Step::DeleteBlob => self.delete_blob().await,
            Step::DeleteNeededBlob => self.delete_needed_blob().await,
            Step::PushWrong => self.push_wrong().await,
            Step::Pull => self.pull().await,
            Step::Miss => self.miss().await,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    fn size(&mut self, range: std::ops::Range<u64>) -> usize {
        usize::try_from(self.content.number(range)).unwrap()
    }

    fn some_tag(&mut self) -> String {
        format!("t{}-{}", self.life, self.content.number(0..TAGS))
    }

    /// Takes one of several out of their list.
    fn take<T>(&mut self, list: impl Fn(&mut Self) -> &mut Vec<T>) -> Option<T> {
        let length = list(self).len() as u64;
        let chosen = (length > 0).then(|| self.size(0..length))?;
        Some(list(self).swap_remove(chosen))
    }

    async fn push(&mut self, chunked: bool) -> Result<(), Unknown> {
        // One layer that is kept in the metadata, and one that is kept in the store.
        let small = self.size(1..16_000);
        let large = self.size(17_000..400_000);
        let layers = [small, large];
        let kept = if self.load.stores { 2 } else { 1 };
        let image = self.content.image(&layers[..kept]);
        self.put_image(image, chunked).await
    }

    async fn put_image(&mut self, image: Image, chunked: bool) -> Result<(), Unknown> {
        for blob in &image.blobs {
            let repository = self.repository.clone();
            if !self.put_blob(&repository, blob, chunked).await? {
                return Ok(());
            }
        }
        self.put_manifest(image).await
    }

    /// Whether it was put, and not refused.
    async fn put_blob(
        &self,
        repository: &str,
        blob: &Bytes,
        chunked: bool,
    ) -> Result<bool, Unknown> {
        self.ledger().blob_sent(repository, digest(blob));
        let answer = if chunked {
            let chunks = self
                .client
                .push_blob_chunked(repository, blob.clone(), 50_000);
            chunks.await?
        } else {
            self.client.push_blob(repository, blob.clone()).await?
        };
        if answer.status != StatusCode::CREATED {
            return self.refused(&answer).map(|()| false);
        }
        self.ledger().blob_put(repository, digest(blob));
        Ok(true)
    }

    async fn put_manifest(&mut self, image: Image) -> Result<(), Unknown> {
        let tag = self.some_tag();
        let repository = &self.repository;
        self.ledger().manifest_sent(repository, &tag, &image);
        let bytes = image.manifest.clone();
        let put = self.client.put_manifest(repository, &tag, bytes);
        let answer = put.await?;
        if answer.status != StatusCode::CREATED {
            return self.refused(&answer);
        }
        self.ledger().manifest_put(repository, &tag, &image);
        self.pushed.push(image);
        Ok(())
    }

    /// Pushes an image whose layer comes from another repository.
    async fn mount(&mut self) -> Result<(), Unknown> {
        let length = if self.load.stores { 40_000 } else { 10_000 };
        let shared = self.content.bytes(length);
        let (repository, donor) = (self.repository.clone(), self.donor.clone());
        if !self.put_blob(&donor, &shared, false).await? {
            return Ok(());
        }
        let mount = digest(&shared);
        self.ledger().blob_sent(&repository, mount);
        let path = format!("/v2/{repository}/blobs/uploads/?mount={mount}&from={donor}");
        let answer = self
            .client
            .send(Method::POST, &path, &[], Bytes::new())
            .await?;
        if answer.status != StatusCode::CREATED {
            return self.refused(&answer);
        }
        self.ledger().blob_put(&repository, mount);
        if donor != repository {
            self.loose.push((donor, mount));
        }
        let config = self.content.image(&[]).blobs.remove(0);
        if !self.put_blob(&repository, &config, false).await? {
            return Ok(());
        }
        self.put_manifest(Image::of(vec![config, shared])).await
    }

    /// Moves a tag to an image that is there.
    async fn retag(&mut self) -> Result<(), Unknown> {
        match self.take(|worker| &mut worker.pushed) {
            Some(image) => self.put_manifest(image).await,
            None => Ok(()),
        }
    }

    /// Pushes an image that was deleted.
    async fn restore(&mut self) -> Result<(), Unknown> {
        let Some(image) = self.take(|worker| &mut worker.deleted) else {
            return Ok(());
        };
        let of = |blob: &Digest| image.blobs.iter().all(|other| digest(other) != *blob);
        self.loose.retain(|(_, blob)| of(blob));
        self.put_image(image, false).await
    }

    async fn untag(&mut self) -> Result<(), Unknown> {
        let tag = self.some_tag();
        let before = self.ledger().tag(&self.repository, &tag);
        self.ledger().tag_sent(&self.repository, &tag, None);
        let path = format!("/v2/{}/manifests/{tag}", self.repository);
        let answer = self.client.delete(&path).await?;
        match answer.status {
            StatusCode::ACCEPTED => assert_ne!(before, [None], "{path} was not there"),
            StatusCode::NOT_FOUND => assert!(before.contains(&None), "{path} was lost"),
            _ => return self.refused(&answer),
        }
        self.ledger().tag_done(&self.repository, &tag, None);
        Ok(())
    }

    async fn delete_manifest(&mut self) -> Result<(), Unknown> {
        let Some(image) = self.take(|worker| &mut worker.pushed) else {
            return Ok(());
        };
        self.ledger().manifest_delete_sent(&self.repository, &image);
        let path = format!("/v2/{}/manifests/{}", self.repository, image.digest());
        let answer = self.client.delete(&path).await?;
        if answer.status != StatusCode::ACCEPTED {
            return self.refused(&answer);
        }
        self.ledger().manifest_deleted(&self.repository, &image);
        let loose = image.blobs.iter();
        let loose = loose.map(|blob| (self.repository.clone(), digest(blob)));
        self.loose.extend(loose);
        self.deleted.push(image);
        Ok(())
    }

    async fn delete_blob(&mut self) -> Result<(), Unknown> {
        let Some((repository, blob)) = self.take(|worker| &mut worker.loose) else {
            return Ok(());
        };
        let before = self.ledger().blob(&repository, blob);
        self.ledger().blob_delete_sent(&repository, blob);
        let path = format!("/v2/{repository}/blobs/{blob}");
        let answer = self.client.delete(&path).await?;
        match answer.status {
            StatusCode::ACCEPTED => assert_ne!(before, Fate::Absent, "{path} was not there"),
            StatusCode::NOT_FOUND => {
                let may_be = before != Fate::Present || self.ledger().collects;
                assert!(may_be, "{path} was lost");
            }
            _ => return self.refused(&answer),
        }
        self.ledger().blob_deleted(&repository, blob);
        Ok(())
    }

    /// Tries to delete a blob that a manifest needs: it stays.
    async fn delete_needed_blob(&mut self) -> Result<(), Unknown> {
        let Some(image) = self.pushed.last() else {
            return Ok(());
        };
        let path = format!("/v2/{}/blobs/{}", self.repository, digest(&image.blobs[0]));
        let answer = self.client.delete(&path).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(());
        }
        self.refused(&answer)
    }

    /// Pulls an image that nobody else deletes. A pull that breaks off is visibly cut.
    async fn pull(&mut self) -> Result<(), Unknown> {
        let Some(image) = self.pushed.last() else {
            return Ok(());
        };
        for blob in &image.blobs {
            let path = format!("/v2/{}/blobs/{}", self.repository, digest(blob));
            let answer = self.client.get(&path).await?;
            if answer.status != StatusCode::OK {
                return self.refused(&answer);
            }
            assert!(answer.body == *blob, "{path} has other bytes");
        }
        Ok(())
    }

    /// Asks for what was deleted.
    async fn miss(&mut self) -> Result<(), Unknown> {
        let Some(image) = self.deleted.last() else {
            return Ok(());
        };
        let reference = image.digest().to_string();
        let answer = self.client.manifest(&self.repository, &reference).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        self.refused(&answer)
    }

    /// Pushes bytes under a digest that is not theirs: nothing of it may ever be seen.
    async fn push_wrong(&mut self) -> Result<(), Unknown> {
        let bytes = self.content.bytes(30_000);
        let opened = self.client.open_upload(&self.repository).await?;
        let Some(location) = opened.header("location") else {
            return self.refused(&opened);
        };
        let path = with_digest(location, digest(b"other bytes"));
        let answer = self.client.send(Method::PUT, &path, &[], bytes).await?;
        if answer.status == StatusCode::BAD_REQUEST {
            return Ok(());
        }
        self.refused(&answer)
    }

    /// A refusal promises nothing, and one by the server's fault leaves the outcome open. One that
    /// nobody should get is a failure of its own.
    fn refused(&self, answer: &Answer) -> Result<(), Unknown> {
        if answer.status.is_server_error() {
            return Err(Unknown);
        }
        let collected = [StatusCode::BAD_REQUEST, StatusCode::ACCEPTED];
        let may_be = self.ledger().collects && collected.contains(&answer.status);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(may_be, "{}: {text}", answer.status);
        Ok(())
    }
}
