//! Manifests as large as they may be: their entries in the log are larger than anything else.

use harness::{DevBuilder, digest};
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
