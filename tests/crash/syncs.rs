//! Syncs that fail, after which the kernel takes for written what it could not write.
//!
//! The file systems believe to have room, and what they lie on has none. What is read back then is
//! in the page cache and on no disk; who builds on it, or asks for a second sync, is told that all is
//! well, and loses it with the power.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use harness::{Answer, Backing, Client, Content, Dev, DevBuilder, LoopDisk};
use harness::{can_mount, cut_power, digest, seed};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;

const REPOSITORY: &str = "team/app";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Blobs that are pushed at once.
const AT_ONCE: usize = 16;
/// After so many waves of them every folder is there.
const FOLDERS_AFTER: usize = 120;
/// How long blobs are pushed that find no room.
const WITHOUT_ROOM: Duration = Duration::from_secs(10);

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
#[ignore = "kills processes for minutes: cargo xtask crash"]
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

/// Those that are lost are those whose bytes the failed sync of others took along, and that asked
/// only afterwards. Which those are is chance, so this can miss such a loss. Without the fix, two runs
/// acknowledged 58 of 4464 and 6 of 4944 blobs, and lost them all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn a_blob_that_the_failed_sync_of_others_took_along_is_not_acknowledged() {
    require_mounts();
    let mut content = Content::new(seed(6));
    let mut thin = Thin::new("data/blobs");
    let data_dir = thin.disk.path().parent().unwrap().to_owned();
    // Later blobs need no folders, and so no room for new ones.
    let dev = start(&data_dir);
    for _ in 0..FOLDERS_AFTER {
        let blobs = wave(&mut content);
        let pushed = push(&dev.client(), &blobs).await;
        assert_eq!(pushed.len(), blobs.len());
    }
    assert!(dev.stop().success());
    thin.disk.thin();

    let dev = start(&data_dir);
    let client = dev.client();
    let filler = thin.backing.fill();
    let (mut kept, mut sent) = (Vec::new(), 0);
    let end = Instant::now() + WITHOUT_ROOM;
    while Instant::now() < end {
        let blobs = wave(&mut content);
        sent += blobs.len();
        kept.extend(push(&client, &blobs).await);
    }
    eprintln!("without room: {} of {sent} acknowledged", kept.len());
    assert!(kept.len() < sent, "no sync has failed");
    drop(filler);
    dev.kill();
    thin.disk.restore();

    let dev = start(&data_dir);
    let mut lost = Vec::new();
    for blob in &kept {
        let what = match dev.client().blob(REPOSITORY, digest(blob)).await {
            Ok(answer) if answer.status != StatusCode::OK => answer.status.to_string(),
            Ok(answer) if answer.body == *blob => continue,
            Ok(_) => "other bytes".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        lost.push(format!("{}: {what}", digest(blob)));
    }
    let (lost_count, kept_count) = (lost.len(), kept.len());
    assert!(lost.is_empty(), "{lost_count} of {kept_count}: {lost:#?}");
    assert!(dev.stop().success());
}

/// Blobs that are pushed at once, each large enough to become a file.
fn wave(content: &mut Content) -> Vec<Bytes> {
    (0..AT_ONCE).map(|_| content.bytes(17_000)).collect()
}

/// Pushes blobs at once: those that were acknowledged.
async fn push(client: &Client, blobs: &[Bytes]) -> Vec<Bytes> {
    let pushes = blobs.iter().map(|blob| async {
        let answer = client.push_blob(REPOSITORY, blob.clone()).await;
        let is_kept = answer.is_ok_and(|answer| answer.status == StatusCode::CREATED);
        is_kept.then(|| blob.clone())
    });
    join_all(pushes).await.into_iter().flatten().collect()
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
        let disk = LoopDisk::of_pages(image, root.join(mount), 256);
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
