//! Members that die, stand still, or are asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{eventually, seed};
use tokio::task::JoinSet;

use crate::members::{Members, SOON, image, pull, push};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_leader_and_its_return() {
    let mut members = Members::founded(3);
    let mut kept = Vec::new();
    for round in 0..3_u64 {
        let leader = members.leader(0).await;
        let survivor = (leader + 1) % 3;
        let before = image(seed(220 + 2 * round));
        push(&members.client(leader), &format!("a{round}"), &before)
            .await
            .unwrap();
        members.take(leader).kill();
        let after = image(seed(221 + 2 * round));
        let (client, tag) = (members.client(survivor), format!("b{round}"));
        eventually("writes go on without the leader", SOON, || async {
            push(&client, &tag, &after).await.ok()
        })
        .await;
        kept.push((format!("a{round}"), before));
        kept.push((tag, after));
        for (tag, image) in &kept {
            pull(&members.client((leader + 2) % 3), tag, image).await;
        }
        members.start(leader);
        for (tag, image) in &kept {
            pull(&members.client(leader), tag, image).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_killed_at_once_come_back_with_everything() {
    let mut members = Members::founded(3);
    let images: Vec<_> = (0..5).map(|it| image(seed(230 + it))).collect();
    for (tag, image) in images.iter().enumerate() {
        push(&members.client(tag % 3), &tag.to_string(), image)
            .await
            .unwrap();
    }
    for member in 0..3 {
        members.take(member).kill();
    }
    let starting: Vec<_> = (0..3)
        .map(|member| members.builder(member).launch())
        .collect();
    for (member, starting) in starting.into_iter().enumerate() {
        members.has(member, starting.ready().unwrap());
    }
    for member in 0..3 {
        for (tag, image) in images.iter().enumerate() {
            pull(&members.client(member), &tag.to_string(), image).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_never_serves_what_is_stale() {
    let members = Members::founded(3);
    let leader = members.leader(0).await;
    let other = (leader + 1) % 3;
    let (old, new) = (image(seed(240)), image(seed(241)));
    push(&members.client(leader), "latest", &old).await.unwrap();
    pull(&members.client(leader), "latest", &old).await;
    members.process(leader).pause();
    // A read that reaches the leader while it stands still is answered when it goes on. It began before
    // the write did, so that both orders are right.
    let client = members.client(leader);
    let mut reading = JoinSet::new();
    reading.spawn(async move { client.manifest("team/app", "latest").await });
    let client = members.client(other);
    eventually("another member leads", SOON, || async {
        push(&client, "latest", &new).await.ok()
    })
    .await;
    members.process(leader).go_on();
    for _ in 0..50 {
        let answer = members.client(leader).manifest("team/app", "latest").await;
        let answer = answer.unwrap();
        if answer.status.as_u16() == 200 {
            assert_eq!(answer.body, new.manifest, "it is stale");
        }
    }
    if let Some(Ok(Ok(answer))) = reading.join_next().await
        && answer.status.as_u16() == 200
    {
        assert!([old.manifest, new.manifest].contains(&answer.body));
    }
    eventually("the former leader serves again", SOON, || async {
        let answer = members.client(leader).manifest("team/app", "latest").await;
        (answer.ok()?.status.as_u16() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_asked_to_stop_hands_over_and_nobody_notices() {
    let mut members = Members::founded(3);
    let leader = members.leader(0).await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for member in others {
        let (client, done) = (members.client(member), Arc::clone(&done));
        writers.spawn(async move {
            let mut pushed = 0_u64;
            while !done.load(Ordering::SeqCst) {
                let image = image(seed(250 + 1000 * member as u64 + pushed));
                push(&client, &format!("{member}-{pushed}"), &image).await?;
                pushed += 1;
            }
            Ok::<_, String>(pushed)
        });
    }
    let process = members.take(leader);
    let stopped = tokio::task::spawn_blocking(move || process.stop());
    assert!(stopped.await.unwrap().success());
    let heir = members.leader(others[0]).await;
    assert_ne!(heir, leader);
    done.store(true, Ordering::SeqCst);
    while let Some(writer) = writers.join_next().await {
        let pushed = writer.unwrap().unwrap();
        assert!(pushed > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_writes_are_refused_and_come_back_with_it() {
    let mut members = Members::founded(3).with("MERIDIAN_METADATA__DEADLINE", "2s");
    let leader = members.leader(0).await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let image = image(seed(260));
    push(&members.client(leader), "v1", &image).await.unwrap();
    for member in others {
        members.take(member).kill();
    }
    let refused = members
        .client(leader)
        .put_manifest("team/app", "v2", image.manifest.clone())
        .await
        .unwrap();
    assert_eq!(refused.status.as_u16(), 503);
    assert!(refused.header("retry-after").is_some());
    members.start(others[0]);
    let client = members.client(leader);
    eventually("writes are accepted again", SOON, || async {
        push(&client, "v2", &image).await.ok()
    })
    .await;
}
