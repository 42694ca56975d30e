//! What is pushed to one region is had from the others, and what is deleted is gone there.

use std::time::{Duration, Instant};

use harness::{Client, Content, Image, Regions, digest, eventually, seed};
use reqwest::StatusCode;

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);

const NAMES: [&str; 3] = ["eu", "us", "asia"];

/// Pulls an image whole, and says when it had the manifest.
async fn expect_image(client: &Client, repository: &str, tag: &str, image: &Image) {
    let answer = client.manifest(repository, tag).await.unwrap();
    assert_eq!(answer.expect(200).body, image.manifest);
    for blob in &image.blobs {
        let answer = client.blob(repository, digest(blob)).await.unwrap();
        assert_eq!(answer.expect(200).body, *blob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_to_one_region_is_pulled_from_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(61));
    let regions = Regions::start(&NAMES, folder.path(), Some("40ms,50MB/s"));
    for from in NAMES {
        let image = content.image(&[200, 300_000]);
        let repository = format!("team/{from}");
        let client = regions.client(from);
        let pushed = client.push_image(&repository, "1", &image).await;
        pushed.unwrap().expect(201);
        for to in NAMES {
            expect_image(&regions.client(to), &repository, "1", &image).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_moves_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(62));
    let regions = Regions::start(&NAMES, folder.path(), None);
    for from in NAMES {
        let image = content.image(&[50_000]);
        let client = regions.client(from);
        let pushed = client.push_image("team/app", "latest", &image).await;
        pushed.unwrap().expect(201);
        for to in NAMES {
            let client = regions.client(to);
            eventually("the tag has moved", SOON, || async {
                let answer = client.manifest("team/app", "latest").await.unwrap();
                (answer.body == image.manifest).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_in_one_region_is_gone_from_all() {
    let folder = tempfile::tempdir().unwrap();
    let image = Content::new(seed(63)).image(&[50_000]);
    let regions = Regions::start(&NAMES, folder.path(), None);
    let client = regions.client("eu");
    let pushed = client.push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    for name in NAMES {
        expect_image(&regions.client(name), "team/app", "1", &image).await;
    }
    let path = format!("/v2/team/app/manifests/{}", image.digest());
    regions
        .client("us")
        .delete(&path)
        .await
        .unwrap()
        .expect(202);
    for name in NAMES {
        let client = regions.client(name);
        eventually("it is gone", SOON, || async {
            let answer = client.manifest("team/app", "1").await.unwrap();
            (answer.status == StatusCode::NOT_FOUND).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_elsewhere_a_moment_ago_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(69));
    let regions = Regions::start(&["eu", "us"], folder.path(), Some("400ms,50MB/s"));
    let (eu, us) = (regions.client("eu"), regions.client("us"));
    for tag in ["by-tag", "by-digest"] {
        let image = content.image(&[2_000]);
        let pushed = eu.push_image("team/app", tag, &image).await;
        pushed.unwrap().expect(201);
        let reference = match tag {
            "by-tag" => tag.to_owned(),
            _ => image.digest().to_string(),
        };
        let path = format!("/v2/team/app/manifests/{reference}");
        us.delete(&path).await.unwrap().expect(202);
        us.delete(&path).await.unwrap().expect(404);
        for client in [&eu, &us] {
            eventually("it is gone", SOON, || async {
                let answer = client.manifest("team/app", &reference).await.unwrap();
                (answer.status == StatusCode::NOT_FOUND).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_crosses_the_network_between_the_regions() {
    let folder = tempfile::tempdir().unwrap();
    let image = Content::new(seed(64)).image(&[2_000_000]);
    let regions = Regions::start(&["eu", "us"], folder.path(), Some("100ms,1MB/s"));
    let client = regions.client("eu");
    let pushed = client.push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    let began = Instant::now();
    expect_image(&regions.client("us"), "team/app", "1", &image).await;
    // At least what two megabytes take, less what was prefetched since the push.
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}
