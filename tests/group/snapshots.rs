//! Members that lag behind the log.

use harness::{eventually, seed};

use crate::members::{Members, SOON, image, pull, push};

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lags_behind_the_log_gets_the_state() {
    let mut members = Members::new(3)
        .with("MERIDIAN_METADATA__SNAPSHOT_ENTRIES", "40")
        .found();
    let leader = members.leader(0).await;
    let late = (leader + 1) % 3;
    let first = image(seed(270));
    push(&members.client(late), "first", &first).await.unwrap();
    members.take(late).kill();
    let images: Vec<_> = (0..60).map(|it| image(seed(271 + it))).collect();
    for (tag, image) in images.iter().enumerate() {
        push(&members.client(leader), &tag.to_string(), image)
            .await
            .unwrap();
    }
    members.ask(leader, &["snapshot"]);
    let before = members.status(late.wrapping_add(1) % 3)["last"]
        .as_u64()
        .unwrap();
    let purged = eventually("the log before the snapshot goes", SOON, || async {
        let purged = members.status(leader)["purged"].as_u64()?;
        (purged > 20).then_some(purged)
    })
    .await;
    members.start(late);
    eventually("it has the state", SOON, || async {
        let status = members.status(late);
        (status["applied"].as_u64()? >= before).then_some(())
    })
    .await;
    let status = members.status(late);
    assert!(status["snapshot"].as_u64().unwrap() >= purged, "{status}");
    pull(&members.client(late), "first", &first).await;
    for (tag, image) in images.iter().enumerate() {
        pull(&members.client(late), &tag.to_string(), image).await;
    }
    // What it has got is its own by now.
    members.take(late).kill();
    members.start(late);
    pull(&members.client(late), "59", &images[59]).await;
}
