//! A disk that gets full: pushes are refused and say why, nothing that was acknowledged is lost,
//! pulls, deletions and collection go on, and so do pushes when there is room, in the same process.
//!
//! The data directory lies on a small ext4 file system of its own, which takes root; without, these
//! tests pass and say that they were left out.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use harness::{
    Answer, Client, Content, Dev, DevBuilder, Filler, Image, LoopDisk, can_mount, digest,
    eventually, seed,
};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::verb;

const REPOSITORY: &str = "team/app";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: usize = 3 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// A registry on a small disk, and what it acknowledged.
struct Small {
    // Dropped in this order: the process, its disk, the folder of both.
    dev: Option<Dev>,
    disk: LoopDisk,
    _folder: TempDir,
    content: Content,
    images: Vec<Image>,
    manifests: Vec<Bytes>,
    deleted: usize,
}

/// A registry on a disk of 192 MiB, unless nobody may mount one here.
fn small(seed: u64) -> Option<Small> {
    if !can_mount() {
        harness::left_out("a small disk needs root and loop devices");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let disk = LoopDisk::new(root.join("data.img"), root.join("data"), 192);
    let dev = start(disk.path());
    Some(Small {
        dev: Some(dev),
        disk,
        _folder: folder,
        content: Content::new(seed),
        images: Vec::new(),
        manifests: Vec::new(),
        deleted: 0,
    })
}

fn start(data_dir: &Path) -> Dev {
    DevBuilder::new(data_dir)
        .env("MERIDIAN_METADATA__MIN_FREE", "8MiB")
        .env("MERIDIAN_BLOB__UPLOADS__MIN_FREE", "16MiB")
        .env("MERIDIAN_METADATA__DEADLINE", "2s")
        .env("MERIDIAN_METADATA__RETENTION__LEASE", "0s")
        .env("MERIDIAN_METADATA__RETENTION__GRACE", "0s")
        .env("MERIDIAN_BLOB__COLLECTION__INTERVAL", "1h")
        .start()
}

/// An index that names nothing, of about that many bytes.
fn index(content: &mut Content, bytes: usize) -> Bytes {
    let nonce = content.number(0..u64::MAX);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"{nonce}":"{}"}}}}"#,
        "x".repeat(bytes)
    )
    .into()
}

/// Checks that an answer tells of a full disk.
#[track_caller]
fn expect_full(answer: &Answer) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 507, "{body}");
    assert_eq!(body["errors"][0]["code"], "UNAVAILABLE", "{body}");
    let message = body["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("disk is full"), "{message}");
}

impl Small {
    fn client(&self) -> Client {
        self.dev.as_ref().unwrap().client()
    }

    /// Pushes one more image, and remembers it if it was acknowledged.
    async fn push(&mut self) -> Answer {
        let image = self.content.image(&[LAYER]);
        let tag = format!("t{}", self.images.len());
        let answer = self.client().push_image(REPOSITORY, &tag, &image).await;
        let answer = answer.unwrap();
        if answer.status == 201 {
            self.images.push(image);
        }
        answer
    }

    /// Pushes one more manifest without blobs, and remembers it if it was acknowledged.
    async fn put_index(&mut self) -> Answer {
        let manifest = index(&mut self.content, 1 << 20);
        let path = format!("/v2/{REPOSITORY}/manifests/{}", digest(&manifest));
        let headers = [("Content-Type", INDEX)];
        let client = self.client();
        let answer = client.send(Method::PUT, &path, &headers, manifest.clone());
        let answer = answer.await.unwrap();
        if answer.status == 201 {
            self.manifests.push(manifest);
        }
        answer
    }

    /// Checks that all that was acknowledged, and not deleted, is there, byte for byte.
    async fn check(&self) {
        let client = self.client();
        for (number, image) in self.images.iter().enumerate().skip(self.deleted) {
            let answer = client.manifest(REPOSITORY, &format!("t{number}")).await;
            assert!(answer.unwrap().expect(200).body == image.manifest);
            for blob in &image.blobs {
                let answer = client.blob(REPOSITORY, digest(blob)).await;
                assert!(answer.unwrap().expect(200).body == *blob);
            }
        }
        for manifest in &self.manifests {
            let path = format!("/v2/{REPOSITORY}/manifests/{}", digest(manifest));
            let answer = client.get(&path).await.unwrap().expect(200);
            assert!(answer.body == *manifest);
        }
    }

