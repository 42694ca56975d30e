//! How old answers may be that other regions change.

use meridian_frontend::Consistency;
use serde_json::json;

use super::*;

const CONSISTENCIES: [Consistency; 3] = [
    Consistency::Eventual,
    Consistency::Bounded,
    Consistency::Strong,
];

/// A tag that `us` moved, of which `eu` has not heard.
async fn moved(consistency: Consistency) -> (World, [Digest; 2]) {
    let config = Config {
        consistency,
        ..Config::default()
    };
    let world = World::with(config);
    let old = world.eu.tag("a", "v1", "old").await;
    let new = world.us.tag("a", "v1", "new").await;
    (world, [old, new])
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_answered_from_here_while_here_is_young_enough() {
    let (mut world, [old, new]) = moved(Consistency::Bounded).await;
    world.abroad.age(&[("us", Some(1_000)), ("asia", Some(0))]);
    let _supervisor = world.watch().await;
    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.header("docker-content-digest"), old.to_string());
    assert_eq!(reply.header("meridian-region"), "eu");
    assert!(reply.stale().is_empty());
    assert_eq!(world.abroad.asked("resolve"), 0);

    world.abroad.age(&[("us", Some(2_500)), ("asia", Some(0))]);
    world.hear().await;
    for method in ["GET", "HEAD"] {
        let line = format!("{method} /v2/a/manifests/v1");
        let reply = world.eu.call(&line, &[], "").await;
        assert_eq!(reply.header("docker-content-digest"), new.to_string());
        assert_eq!(reply.header("meridian-region"), "us");
    }
    assert_eq!(world.abroad.asked("resolve"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tag_whose_newer_value_is_not_complete_here_is_asked_for() {
    let (mut world, [old, new]) = moved(Consistency::Bounded).await;
    world.abroad.age(&[("us", Some(1_000))]);
    let _supervisor = world.watch().await;
    world.eu.memory.overtake();
    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.header("docker-content-digest"), new.to_string());
    world.abroad.cut(true);
    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.header("docker-content-digest"), old.to_string());
    assert_eq!(reply.stale(), ["us;age=1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_heard_of_any_more_grows_old() {
    let (mut world, [_, new]) = moved(Consistency::Bounded).await;
    world.abroad.age(&[("us", Some(0))]);
    let _supervisor = world.watch().await;
    world.abroad.forget_ages();
    assert_eq!(world.eu.get("/v2/a/manifests/v1").await.status, 200);
    assert_eq!(world.abroad.asked("resolve"), 0);
    tokio::time::advance(Duration::from_secs(3)).await;
    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.header("docker-content-digest"), new.to_string());
    let list = world.eu.get("/v2/a/tags/list").await;
    assert_eq!(list.stale(), ["us;age=3"]);
}

#[tokio::test]
async fn a_newer_tag_here_stands_against_an_older_one_there() {
    let (world, [old, _]) = moved(Consistency::Bounded).await;
    world.eu.memory.set_clock("eu", LATER + 1);
    world.eu.tag("a", "v1", "old").await;
    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.header("docker-content-digest"), old.to_string());
    assert_eq!(reply.header("meridian-region"), "eu");
}

#[tokio::test]
async fn a_tag_that_is_known_here_is_not_lost_by_an_answer_for_another_client() {
    let world = World::new();
    assert_eq!(world.eu.get("/v2/a/manifests/v1").await.status, 404);
    world.us.tag("a", "v1", "x").await;
    world.eu.tag("a", "v1", "x").await;
    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.status, 200, "it was nowhere less than a second ago");
}

