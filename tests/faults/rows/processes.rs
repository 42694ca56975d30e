//! A: processes that end.

use std::time::Duration;

use harness::{Content, FRONTS, MEMBERS, Plan, eventually, seed};

use crate::history::Outcome;
use crate::trial::{HEAL, SOON, Trial};
use crate::work::client;

/// Crash points of a member, and at which hit it ends.
const POINTS: &[(&str, u64)] = &[
    ("eventlog.append.after_fsync_before_ack", 40),
    ("eventlog.append.after_write_before_fsync", 40),
    ("meta.append.after_fsync_before_callback", 40),
    ("meta.append.before_fsync", 40),
    ("meta.apply.after_batch_before_applied_index", 40),
    ("meta.apply.mid_batch", 40),
    ("meta.vote.after_fsync", 1),
    ("meta.vote.before_fsync", 1),
    ("ob.after_cursor", 4),
    ("ob.after_produce_before_cursor", 4),
    ("ob.after_read_before_produce", 4),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn a1_any_process_is_killed_at_any_time() {
    let mut trial = Trial::begin("A1", Plan::with_kafka()).await;
    let mut dice = Content::new(seed(801));
    for _ in 0..8 {
        let pause = Duration::from_millis(dice.number(100..1_500));
        match usize::try_from(dice.number(0..6)).unwrap() {
            member @ 0..MEMBERS => {
                trial.region.take_member(member).kill();
                trial.go_on(pause).await;
                trial.region.start_member(member);
            }
            3 => {
                trial.region.take_blob(0).kill();
                trial.go_on(pause).await;
                trial.region.start_blob(0);
            }
            front => {
                trial.region.take_front(front - 4).kill();
                trial.go_on(pause).await;
                trial.region.start_front(front - 4);
            }
        }
        trial.go_on(pause).await;
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn a2_a_member_ends_at_each_of_its_crash_points() {
    let mut trial = Trial::begin("A2", Plan::with_kafka()).await;
    for (point, hit) in POINTS {
        // A point of the leader is one of whoever leads next.
        let member = trial.region.leader(0).await;
        let armed = |builder: harness::DevBuilder| {
            builder.env("MERIDIAN_CRASH_POINT", format!("{point}@{hit}"))
        };
        trial.region.take_member(member).kill();
        let mut starting = armed(trial.region.member(member)).launch();
        let begun = tokio::time::Instant::now();
        // It may end before it serves, or long after. To reach what only a leader does, it leads.
        while !starting.has_ended() && begun.elapsed() < HEAL {
            drop(trial.region.cluster(member, &["lead"]));
            trial.go_on(Duration::from_millis(200)).await;
        }
        assert!(starting.has_ended(), "{point}@{hit} is never reached");
        trial.region.start_member(member);
        trial.works().await;
        eprintln!("{point}@{hit}");
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn a3_all_members_are_killed_at_once() {
    let mut trial = Trial::begin("A3", Plan::with_kafka()).await;
    for _ in 0..2 {
        let members: Vec<_> = (0..MEMBERS)
            .map(|member| trial.region.take_member(member))
            .collect();
        members.into_iter().for_each(harness::Dev::kill);
        let starting: Vec<_> = (0..MEMBERS)
            .map(|member| trial.region.launch_member(member))
            .collect();
        for (member, starting) in starting.into_iter().enumerate() {
            trial.region.has_member(member, starting.ready().unwrap());
        }
        trial.works().await;
    }
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn a6_members_end_while_state_is_saved_sent_and_taken() {
    let mut plan = Plan::with_kafka();
    plan.set("MERIDIAN_METADATA__SNAPSHOT_ENTRIES", "40");
    let mut trial = Trial::begin("A6", plan).await;
    for point in [
        "meta.snap.install.after_write_before_swap",
        "meta.snap.install.after_swap_before_purge",
    ] {
        let leader = trial.region.leader(0).await;
        let late = (leader + 1) % MEMBERS;
        trial.region.take_member(late).kill();
        let last = trial.region.status(leader).unwrap()["last"]
            .as_u64()
            .unwrap();
        // Until the log no longer has what the late one has seen last.
        let region = &trial.region;
        eventually("the log before a snapshot goes", SOON, || async {
            drop(region.cluster(leader, &["snapshot"]));
            let purged = region.status(leader)?["purged"].as_u64()?;
            (purged > last).then_some(())
        })
        .await;
        let mut dying = region
            .member(late)
            .env("MERIDIAN_CRASH_POINT", format!("{point}@1"))
            .launch();
        eventually("it ends while it takes the state", SOON, || {
            std::future::ready(dying.has_ended().then_some(()))
        })
        .await;
        trial.region.start_member(late);
        trial.works().await;
    }
    // The one that saves and sends ends.
    let leader = trial.region.leader(0).await;
    trial.region.take_member(leader).kill();
    let mut dying = trial
        .region
        .member(leader)
        .env("MERIDIAN_CRASH_POINT", "meta.snap.build.mid@1")
        .launch();
    let region = &trial.region;
    eventually("it ends while it saves the state", SOON, || {
        drop(region.cluster(leader, &["snapshot"]));
        std::future::ready(dying.has_ended().then_some(()))
    })
    .await;
    trial.region.start_member(leader);
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn a7_a_member_loses_its_data_and_comes_back_as_another() {
    let mut trial = Trial::begin("A7", Plan::with_kafka()).await;
    let leader = trial.region.leader(0).await;
    let lost = (leader + 1) % MEMBERS;
    let node = trial.region.node(lost);
    let kept = tempfile::tempdir().unwrap();
    let old = kept.path().join("old");
    trial.region.take_member(lost).kill();
    std::fs::rename(trial.region.data_dir(lost), &old).unwrap();
    let starting = trial.region.launch_member(lost);
    let region = &trial.region;
    eventually("the empty member can be asked", SOON, || async {
        region.status(lost)
    })
    .await;
    assert_ne!(trial.region.node(lost), node, "an id is never used again");
    let endpoint = trial.region.endpoint(lost);
    let replaced = trial.region.cluster(leader, &["replace", &node, &endpoint]);
    assert!(replaced.status.success(), "{replaced:?}");
    trial.region.has_member(lost, starting.ready().unwrap());
    trial.works().await;
    // The disk turns up again: what is on it may take no part any more.
    trial.region.take_member(lost).stop();
    let new = kept.path().join("new");
    std::fs::rename(trial.region.data_dir(lost), &new).unwrap();
    std::fs::rename(&old, trial.region.data_dir(lost)).unwrap();
    let mut returned = trial.region.launch_member(lost);
    trial.go_on(Duration::from_secs(5)).await;
    if !returned.has_ended() {
        assert_ne!(trial.region.leader(leader).await, lost, "it leads");
        let status = trial.region.status(leader).unwrap();
        let members = status["members"].as_array().unwrap();
        assert!(
            members.iter().all(|member| member["node"] != node),
            "{status}"
        );
    }
    drop(returned);
    std::fs::remove_dir_all(trial.region.data_dir(lost)).unwrap();
    std::fs::rename(&new, trial.region.data_dir(lost)).unwrap();
    trial.region.start_member(lost);
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka and breaks processes for minutes: cargo xtask faults"]
async fn a8_frontends_are_restarted_one_by_one_under_load() {
    let mut trial = Trial::begin("A8", Plan::with_kafka()).await;
    let mut content = Content::new(seed(808));
    for front in 0..FRONTS {
        // A session that begins at the one goes on at the other.
        let bases = trial.region.bases();
        let (leaving, staying) = (client(&bases[front]), client(&bases[(front + 1) % FRONTS]));
        let blob = content.bytes(300_000);
        let session = leaving.start_upload("team/resumed").await.unwrap();
        let first = blob.slice(..100_000);
        let patched = leaving
            .send(
                reqwest::Method::PATCH,
                &session,
                &[("Content-Range", "0-99999")],
                first,
            )
            .await;
        patched.unwrap().expect(202);
        let process = trial.region.take_front(front);
        let stopped = tokio::task::spawn_blocking(move || process.stop());
        let status = staying.get(&session).await.unwrap().expect(204);
        assert_eq!(status.header("range"), Some("0-99999"));
        let rest = blob.slice(100_000..);
        let path = harness::with_digest(&session, harness::digest(&blob));
        let put = staying.send(reqwest::Method::PUT, &path, &[], rest).await;
        put.unwrap().expect(201);
        assert!(stopped.await.unwrap().success());
        trial.region.start_front(front);
        trial.works().await;
    }
    let verdict = trial.end().await;
    // A frontend that goes breaks connections off at worst: nobody is answered with an error.
    for op in verdict.ops() {
        let said = match &op.outcome {
            Outcome::Refused(status) => *status < 500,
            Outcome::Unknown(why) => !why.starts_with('5'),
            _ => true,
        };
        assert!(said, "{op:?}");
    }
    verdict.is_clean();
}
