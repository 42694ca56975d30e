//! A region that joins others which hold images already.

use std::time::Duration;

use harness::{Client, Content, DevBuilder, Image, Regions, digest, eventually, seed};
use reqwest::StatusCode;

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);
/// More than one page of a copy.
const IMAGES: usize = 300;

async fn tags(client: &Client) -> Vec<String> {
    let answer = client.get("/v2/team/app/tags/list").await.unwrap();
    if answer.status != StatusCode::OK {
        return Vec::new();
    }
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let tags = list["tags"].as_array().unwrap().iter();
    tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

async fn expect_image(client: &Client, tag: &str, image: &Image) {
    let answer = client.manifest("team/app", tag).await.unwrap();
    assert_eq!(answer.expect(200).body, image.manifest, "{tag}");
    for blob in &image.blobs {
        let answer = client.blob("team/app", digest(blob)).await.unwrap();
        assert_eq!(answer.expect(200).body, *blob, "{tag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_joins_serves_at_once_and_has_everything_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(67));
    let images: Vec<_> = (0..IMAGES).map(|_| content.image(&[500])).collect();
    let two = Regions::start(&["eu", "us"], folder.path(), None);
    for (number, image) in images.iter().enumerate() {
        let client = two.client(["eu", "us"][number % 2]);
        let tag = format!("t{number}");
        let pushed = client.push_image("team/app", &tag, image).await;
        pushed.unwrap().expect(201);
    }
    let deleted = two.client("eu");
    eventually("everything is in eu", SOON, || async {
        (tags(&deleted).await.len() == IMAGES).then_some(())
    })
    .await;
    let gone = format!("/v2/team/app/manifests/{}", images[0].digest());
    deleted.delete(&gone).await.unwrap().expect(202);
    let untagged = deleted.delete("/v2/team/app/manifests/t1").await;
    untagged.unwrap().expect(202);
    drop(two);

    // Slow, so that what is served at once is read through.
    let builder = DevBuilder::new(folder.path()).arg("--wan").arg("5ms,3MB/s");
    let three = Regions::start_with(builder, &["eu", "us", "asia"]);
    let joined = three.client("asia");
    for number in [2, IMAGES - 1] {
        expect_image(&joined, &format!("t{number}"), &images[number]).await;
    }
    for tag in ["t0", "t1"] {
        let answer = joined.manifest("team/app", tag).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{tag}");
    }
    eventually("everything is in asia", SOON, || async {
        (tags(&joined).await.len() == IMAGES - 2).then_some(())
    })
    .await;
    assert_eq!(tags(&joined).await, tags(&three.client("eu")).await);
    let image = content.image(&[500]);
    let pushed = joined.push_image("team/app", "new", &image).await;
    pushed.unwrap().expect(201);
    for name in ["eu", "us"] {
        expect_image(&three.client(name), "new", &image).await;
    }
}
