//! Several agents of one region share its work, and one that dies leaves nothing undone.

use harness::{Client, Content, Image, digest, eventually, seed};

use crate::apart::{Apart, SOON};

const AGENTS: usize = 2;
/// So many repositories that each agent has some.
const REPOSITORIES: usize = 24;

/// Pushes an image to each of the repositories; returns them, and how many bytes they have.
async fn push(client: &Client, content: &mut Content, tag: &str) -> (Vec<Image>, u64) {
    let (mut images, mut bytes) = (Vec::new(), 0);
    for number in 0..REPOSITORIES {
        let image = content.image(&[400_000, 300_000]);
        let pushed = client.push_image(&name(number), tag, &image).await;
        pushed.unwrap().expect(201);
        let blobs = image.blobs.iter().map(|blob| blob.len() as u64);
        bytes += blobs.sum::<u64>() + image.manifest.len() as u64;
        images.push(image);
    }
    (images, bytes)
}

fn name(number: usize) -> String {
    format!("team/app{number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_fetch_everything_once_and_one_that_dies_leaves_nothing_undone() {
    let mut regions = Apart::start(AGENTS, "20ms,1MB/s", &[]).await;
    for agent in 0..AGENTS {
        regions.agent(agent).log_line(r#""agents":2"#);
    }
    eventually("both are even", SOON, || async { regions.is_even(0) }).await;
    let carried = |regions: &Apart| [0, 1].map(|agent| regions.carried(agent));
    let mut content = Content::new(seed(73));

    // While both live, all of it comes once.
    let before = carried(&regions);
    let (first, bytes) = push(&regions.eu(), &mut content, "1").await;
    eventually("all is there", SOON, || async {
        regions.is_even(0)?;
        regions.is_even(1)
    })
    .await;
    let after = carried(&regions);
    let shares = [0, 1].map(|agent| after[agent] - before[agent]);
    let all = shares.iter().sum::<u64>();
    assert!(all >= bytes, "{shares:?} of {bytes}");
    assert!(all * 10 <= bytes * 11, "{shares:?} of {bytes}");
    assert!(
        shares.iter().all(|share| *share > bytes / 20),
        "{shares:?} of {bytes}"
    );

    // One dies in the middle.
    let before = carried(&regions);
    let client = regions.eu();
    let dying = async {
        eventually("some of it is there", SOON, || async {
            let all = carried(&regions).iter().sum::<u64>() - before.iter().sum::<u64>();
            (all > bytes / 3).then_some(())
        })
        .await;
        regions.kill(1);
    };
    let ((second, _), ()) = tokio::join!(push(&client, &mut content, "2"), dying);
    eventually("all is there", SOON, || async { regions.is_even(0) }).await;

    // By itself: nothing is to be had from there any more.
    regions.cut();
    for (tag, images) in [("1", &first), ("2", &second)] {
        for (number, image) in images.iter().enumerate() {
            let answer = regions.us().manifest(&name(number), tag).await.unwrap();
            assert_eq!(answer.expect(200).body, image.manifest);
            for blob in &image.blobs {
                let answer = regions
                    .us()
                    .blob(&name(number), digest(blob))
                    .await
                    .unwrap();
                assert_eq!(answer.expect(200).body, *blob);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_killed_goes_on_with_what_it_had() {
    let mut regions = Apart::start(1, "20ms,3MB/s", &[]).await;
    let image = Content::new(seed(75)).image(&[24_000_000]);
    let before = regions.carried(0);
    let pushed = regions.eu().push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    eventually("half of it is there", SOON, || async {
        (regions.carried(0) > before + 12_000_000).then_some(())
    })
    .await;
    regions.kill(0);
    regions.start_again(0);
    eventually("all is there", SOON, || async { regions.is_even(0) }).await;
    // What was on the way when it died, and what is besides the layer.
    let carried = regions.carried(0) - before;
    assert!(carried < 28_000_000, "{carried}");
    regions.cut();
    for blob in &image.blobs {
        let answer = regions.us().blob("team/app", digest(blob)).await;
        assert_eq!(answer.unwrap().expect(200).body, *blob);
    }
}
