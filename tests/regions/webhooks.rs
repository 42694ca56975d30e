//! Webhooks of several regions: who is told of a push, when, and by whom.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use harness::{Content, Manner, Receiver, Regions, SeenRequest, eventually, seed, webhook};
use serde_json::Value;
use standardwebhooks::Webhook;

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);
const NAMES: [&str; 2] = ["eu", "us"];

fn succeed(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Creates a webhook by way of a region, as soon as that knows the others. Returns its secret.
async fn create(folder: &Path, by: &str, name: &str, arguments: &[&str]) -> String {
    let arguments = [&["create", name, "--json"], arguments].concat();
    let created = eventually("a webhook is created", SOON, || async {
        let output = webhook(&folder.join(by), &arguments);
        let is_new = String::from_utf8_lossy(&output.stderr).contains("this region is new");
        (!is_new).then(|| succeed(&output))
    });
    created.await["secret"].as_str().unwrap().to_owned()
}

/// Waits until a region knows so many webhooks.
async fn know(folder: &Path, region: &str, count: usize) {
    eventually("the region knows the webhooks", SOON, || async {
        let listed = succeed(&webhook(&folder.join(region), &["list", "--json"]));
        (listed["webhooks"].as_array().unwrap().len() == count).then_some(())
    })
    .await;
}

async fn taken(receiver: &Receiver, path: &str, count: usize) -> Vec<SeenRequest> {
    eventually("the receiver is told", SOON, || async {
        let taken = receiver.taken(path);
        (taken.len() >= count).then_some(taken)
    })
    .await
}

fn verify(secret: &str, request: &SeenRequest) {
    let verifier = Webhook::new(secret).unwrap();
    verifier.verify(&request.body, &request.headers).unwrap();
    assert_eq!(request.header("webhook-id"), request.json()["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_region_tells_of_a_push_when_it_can_serve_it_and_the_origin_when_all_can() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, folder) = (Receiver::start().await, folder.path());
    let regions = Regions::start(&NAMES, folder, Some("20ms,50MB/s"));
    let uri = |path: &str| receiver.uri(path);
    let mut secrets = Vec::new();
    for (name, path, options) in [
        ("pusheu", "/eu", ["--actions", "push", "--region", "eu"]),
        ("pushus", "/us", ["--actions", "push", "--region", "us"]),
        (
            "all2all",
            "/all",
            ["--actions", "replicated_all,untag", "--scope", ""],
        ),
        (
            "others",
            "/others",
            ["--actions", "push", "--scope", "other/*:*"],
        ),
    ] {
        let uri = uri(path);
        let arguments = [&["--uri", &uri], &options[..]].concat();
        secrets.push(create(folder, "eu", name, &arguments).await);
    }
    know(folder, "us", 4).await;
    let mut content = Content::new(seed(91));
    let image = content.image(&[20_000]);
    let client = regions.client("eu");
    let pushed = client.push_image("team/app", "v1", &image).await;
    pushed.unwrap().expect(201);

    let everywhere = taken(&receiver, "/all", 1).await;
    let (eu, us) = (
        taken(&receiver, "/eu", 1).await,
        taken(&receiver, "/us", 1).await,
    );
    for (request, secret) in [(&eu[0], 0), (&us[0], 1), (&everywhere[0], 2)] {
        verify(&secrets[secret], request);
        let body = request.json();
        let target = &body["target"];
        assert_eq!(target["repository"], "team/app");
        assert_eq!(target["tag"], "v1");
        assert_eq!(target["digest"], image.digest().to_string());
    }
    let actions = [&eu[0], &us[0], &everywhere[0]].map(|it| it.json()["action"].clone());
    assert_eq!(actions, ["push", "push", "replicated_all"]);
    let told_by = [&eu[0], &us[0], &everywhere[0]].map(|it| it.json()["region"].clone());
    assert_eq!(told_by, ["eu", "us", "eu"]);
    // The push that a region tells of, which is not its own, is named.
    assert_eq!(us[0].json()["push"], everywhere[0].json()["push"]);

    let deleted = client.delete("/v2/team/app/manifests/v1").await;
    deleted.unwrap().expect(202);
    let untagged = taken(&receiver, "/all", 2).await;
    assert_eq!(untagged[1].json()["action"], "untag");
    for path in ["/eu", "/us"] {
        assert_eq!(receiver.seen(path).len(), 1, "{path}");
    }
    assert_eq!(receiver.seen("/others").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_changed_in_any_region_and_told_from_each() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, folder) = (Receiver::start().await, folder.path());
    let regions = Regions::start(&NAMES, folder, None);
    let uri = receiver.uri("/old");
    let header = ["--header", "Authorization: Bearer t0ken"];
    let arguments = [&["--uri", &uri], &header[..]].concat();
    create(folder, "eu", "deploys", &arguments).await;
    know(folder, "us", 1).await;
    let us = folder.join("us");
    let new = receiver.uri("/new");
    succeed(&webhook(
        &us,
        &["update", "deploys", "--uri", &new, "--json"],
    ));
    let config = |region: &str| {
        let output = webhook(&folder.join(region), &["get-config", "deploys", "--json"]);
        succeed(&output)
    };
    eventually("eu knows the change", SOON, || async {
        (config("eu")["service_uri"] == new.as_str()).then_some(())
    })
    .await;
    assert_eq!(
        config("eu")["custom_headers"]["Authorization"],
        "Bearer t0ken"
    );
    let mut content = Content::new(seed(92));
    for (number, region) in NAMES.iter().enumerate() {
        let image = content.image(&[2_000]);
        let pushed = regions
            .client(region)
            .push_image("team/app", "v1", &image)
            .await;
        pushed.unwrap().expect(201);
        let told = taken(&receiver, "/new", number + 1).await;
        let request = &told[number];
        assert_eq!(request.json()["region"], *region);
        assert_eq!(request.header("authorization"), "Bearer t0ken");
    }
    assert_eq!(receiver.seen("/old").len(), 0);

    // Both secrets sign while receivers change over, and what is shown has no credentials in it.
    let rotated = succeed(&webhook(&us, &["rotate-secret", "deploys", "--json"]));
    let secret = rotated["secret"].as_str().unwrap();
    succeed(&webhook(&us, &["ping", "deploys", "--json"]));
    let seen = receiver.seen("/new");
    let ping = seen.last().unwrap();
    assert_eq!(ping.json()["action"], "ping");
    verify(secret, ping);
    assert_eq!(ping.header("webhook-signature").split(' ').count(), 2);
    let events = webhook(&us, &["list-events", "deploys", "--json"]);
    let text = String::from_utf8(events.stdout).unwrap();
    assert!(
        text.contains("\"authorization\": \"***\"") || text.contains("\"Authorization\": \"***\""),
        "{text}"
    );
    assert!(!text.contains("t0ken"), "{text}");

    succeed(&webhook(&us, &["delete", "deploys", "--json"]));
    know(folder, "eu", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_did_not_take_comes_again_under_its_id_and_delays_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, folder) = (Receiver::start().await, folder.path());
    let regions = Regions::start(&NAMES, folder, None);
    for path in ["/well", "/sick"] {
        let uri = receiver.uri(path);
        let name = format!("hook{}", &path[1..]);
        create(folder, "eu", &name, &["--uri", &uri]).await;
    }
    receiver.behave("/sick", Manner::Fails(1));
    let mut content = Content::new(seed(93));
    let client = regions.client("eu");
    for tag in ["v1", "v2", "v3"] {
        let image = content.image(&[2_000]);
        let pushed = client.push_image("team/app", tag, &image).await;
        pushed.unwrap().expect(201);
    }
    let tags = |requests: &[SeenRequest]| {
        let tag = |it: &SeenRequest| it.json()["target"]["tag"].as_str().unwrap().to_owned();
        requests.iter().map(tag).collect::<Vec<_>>()
    };
    assert_eq!(
        tags(&taken(&receiver, "/well", 3).await),
        ["v1", "v2", "v3"]
    );
    // The first comes again after five seconds, and those that come meanwhile do not wait for it.
    let mut sick = tags(&taken(&receiver, "/sick", 3).await);
    sick.sort();
    assert_eq!(sick, ["v1", "v2", "v3"]);
    let seen = receiver.seen("/sick");
    let again = seen[1..].iter();
    let again = again.filter(|it| it.header("webhook-id") == seen[0].header("webhook-id"));
    let again: Vec<_> = again.collect();
    assert_eq!((again.len(), &again[0].body), (1, &seen[0].body));

    // What is kept is told again when somebody asks for it.
    receiver.behave("/sick", Manner::Answers(503));
    let image = content.image(&[2_000]);
    let pushed = client.push_image("team/app", "v4", &image).await;
    pushed.unwrap().expect(201);
    let eu = folder.join("eu");
    // For a minute, because the receiver said that it is busy.
    eventually("the message is kept", SOON, || async {
        let told = succeed(&webhook(&eu, &["list-events", "hooksick", "--json"]));
        let last = &told["value"][0];
        let is_refused = last["eventResponseMessage"]["statusCode"] == 503;
        (is_refused && last["due"].is_string() && last["keptUntil"].is_string()).then_some(())
    })
    .await;
    receiver.behave("/sick", Manner::Answers(200));
    let replayed = succeed(&webhook(&eu, &["replay", "hooksick", "--json"]));
    assert_eq!(replayed["messages"], 1);
    assert_eq!(tags(&taken(&receiver, "/sick", 4).await)[3], "v4");
}
