//! Garbage collection, and the verbs of the command line.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{Content, DevBuilder, binary, digest, eventually, seed};

use crate::verb;

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_needs_is_freed_by_itself_and_what_is_needed_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(30));
    let kept = content.image(&[50_000]);
    let dropped = content.image(&[60_000]);
    let dev = DevBuilder::new(folder.path())
        .env("MERIDIAN_METADATA__RETENTION__LEASE", "2s")
        .env("MERIDIAN_METADATA__RETENTION__GRACE", "1s")
        .env("MERIDIAN_BLOB__COLLECTION__INTERVAL", "200ms")
        .start();
    let client = dev.client();
    for (tag, image) in [("kept", &kept), ("dropped", &dropped)] {
        let answer = client.push_image("team/app", tag, image).await;
        answer.unwrap().expect(201);
    }
    let path = format!("/v2/team/app/manifests/{}", dropped.digest());
    client.delete(&path).await.unwrap().expect(202);
    eventually(
        "the blobs of the deleted image go",
        Duration::from_secs(30),
        || async {
            let mut gone = true;
            for blob in &dropped.blobs {
                let answer = client.blob("team/app", digest(blob)).await.unwrap();
                gone &= answer.status == 404;
            }
            gone.then_some(())
        },
    )
    .await;
    for blob in &kept.blobs {
        let answer = client.blob("team/app", digest(blob)).await.unwrap();
        answer.expect(200);
    }
    eventually("their objects go", Duration::from_secs(30), || async {
        (objects(&folder.path().join("blobs")) == 1).then_some(())
    })
    .await;
    let status = verb(folder.path(), &["status"]);
    assert_eq!(status["usage"]["blobs"], 2);
    assert_eq!(status["usage"]["manifests"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_and_a_run_frees() {
    let folder = tempfile::tempdir().unwrap();
    let image = Content::new(seed(31)).image(&[70_000]);
    let dev = DevBuilder::new(folder.path())
        .env("MERIDIAN_METADATA__RETENTION__LEASE", "0s")
        .env("MERIDIAN_METADATA__RETENTION__GRACE", "0s")
        // It does not run by itself while this test looks.
        .env("MERIDIAN_BLOB__COLLECTION__INTERVAL", "1h")
        .start();
    let client = dev.client();
    let answer = client.push_image("team/app", "1", &image).await;
    answer.unwrap().expect(201);
    let path = format!("/v2/team/app/manifests/{}", image.digest());
    client.delete(&path).await.unwrap().expect(202);
    let would = verb(folder.path(), &["gc", "--dry-run"]);
    assert_eq!(would["blobs"]["count"], 2, "{would}");
    let layer = digest(&image.blobs[1]).to_string();
    let digests = would["digests"].as_array().unwrap();
    assert!(digests.iter().any(|digest| *digest == layer), "{would}");
    client
        .blob("team/app", digest(&image.blobs[1]))
        .await
        .unwrap()
        .expect(200);
    let freed = verb(folder.path(), &["gc"]);
    assert_eq!(freed["removed"]["count"], 2, "{freed}");
    client
        .blob("team/app", digest(&image.blobs[1]))
        .await
        .unwrap()
        .expect(404);
    assert_eq!(objects(&folder.path().join("blobs")), 0);
}

#[test]
fn a_verb_without_a_registry_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["status", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no registry is running"), "{said}");
}

/// How many objects lie in a blob store.
fn objects(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder.join("blobs")) else {
        return 0;
    };
    entries.map(|entry| count(&entry.unwrap().path())).sum()
}

fn count(path: &Path) -> usize {
    if path.is_file() {
        return 1;
    }
    let entries = std::fs::read_dir(path).unwrap();
    entries.map(|entry| count(&entry.unwrap().path())).sum()
}
