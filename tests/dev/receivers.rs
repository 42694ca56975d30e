//! Receivers of webhooks that are down, slow or hostile: none of them costs another one anything, and what they
//! did not take is told when they are well again.

use std::path::Path;
use std::time::Duration;

use harness::{Content, DevBuilder, Manner, Receiver, eventually, seed, webhook};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);
const PUSHES: usize = 3;

/// What a receiver does, and what `list-events` tells of it.
const MOODS: &[(&str, Manner, &str)] = &[
    ("fails", Manner::Answers(500), "500"),
    ("redirects", Manner::Redirects, "307"),
    ("hangs", Manner::Hangs, "did not answer within"),
    (
        "slowly",
        Manner::Slow(Duration::from_secs(30)),
        "did not answer within",
    ),
    ("resets", Manner::Resets, "connection"),
    ("garbage", Manner::Garbage, "HTTP"),
];

fn ask(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = webhook(data_dir, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn create(data_dir: &Path, name: &str, uri: &str) {
    ask(data_dir, &["create", name, "--uri", uri]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_well_costs_others_nothing_and_is_told_later() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    let dev = DevBuilder::new(data_dir)
        .env("MERIDIAN_WEBHOOKS__TIMEOUT", "1s")
        .start();
    let (well, gone, endless) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    create(data_dir, "wells", &well.uri("/"));
    create(data_dir, "leaver", &gone.uri("/"));
    gone.behave("/", Manner::Answers(410));
    create(data_dir, "endless", &endless.uri("/"));
    endless.behave("/", Manner::Endless);
    // Nobody listens there any more, nor does anybody else of this test.
    let listener = std::net::TcpListener::bind("127.0.0.77:0").unwrap();
    let down = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    create(data_dir, "down1", &down);
    let mut sick = Vec::new();
    for (name, manner, said) in MOODS {
        let receiver = Receiver::start().await;
        create(data_dir, name, &receiver.uri("/"));
        receiver.behave("/", *manner);
        sick.push((*name, receiver, *said));
    }
    let mut content = Content::new(seed(141));
    for number in 0..PUSHES {
        let repository = format!("team/app{number}");
        let image = content.image(&[1_000]);
        let pushed = dev.client().push_image(&repository, "v1", &image).await;
        pushed.unwrap().expect(201);
    }
    for receiver in [&well, &endless] {
        eventually("who takes all is told all", SOON, || async {
            (receiver.taken("/").len() == PUSHES).then_some(())
        })
        .await;
    }
    let has_seen = |name: &str, said: &str| {
        let told = ask(data_dir, &["list-events", name]);
        let told = told["value"].as_array().unwrap().clone();
        told.into_iter().any(|event| {
            let status = event["eventResponseMessage"]["statusCode"].to_string();
            let error = event["error"].as_str().unwrap_or_default();
            status == said || error.contains(said)
        })
    };
    for (name, said) in sick
        .iter()
        .map(|(name, _, said)| (*name, *said))
        .chain([("down1", "refused")])
    {
        let what = format!("{name} is seen to fail: {said}");
        eventually(&what, SOON, || async { has_seen(name, said).then_some(()) }).await;
    }
    eventually("who is gone is told nothing more", SOON, || async {
        let shown = ask(data_dir, &["show", "leaver"]);
        (shown["enabled"] == false && shown["disabled"].is_string()).then_some(())
    })
    .await;

    let refused = webhook(data_dir, &["replay", "leaver"]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("--enabled true"), "{refused:?}");

    for (name, receiver, _) in &sick {
        receiver.behave("/", Manner::Answers(200));
        let what = format!("{name} is told what it did not take");
        eventually(&what, SOON, || async {
            ask(data_dir, &["replay", name]);
            let taken = receiver.taken("/");
            let mut repositories: Vec<_> = taken
                .iter()
                .map(|request| request.json()["target"]["repository"].to_string())
                .collect();
            repositories.sort_unstable();
            repositories.dedup();
            (repositories.len() == PUSHES).then_some(())
        })
        .await;
    }
    dev.stop();
}
