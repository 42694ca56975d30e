//! Manifests as large as they may be: their entries in the log are larger than anything else.

use std::path::Path;
use std::time::Duration;

use harness::{DevBuilder, digest, eventually};
use reqwest::Method;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An index of that many bytes, most of which are stored twice: a referrer is listed with its
/// annotations.
fn index(bytes: usize) -> bytes::Bytes {
    let subject = digest(b"absent");
    let text = |filler: usize| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"subject":{{"mediaType":"{INDEX}","digest":"{subject}","size":6}},"annotations":{{"a":"{}"}}}}"#,
            "x".repeat(filler)
        )
    };
    let rest = text(0).len();
    text(bytes - rest).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_manifests_survive_a_kill_last_in_the_log_or_not() {
    let folder = tempfile::tempdir().unwrap();
    // What a read of the log brings ends at 8 MiB, which is twice one of these.
    let sizes = [0, 40, 80, 120, 160, 200].map(|less| (4 << 20) - less);
    for (number, size) in sizes.into_iter().enumerate() {
        let dev = DevBuilder::new(folder.path()).start();
        let client = dev.client();
        for earlier in &sizes[..number] {
            let path = format!("/v2/r/manifests/{}", digest(&index(*earlier)));
            let answer = client.get(&path).await.unwrap().expect(200);
            assert!(answer.body == index(*earlier));
        }
        let path = format!("/v2/r/manifests/{}", digest(&index(size)));
        let headers = [("Content-Type", INDEX)];
        let put = client.send(Method::PUT, &path, &headers, index(size)).await;
        put.unwrap().expect(201);
        dev.kill();
    }
    let dev = DevBuilder::new(folder.path()).start();
    let last = index(sizes[sizes.len() - 1]);
    let path = format!("/v2/r/manifests/{}", digest(&last));
    let answer = dev.client().get(&path).await.unwrap().expect(200);
    assert!(answer.body == last);
    assert!(dev.stop().success());
}

/// What the files of the metadata's log take.
fn log_bytes(data_dir: &Path) -> u64 {
    let entries = std::fs::read_dir(data_dir.join("metadata/log/raft")).unwrap();
    // One may be deleted while it is looked at.
    let sizes = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    sizes.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_large_manifests_stays_within_its_bytes() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let builder = DevBuilder::new(folder.path()).env("MERIDIAN_METADATA__SNAPSHOT_BYTES", "16MiB");
    let dev = builder.start();
    let client = dev.client();
    let put = |number: usize| {
        let (client, manifest) = (&client, index((4 << 20) - number));
        async move {
            let path = format!("/v2/r/manifests/{}", digest(&manifest));
            let headers = [("Content-Type", INDEX)];
            let put = client.send(Method::PUT, &path, &headers, manifest).await;
            put.unwrap().expect(201);
        }
    };
    let mut most = 0;
    for number in 0..30 {
        put(number).await;
        most = most.max(log_bytes(folder.path()));
    }
    assert!(most < 64 * MIB, "{most} bytes of log");
    eventually("the log is short", Duration::from_secs(30), || async {
        // A file more, and an entry.
        (log_bytes(folder.path()) <= (16 + 4 + 5) * MIB).then_some(())
    })
    .await;
    dev.kill();
    let dev = builder.start();
    for number in 0..30 {
        let manifest = index((4 << 20) - number);
        let path = format!("/v2/r/manifests/{}", digest(&manifest));
        let answer = dev.client().get(&path).await.unwrap().expect(200);
        assert!(answer.body == manifest);
    }
    assert!(dev.stop().success());
}