    /// Deletes the oldest image that is left.
    async fn delete_oldest(&mut self) -> Answer {
        let oldest = self.images[self.deleted].digest();
        let path = format!("/v2/{REPOSITORY}/manifests/{oldest}");
        let answer = self.client().delete(&path).await.unwrap();
        if answer.status == 202 {
            self.deleted += 1;
        }
        answer
    }

    /// Writes until the log of a full disk has to wait for room.
    async fn wedge(&self) {
        // Its last block has room for some of these.
        for number in 0..2_000 {
            let path = format!("/v2/{REPOSITORY}/manifests/none{number}");
            let answer = self.client().delete(&path).await.unwrap();
            if answer.status != 404 {
                assert!(matches!(answer.status.as_u16(), 503 | 507), "{answer:?}");
                return;
            }
        }
        panic!("the log found room on a full disk");
    }

    /// Stops the process in order, and starts another one.
    fn restart(&mut self) {
        assert!(self.dev.take().unwrap().stop().success());
        self.dev = Some(start(self.disk.path()));
    }

    /// Waits until an image can be pushed.
    async fn push_again(&mut self) {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.push().await;
            if answer.status == 201 {
                return;
            }
            let now = tokio::time::Instant::now();
            assert!(now < end, "no push within {PATIENCE:?}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_filled_by_pushes_refuses_them_and_is_freed_by_deletions() {
    let Some(mut small) = small(seed(60)) else {
        return;
    };
    let refused = loop {
        let answer = small.push().await;
        if answer.status != 201 {
            break answer;
        }
    };
    expect_full(&refused);
    assert!(small.images.len() > 20, "{} images", small.images.len());
    // Blobs leave room for metadata, which in turn leave some for deletions.
    let refused = loop {
        let answer = small.put_index().await;
        if answer.status != 201 {
            break answer;
        }
    };
    expect_full(&refused);
    assert!(!small.manifests.is_empty());
    small.check().await;
    small.client().get("/v2/").await.unwrap().expect(200);

    for _ in 0..small.images.len() / 2 {
        small.delete_oldest().await.expect(202);
    }
    let freed = verb(small.disk.path(), &["gc"]);
    assert!(freed["removed"]["count"].as_u64().unwrap() > 20, "{freed}");
    small.push_again().await;
    for _ in 0..5 {
        small.push().await.expect(201);
    }
    small.put_index().await.expect(201);
    small.check().await;

    small.restart();
    small.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_room_can_be_stopped() {
    let Some(mut small) = small(seed(62)) else {
        return;
    };
    for _ in 0..3 {
        small.push().await.expect(201);
    }
    let filler = Filler::new(small.disk.path());
    small.wedge().await;
    assert!(small.dev.take().unwrap().stop().success());
    drop(filler);
    small.dev = Some(start(small.disk.path()));
    small.check().await;
    small.push().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_somebody_else_fills_to_the_last_byte_costs_nothing_but_time() {
    let Some(mut small) = small(seed(61)) else {
        return;
    };
    for _ in 0..10 {
        small.push().await.expect(201);
    }
    let filler = Filler::new(small.disk.path());
    eventually("pushes are refused", PATIENCE, || async {
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
        let client = small.client();
        let answer = client.send(Method::POST, &path, &[], Bytes::new()).await;
        (answer.unwrap().status == 507).then_some(())
    })
    .await;
    expect_full(&small.push().await);
    expect_full(&small.put_index().await);
    small.check().await;
    small.wedge().await;
    small.check().await;

    drop(filler);
    small.push_again().await;
    small.delete_oldest().await.expect(202);
    small.check().await;
    small.restart();
    small.check().await;
}