#[tokio::test]
async fn a_tag_that_is_known_here_alone_is_answered_until_it_is_deleted_anywhere() {
    let (world, [_, new]) = moved(Consistency::Bounded).await;
    world.eu.tag("a", "v2", "alone").await;
    let reply = world.eu.get("/v2/a/manifests/v2").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("meridian-region")),
        (200, "eu")
    );

    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.header("docker-content-digest"), new.to_string());
    let deleted = world.us.call("DELETE /v2/a/manifests/v1", &[], "").await;
    assert_eq!(deleted.status, 202);
    let reply = world.eu.get("/v2/a/manifests/v1").await;
    assert_eq!(reply.refusal(), (404, "MANIFEST_UNKNOWN".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_cut_off_answers_what_it_knows_or_refuses() {
    for consistency in CONSISTENCIES {
        let (mut world, [old, _]) = moved(consistency).await;
        world.abroad.age(&[("us", Some(7_000)), ("asia", None)]);
        world.abroad.cut(true);
        let _supervisor = world.watch().await;
        let reply = world.eu.get("/v2/a/manifests/v1").await;
        let unknown = world.eu.get("/v2/a/manifests/v2").await;
        if consistency == Consistency::Strong {
            for reply in [reply, unknown] {
                assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()));
                assert_eq!(reply.header("retry-after"), "1");
            }
            continue;
        }
        assert_eq!(reply.header("docker-content-digest"), old.to_string());
        assert_eq!(reply.stale(), ["us;age=7", "asia"], "{consistency:?}");
        assert_eq!(unknown.refusal(), (404, "MANIFEST_UNKNOWN".to_owned()));
        assert_eq!(unknown.stale(), ["us;age=7", "asia"], "{consistency:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn consistency_says_whether_others_are_asked_for_a_tag_that_is_known() {
    for (consistency, age, asked) in [
        (Consistency::Eventual, 60_000, 0),
        (Consistency::Bounded, 0, 0),
        (Consistency::Bounded, 60_000, 1),
        (Consistency::Strong, 0, 1),
    ] {
        let (mut world, digests) = moved(consistency).await;
        world.abroad.age(&[("us", Some(age))]);
        let _supervisor = world.watch().await;
        let before = world.abroad.asked("resolve");
        let reply = world.eu.get("/v2/a/manifests/v1").await;
        let expected = digests[usize::from(asked > 0)].to_string();
        assert_eq!(reply.header("docker-content-digest"), expected);
        let after = world.abroad.asked("resolve");
        assert_eq!(after - before, asked, "{consistency:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_shared_by_those_alone_for_whom_it_is_young_enough() {
    let (world, _) = moved(Consistency::Bounded).await;
    world.abroad.hold();
    let get = || Box::pin(world.eu.get("/v2/a/manifests/v1"));
    let mut clients = [get(), get(), get()];
    for (client, asked) in clients.iter_mut().zip([1, 1, 2]) {
        assert!(futures::poll!(client).is_pending());
        assert_eq!(world.abroad.asked("resolve"), asked);
        tokio::time::advance(Duration::from_millis(1_500)).await;
    }
    world.abroad.release();
    for client in clients {
        assert_eq!(client.await.status, 200);
    }
    assert_eq!(world.abroad.asked("resolve"), 2);
}

#[tokio::test(start_paused = true)]
async fn lists_name_each_region_that_is_behind() {
    let digest = sha256(b"x");
    let lists = [
        "/v2/a/tags/list".to_owned(),
        "/v2/_catalog".to_owned(),
        format!("/v2/a/referrers/{digest}"),
    ];
    for consistency in CONSISTENCIES {
        let (mut world, _) = moved(consistency).await;
        let ages = [("us", Some(2_500)), ("asia", None), ("africa", Some(100))];
        world.abroad.age(&ages);
        let _supervisor = world.watch().await;
        for list in &lists {
            let reply = world.eu.get(list).await;
            if consistency == Consistency::Strong {
                assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()), "{list}");
                assert_eq!(reply.header("retry-after"), "1", "{list}");
                continue;
            }
            assert_eq!(reply.status, 200, "{list}");
            assert_eq!(reply.stale(), ["us;age=2", "asia"], "{list}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_strong_list_waits_until_all_is_here_that_was_before_it() {
    let (mut world, _) = moved(Consistency::Strong).await;
    world.abroad.age(&[("us", Some(10))]);
    let _supervisor = world.watch().await;
    let before = world.abroad.asked("freshness");
    let list = world.eu.get("/v2/a/tags/list").await;
    assert_eq!(list.status, 200);
    assert!(world.abroad.asked("freshness") > before);
}

#[tokio::test]
async fn before_anything_was_heard_a_list_says_that_its_age_is_unknown() {
    let (world, _) = moved(Consistency::Bounded).await;
    assert_eq!(world.eu.get("/v2/a/tags/list").await.stale(), ["eu"]);
}

#[tokio::test]
async fn a_strong_write_is_newer_than_what_any_region_wrote_before() {
    for consistency in CONSISTENCIES {
        // The clock of `us` is years ahead.
        let (world, [_, theirs]) = moved(consistency).await;
        let before = world.abroad.asked("resolve");
        let ours = world.eu.tag("a", "v1", "newest").await;
        let asked = world.abroad.asked("resolve") - before;
        let is_strong = consistency == Consistency::Strong;
        assert_eq!(asked, u32::from(is_strong), "{consistency:?}");

        let here = world.eu.memory.version_of("a", "v1");
        let there = world.us.memory.version_of("a", "v1");
        assert_eq!(here > there, is_strong, "{consistency:?}");
        if is_strong {
            let deleted = world.eu.call("DELETE /v2/a/manifests/v1", &[], "").await;
            assert_eq!(deleted.status, 202);
            assert_eq!(world.abroad.asked("resolve") - before, 2);
        }
        assert_ne!(ours, theirs);
    }
}

#[tokio::test]
async fn a_strong_write_is_refused_while_a_region_cannot_say() {
    let (world, [old, _]) = moved(Consistency::Strong).await;
    world.abroad.cut(true);
    let manifest = index("new", None);
    let reply = world.eu.put("a/manifests/v1", INDEX, &manifest).await;
    assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()));
    assert_eq!(reply.header("retry-after"), "1");
    let reply = world.eu.call("DELETE /v2/a/manifests/v1", &[], "").await;
    assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()));
    assert_eq!(world.eu.memory.points_at("a", "v1"), Some(old));
    // A digest is the same everywhere.
    let path = format!("a/manifests/{}", sha256(&manifest));
    assert_eq!(world.eu.put(&path, INDEX, &manifest).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_tag_is_as_old_as_the_tag_may_be() {
    let path = "/acr/v1/a/_tags/v1";
    let digest_in = |reply: &Reply| reply.json()["tag"]["digest"].clone();
    for (consistency, age, newest, stale) in [
        (Consistency::Eventual, 7_000, false, &["us;age=7"][..]),
        (Consistency::Bounded, 1_000, false, &[]),
        (Consistency::Bounded, 7_000, true, &[]),
        (Consistency::Strong, 0, true, &[]),
    ] {
        let (mut world, digests) = moved(consistency).await;
        world.abroad.age(&[("us", Some(age))]);
        let _supervisor = world.watch().await;
        let reply = world.eu.get(path).await;
        let expected = digests[usize::from(newest)].to_string();
        assert_eq!(digest_in(&reply), expected, "{consistency:?} {age}");
        assert_eq!(reply.stale(), stale, "{consistency:?} {age}");

        world.abroad.cut(true);
        let reply = world.eu.get(path).await;
        match consistency {
            Consistency::Strong => {
                assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()));
            }
            Consistency::Eventual | Consistency::Bounded => {
                assert_eq!(digest_in(&reply), digests[0].to_string());
                assert_eq!(
                    reply.stale().is_empty(),
                    age < 2_000,
                    "{consistency:?} {age}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_repository_or_a_manifest_is_as_old_as_a_list_may_be() {
    for consistency in CONSISTENCIES {
        let (mut world, [digest, _]) = moved(consistency).await;
        world.abroad.age(&[("us", Some(2_500)), ("asia", None)]);
        let _supervisor = world.watch().await;
        for path in [
            "/acr/v1/a".to_owned(),
            "/acr/v1/a/_tags".to_owned(),
            "/acr/v1/a/_manifests".to_owned(),
            "/acr/v1/_catalog".to_owned(),
            format!("/acr/v1/a/_manifests/{digest}"),
        ] {
            let reply = world.eu.get(&path).await;
            if consistency == Consistency::Strong {
                assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()), "{path}");
                continue;
            }
            assert_eq!(reply.status, 200, "{path}");
            assert_eq!(reply.stale(), ["us;age=2", "asia"], "{path}");
        }
        if consistency != Consistency::Strong {
            let reply = world.eu.get("/acr/v1/b").await;
            assert_eq!(reply.refusal(), (404, "NAME_UNKNOWN".to_owned()));
            assert_eq!(reply.stale(), ["us;age=2", "asia"]);
        }
    }
}

#[tokio::test]
async fn what_is_unknown_here_is_described_as_another_region_has_it() {
    let world = World::new();
    let digest = world.us.tag("a", "v1", "x").await;
    let reply = world.eu.get("/acr/v1/a/_tags/v1").await;
    assert_eq!(reply.json()["tag"]["digest"], digest.to_string());
    let reply = world
        .eu
        .get(&format!("/acr/v1/a/_manifests/{digest}"))
        .await;
    let manifest = reply.json()["manifest"].clone();
    assert_eq!(
        (&manifest["digest"], &manifest["mediaType"]),
        (&json!(digest.to_string()), &json!(INDEX))
    );
}

/// What takes effect in a repository, but for writes to a tag.
async fn write(world: &World, digest: Digest) -> Vec<Reply> {
    let mut replies = Vec::new();
    for (line, body) in [
        ("PATCH /acr/v1/a/_tags/v1", "{\"writeEnabled\":false}"),
        ("PATCH /acr/v1/a", "{}"),
        (&format!("DELETE /v2/a/manifests/{digest}"), ""),
        ("DELETE /acr/v1/a", ""),
    ] {
        replies.push(world.eu.call(line, &[], body).await);
    }
    replies
}

#[tokio::test(start_paused = true)]
async fn a_strong_lock_or_deletion_comes_after_all_that_any_region_did() {
    for consistency in CONSISTENCIES {
        let (mut world, [digest, _]) = moved(consistency).await;
        world.abroad.age(&[("us", Some(7_000))]);
        let supervisor = world.watch().await;
        if consistency == Consistency::Strong {
            for reply in write(&world, digest).await {
                assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()));
                assert_eq!(reply.header("retry-after"), "1");
            }
            assert_eq!(world.eu.memory.points_at("a", "v1"), Some(digest));
            world.abroad.age(&[("us", Some(10))]);
        }
        let statuses = write(&world, digest).await;
        let statuses: Vec<_> = statuses.iter().map(|it| it.status.as_u16()).collect();
        assert_eq!(statuses, [200, 200, 202, 202], "{consistency:?}");
        drop(supervisor);
    }
}

#[tokio::test]
async fn who_locks_reads_which_regions_have_it() {
    let (world, _) = moved(Consistency::Eventual).await;
    let path = "/acr/v1/a/_tags/v1";
    let line = format!("PATCH {path}");
    let set = world.eu.call(&line, &[], "{}").await;
    assert_eq!(set.json()["regions"], json!(["eu", "us"]));
    // Nothing is locked there, so that nobody is asked.
    let asked = world.abroad.asked("holders");
    assert!(world.eu.get(path).await.json().get("regions").is_none());
    assert_eq!(world.abroad.asked("holders"), asked);
    world.abroad.cut(true);
    let set = world.eu.call(&line, &[], "{}").await;
    assert_eq!(
        (set.status.as_u16(), set.json().get("regions")),
        (200, None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_locked_tag_is_answered_once_all_regions_are_known_to_have_no_say() {
    let path = "/v2/a/manifests/v1";
    let locked = (405, "REGISTRY_DISALLOWED_OPERATION".to_owned());
    for (consistency, age, expected) in [
        (Consistency::Eventual, 7_000, &locked),
        (Consistency::Bounded, 7_000, &locked),
        (Consistency::Strong, 10, &locked),
        // One of those that were asked was silent.
        (Consistency::Strong, 7_000, &(503, "UNAVAILABLE".to_owned())),
    ] {
        let (mut world, _) = moved(consistency).await;
        world.abroad.age(&[("us", Some(age))]);
        let _supervisor = world.watch().await;
        for registry in [&world.eu, &world.us] {
            registry.memory.forbid_reads(true);
        }
        let reply = world.eu.get(path).await;
        assert_eq!(reply.refusal(), *expected, "{consistency:?} {age}");
        // Nor is anything written to it, then.
        let put = world
            .eu
            .put("a/manifests/v1", INDEX, &index("new", None))
            .await;
        let is_refused = expected.0 == 503;
        assert_eq!(put.status == 503, is_refused, "{consistency:?} {age}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_was_unlocked_elsewhere_is_answered_if_others_are_asked() {
    for (consistency, age, is_asked) in [
        (Consistency::Eventual, 7_000, false),
        (Consistency::Bounded, 0, false),
        (Consistency::Bounded, 7_000, true),
        (Consistency::Strong, 0, true),
    ] {
        let (mut world, [_, new]) = moved(consistency).await;
        world.abroad.age(&[("us", Some(age))]);
        let _supervisor = world.watch().await;
        world.eu.memory.forbid_reads(true);
        let reply = world.eu.get("/v2/a/manifests/v1").await;
        assert_eq!(reply.status == 200, is_asked, "{consistency:?} {age}");
        if is_asked {
            assert_eq!(reply.header("docker-content-digest"), new.to_string());
        }
    }
}
