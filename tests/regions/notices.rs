//! What regions tell of images that they can serve.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::{Content, Regions, binary, eventually, seed};
use serde_json::Value;

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["eu", "us", "asia"];

/// What is said of a region.
fn meridian(data_dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    for name in ["MERIDIAN_SERVER", "MERIDIAN_TOKEN_FILE", "MERIDIAN_CA_FILE"] {
        command.env_remove(name);
    }
    let command = command.args(arguments).arg("--data-dir").arg(data_dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What happened in a region, of these kinds.
fn events(data_dir: &Path, kinds: &[&str]) -> Vec<Value> {
    let text = meridian(data_dir, &["events", "log", "--json"]);
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let events = events.filter(|event: &Value| kinds.iter().any(|kind| event["kind"] == *kind));
    events.collect()
}

/// The pushes that notices of a kind are about.
fn told(data_dir: &Path, kind: &str) -> Vec<Value> {
    let notices = events(data_dir, &[kind]).into_iter();
    notices.map(|notice| notice["push"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_region_tells_once_of_what_it_can_serve_and_the_origin_when_all_can() {
    let folder = tempfile::tempdir().unwrap();
    let regions = Regions::start(&NAMES, folder.path(), Some("20ms,50MB/s"));
    let dirs: Vec<PathBuf> = NAMES.map(|name| folder.path().join(name)).into();
    let mut content = Content::new(seed(68));
    // What a region has by a copy, with which it begins, is not told of.
    for dir in &dirs {
        eventually("the region knows what the others do", SOON, || async {
            let status = meridian(dir, &["replication", "status", "--json"]);
            let status: Value = serde_json::from_str(&status).unwrap();
            let mut peers = status["peers"].as_array().unwrap().iter();
            let are_fresh = peers.all(|peer| peer["fresh_age_millis"].as_u64().is_some());
            are_fresh.then_some(())
        })
        .await;
    }
    let client = regions.client("eu");
    for (repository, tag) in [("team/app", "1"), ("team/app", "2"), ("team/other", "1")] {
        let image = content.image(&[20_000]);
        let pushed = client.push_image(repository, tag, &image).await;
        pushed.unwrap().expect(201);
    }
    let pushes = eventually("the pushes are published", SOON, || async {
        let pushes = events(&dirs[0], &["manifest_put"]);
        (pushes.len() == 3).then_some(pushes)
    })
    .await;
    let mut ids: Vec<_> = pushes.iter().map(|push| push["id"].clone()).collect();
    ids.sort_by_key(ToString::to_string);
    let are_told = |mut told: Vec<Value>| {
        told.sort_by_key(ToString::to_string);
        told == ids
    };
    for dir in &dirs[1..] {
        eventually("the region tells of every push", SOON, || async {
            are_told(told(dir, "replicated")).then_some(())
        })
        .await;
    }
    eventually("the origin tells that all have it", SOON, || async {
        are_told(told(&dirs[0], "replicated_all")).then_some(())
    })
    .await;
    // What is told in the origin's name is of all that there are, and says what was pushed.
    for notice in events(&dirs[0], &["replicated_all"]) {
        assert_eq!(notice["regions"], serde_json::json!(["asia", "us"]));
        let mut pushes = pushes.iter();
        let push = pushes.find(|push| push["id"] == notice["push"]).unwrap();
        for field in ["repository", "digest", "size", "media_type", "tags"] {
            assert_eq!(push[field], notice[field], "{field}");
        }
    }
    assert!(told(&dirs[0], "replicated").is_empty());
    for dir in &dirs[1..] {
        assert!(are_told(told(dir, "replicated")));
        assert!(told(dir, "replicated_all").is_empty());
    }
}
