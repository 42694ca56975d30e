//! Versions that clients name.

use super::*;

impl Registry {
    /// The answer to a client that wants a version, or a newer one.
    async fn get_since(&self, path: &str, version: &str) -> Reply {
        let named = [("meridian-min-version", version)];
        self.call(&format!("GET {path}"), &named, "").await
    }

    /// Puts a tag, and returns the version.
    async fn token(&self, tag: &str, marker: &str) -> String {
        let path = format!("a/manifests/{tag}");
        let put = self.put(&path, INDEX, &index(marker, None)).await;
        put.header("meridian-version").to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_visible_is_answered_from_here() {
    let world = World::new();
    let version = world.eu.token("v1", "x").await;
    let digest = sha256(&index("x", None));
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/a/manifests/{reference}");
        for version in [&version, "5.0@us"] {
            let reply = world.eu.get_since(&path, version).await;
            assert_eq!(
                (reply.status.as_u16(), reply.header("meridian-region")),
                (200, "eu")
            );
        }
    }
    assert_eq!(world.abroad.asked("resolve"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_here_is_read_through() {
    let world = World::new();
    world.eu.token("v1", "old").await;
    let version = world.us.token("v1", "new").await;
    let reply = world.eu.get_since("/v2/a/manifests/v1", &version).await;
    assert_eq!(reply.body, index("new", None));
    assert_eq!(reply.header("meridian-region"), "us");
    let digest = sha256(&index("new", None));
    let path = format!("/v2/a/manifests/{digest}");
    assert_eq!(world.eu.get_since(&path, &version).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_version_is_waited_for_and_then_refused() {
    let world = World::new();
    world.eu.token("v1", "old").await;
    let version = world.us.token("v1", "new").await;
    world.abroad.cut(true);
    let began = tokio::time::Instant::now();
    let refused = world.eu.get_since("/v2/a/manifests/v1", &version).await;
    assert_eq!(refused.refusal(), (503, "UNAVAILABLE".to_owned()));
    assert_eq!(refused.header("retry-after"), "1");
    let message = refused.json()["errors"][0]["message"].to_string();
    assert!(message.contains("Meridian-Min-Version"), "{message}");
    assert_eq!(began.elapsed().as_secs(), 5);

    let waiting = world.eu.get_since("/v2/a/manifests/v1", &version);
    let back = async {
        tokio::time::advance(Duration::from_secs(2)).await;
        world.abroad.cut(false);
    };
    let (reply, ()) = tokio::join!(waiting, back);
    assert_eq!(reply.body, index("new", None));
}

#[tokio::test(start_paused = true)]
async fn a_version_is_not_taken_for_nowhere_because_it_was_a_moment_ago() {
    let world = World::new();
    assert_eq!(world.eu.get("/v2/a/manifests/v1").await.status, 404);
    let version = world.us.token("v1", "new").await;
    let reply = world.eu.get_since("/v2/a/manifests/v1", &version).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_has_a_version_after_which_the_tag_is_unknown() {
    let world = World::new();
    world.us.token("v1", "x").await;
    world.eu.memory.set_clock("eu", EARLIER);
    world.eu.token("v1", "x").await;
    let line = "DELETE /v2/a/manifests/v1";
    let deleted = world.us.call(line, &[], "").await;
    let version = deleted.header("meridian-version").to_owned();
    let reply = world.eu.get_since("/v2/a/manifests/v1", &version).await;
    assert_eq!(reply.refusal(), (404, "MANIFEST_UNKNOWN".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_version_is_honoured_where_there_is_one_region() {
    let registry = Registry::new();
    let version = registry.token("v1", "x").await;
    let path = "/v2/a/manifests/v1";
    assert_eq!(registry.get_since(path, &version).await.status, 200);
    let foreign = format!("{LATER}.0@us");
    assert_eq!(registry.get_since(path, &foreign).await.status, 503);
    let unknown = registry.get_since("/v2/a/manifests/v2", &foreign).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_malformed_version_is_refused_with_the_form_it_should_have() {
    let world = World::new();
    let reply = world.eu.get_since("/v2/a/manifests/v1", "yesterday").await;
    assert_eq!(reply.refusal(), (400, "UNSUPPORTED".to_owned()));
    let message = reply.json()["errors"][0]["message"].to_string();
    assert!(
        message.contains("<milliseconds>.<counter>@<region>"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_of_a_region_that_there_is_not_is_waited_for_by_nobody() {
    let world = World::new();
    world.eu.token("v1", "x").await;
    let (path, began) = ("/v2/a/manifests/v1", tokio::time::Instant::now());
    let reply = world.eu.get_since(path, &format!("{LATER}.0@mars")).await;
    assert_eq!(reply.refusal(), (400, "UNSUPPORTED".to_owned()));
    let message = reply.json()["errors"][0]["message"].to_string();
    assert!(message.contains("region"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(1));
    // What such a region did before it was taken away may be here.
    assert_eq!(world.eu.get_since(path, "5.0@mars").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_version_of_another_write_is_visible_once_all_is_here_that_was_done_before() {
    let mut world = World::new();
    // No clock of theirs is ahead of ours.
    world.eu.memory.set_clock("eu", EARLIER);
    world.us.memory.set_clock("us", EARLIER + 1_000);
    world.eu.token("v1", "x").await;
    let version = world.us.token("v2", "y").await;
    world.abroad.age(&[("us", Some(60_000))]);
    let _supervisor = world.watch().await;
    let (one, lists) = ("/v2/a/manifests/v1", ["/v2/a/tags/list", "/v2/_catalog"]);
    for path in [one].iter().chain(&lists) {
        let refused = world.eu.get_since(path, &version).await;
        assert_eq!(refused.refusal(), (503, "UNAVAILABLE".to_owned()), "{path}");
    }
    world.abroad.age(&[("us", Some(0))]);
    for path in [one].iter().chain(&lists) {
        let began = tokio::time::Instant::now();
        assert_eq!(
            world.eu.get_since(path, &version).await.status,
            200,
            "{path}"
        );
        assert!(began.elapsed() < Duration::from_secs(2), "{path}");
    }
    let nothing = world.eu.get_since("/v2/a/manifests/v9", &version).await;
    assert_eq!(nothing.refusal(), (404, "MANIFEST_UNKNOWN".to_owned()));
    // What is not complete here is waited for all the same.
    world.eu.memory.overtake();
    assert_eq!(world.eu.get_since(one, &version).await.status, 503);
    // What this region did is in its lists, and nobody knows what a stranger did.
    let own = world.eu.token("v3", "z").await;
    world.abroad.age(&[("us", Some(60_000))]);
    world.hear().await;
    assert_eq!(world.eu.get_since(lists[0], &own).await.status, 200);
    let stranger = world.eu.get_since(lists[0], "5.0@mars").await;
    assert_eq!(stranger.refusal(), (400, "UNSUPPORTED".to_owned()));
}
