//! Syncs that fail, after which the kernel takes for written what it could not write.
//!
//! The file systems believe to have room, and what they lie on has none. What is read back then is
//! in the page cache and on no disk; who builds on it, or asks for a second sync, is told that all is
//! well, and loses it with the power.

use std::path::Path;

use bytes::Bytes;
use harness::{Answer, Backing, Client, Content, Dev, DevBuilder, LoopDisk};
use harness::{can_mount, cut_power, seed};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;

const REPOSITORY: &str = "team/app";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A data directory, or the folder of its blobs, on a disk whose syncs can be made to fail.
struct Thin {
    // Dropped in this order: the disk, what it lies in, what is not on it, the folder of all.
    disk: LoopDisk,
    backing: Backing,
    _memory: Backing,
    _folder: TempDir,
}

/// Manifests that were acknowledged, by tag.
type Tags = Vec<(String, Bytes)>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: `cargo xtask crash` runs it"]
async fn a_log_that_could_not_be_synced_is_not_built_upon_by_the_next_start() {
    require_mounts();
    let mut content = Content::new(seed(5));
    let mut thin = Thin::new("data");
    thin.disk.thin();
    let mut kept = Tags::new();
    let mut dev = start(thin.disk.path());
    for number in 1..=3 {
        put(&dev.client(), &mut content, number, &mut kept).await;
    }

    let filler = thin.backing.fill();
    let refused = index(&mut content, 600_000);
    let answer = put_index(&dev.client(), "t4", &refused).await;
    let status = answer.map(|answer| answer.status);
    eprintln!("without room: {status:?}");
    assert!(!matches!(status, Ok(StatusCode::CREATED)), "{status:?}");
    dev.end();
    drop(filler);

    // The same mount: the page cache is still there.
    let dev = start(thin.disk.path());
    let answer = dev.client().manifest(REPOSITORY, "t4").await.unwrap();
    eprintln!("what was refused is answered {}", answer.status);
    if answer.status == StatusCode::OK {
        assert!(answer.body == refused, "t4 has other bytes");
        kept.push(("t4".to_owned(), refused));
    }
    for number in 10..=12 {
        put(&dev.client(), &mut content, number, &mut kept).await;
    }
    cut_power(&[&thin.disk]);
    dev.kill();
    thin.disk.restore();

    let dev = start(thin.disk.path());
    for (tag, bytes) in &kept {
        let answer = dev.client().manifest(REPOSITORY, tag).await.unwrap();
        assert!(answer.expect(200).body == *bytes, "{tag} has other bytes");
    }
    eprintln!("{} tags kept", kept.len());
    assert!(dev.stop().success());
}

fn start(data_dir: &Path) -> Dev {
    DevBuilder::new(data_dir)
        .env("MERIDIAN_METADATA__DEADLINE", "5s")
        .env("MERIDIAN_GRACE", "1s")
        .start()
}

/// An index that names nothing, of about that many bytes.
fn index(content: &mut Content, bytes: usize) -> Bytes {
    let nonce = content.number(0..u64::MAX);
    let filling = "x".repeat(bytes);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"{nonce}":"{filling}"}}}}"#
    )
    .into()
}

async fn put_index(client: &Client, tag: &str, bytes: &Bytes) -> reqwest::Result<Answer> {
    let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
    let headers = [("Content-Type", INDEX)];
    client
        .send(Method::PUT, &path, &headers, bytes.clone())
        .await
}

/// Puts one more manifest, which is acknowledged.
async fn put(client: &Client, content: &mut Content, number: u64, kept: &mut Tags) {
    let (tag, bytes) = (format!("t{number}"), index(content, 100));
    let answer = put_index(client, &tag, &bytes).await;
    answer.unwrap().expect(201);
    kept.push((tag, bytes));
}

// === impl Thin ===

impl Thin {
    /// A disk that is mounted at `mount` in a folder of its own.
    fn new(mount: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // What is not on the disk, metadata for example, always has room, and costs no time.
        let memory = Backing::new(root.to_owned(), 1024);
        let backing = Backing::new(root.join("backing"), 330);
        let image = backing.path().join("disk.img");
        let disk = LoopDisk::new(image, root.join(mount), 256);
        Self {
            disk,
            backing,
            _memory: memory,
            _folder: folder,
        }
    }
}

#[track_caller]
fn require_mounts() {
    assert!(
        can_mount(),
        "failed syncs need root and loop devices: run as root, or leave this test out by name"
    );
}
