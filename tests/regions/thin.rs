//! What lies between regions is thin: what has to come from far takes its time, and nothing is refused for it.

use harness::{Content, Regions, digest, seed};

/// 6 MB take 6 s.
const WAN: &str = "80ms,1MB/s";
const REPOSITORY: &str = "team/thin";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pulled_over_a_thin_network_comes_whole_at_the_first_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let regions = Regions::start(&["eu", "us"], folder.path(), Some(WAN));
    let (eu, us) = (regions.client("eu"), regions.client("us"));
    let image = Content::new(seed(97)).image(&[3_000_000, 3_000_000, 3_000_000, 3_000_000]);
    let pushed = eu.push_image(REPOSITORY, "1", &image).await;
    pushed.unwrap().expect(201);
    let manifest = us.manifest(REPOSITORY, "1").await.unwrap();
    assert_eq!(manifest.expect(200).body, image.manifest);
    let pulls = image
        .blobs
        .iter()
        .map(|blob| us.blob(REPOSITORY, digest(blob)));
    let pulled = futures::future::join_all(pulls).await;
    for (pulled, blob) in pulled.into_iter().zip(&image.blobs) {
        assert!(pulled.unwrap().expect(200).body == *blob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_uploads_what_would_take_too_long_from_another_region() {
    let folder = tempfile::tempdir().unwrap();
    let regions = Regions::start(&["eu", "us"], folder.path(), Some(WAN));
    let (eu, us) = (regions.client("eu"), regions.client("us"));
    let image = Content::new(seed(98)).image(&[25_000_000]);
    for blob in &image.blobs {
        eu.push_blob(REPOSITORY, blob.clone())
            .await
            .unwrap()
            .expect(201);
    }
    // As clients do that have it themselves.
    for blob in &image.blobs {
        let path = format!("/v2/{REPOSITORY}/blobs/{}", digest(blob));
        match us.head(&path).await.unwrap().status.as_u16() {
            200 => {}
            404 => drop(
                us.push_blob(REPOSITORY, blob.clone())
                    .await
                    .unwrap()
                    .expect(201),
            ),
            status => panic!("{status}"),
        }
    }
    let put = us
        .put_manifest(REPOSITORY, "1", image.manifest.clone())
        .await;
    put.unwrap().expect(201);
}
