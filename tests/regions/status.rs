//! How far an image is in every region, as operators and pipelines ask.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use harness::{Content, DevBuilder, Regions, eventually, replication, seed};
use serde_json::Value;

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);

fn json(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = replication(data_dir, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// What is said of an image in a region.
fn row<'a>(status: &'a Value, region: &str) -> &'a Value {
    let mut rows = status["regions"].as_array().unwrap().iter();
    rows.find(|row| row["region"] == region).unwrap()
}

#[track_caller]
fn only_shards_that_others_have_are_passed_over(eu: &Path) {
    for (skip, words) in [
        (["skip", "mars", "1"], ["no region mars", "us"]),
        (
            ["skip", "eu", "3"],
            ["eu is the region that is asked", "us"],
        ),
        (["skip", "us", "16"], ["no shard 16", "0 to 15"]),
    ] {
        fails(&replication(eu, &skip), 64, &words);
    }
    let stopped = ["skip", "us", "15"];
    fails(&replication(eu, &stopped), 1, &["is not stopped"]);
}

/// `team/app:1` is complete everywhere, with this version.
#[track_caller]
fn the_value_that_is_meant_counts(eu: &Path, us: &Path, version: &str) {
    // Who has no time asks once.
    json(eu, &["wait", "team/app:1", "--timeout", "0s"]);
    let wait = |version| {
        [
            "wait",
            "team/app:1",
            "--timeout",
            "0s",
            "--version",
            version,
        ]
    };
    json(us, &wait(version));
    let newer = "9999999999999.0@eu";
    let status = json(us, &["status", "team/app:1", "--version", newer]);
    assert_eq!(status["version"], newer, "{status}");
    assert_eq!(row(&status, "eu")["state"], "pending", "{status}");
    fails(&replication(us, &wait(newer)), 5, &["pending"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_followed_until_it_is_complete_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let image = Content::new(seed(67)).image(&[16_000_000]);
    let regions = Regions::start(&["eu", "us"], folder.path(), Some("40ms,1MB/s"));
    let (eu, us) = (folder.path().join("eu"), folder.path().join("us"));
    let client = regions.client("eu");
    let pushed = client.push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    let status = json(&us, &["status", "team/app:1"]);
    assert_eq!(status["digest"], image.digest().to_string());
    assert_eq!(row(&status, "eu")["state"], "complete", "{status}");
    let state = &row(&status, "us")["state"];
    assert!(state == "pending" || state == "copying", "{status}");
    let size = status["bytes"].as_u64().unwrap();
    assert!(size > 16_000_000, "{status}");
    let late = [
        "wait",
        "team/app:1",
        "--regions",
        "eu,us",
        "--timeout",
        "300ms",
    ];
    fails(&replication(&eu, &late), 5, &["team/app:1", "us"]);
    eventually("some of it is there", SOON, || async {
        let status = json(&eu, &["status", "team/app:1"]);
        let row = row(&status, "us");
        let here = row["bytes_here"].as_u64().unwrap_or_default();
        let is_part = here > 0 && here < size && row["bytes_total"] == size;
        (row["state"] == "copying" && is_part).then_some(())
    })
    .await;

    let wait = [
        "wait",
        "team/app:1",
        "--regions",
        "eu,us",
        "--timeout",
        "60s",
    ];
    let complete = json(&eu, &wait);
    assert_eq!(row(&complete, "us")["state"], "complete", "{complete}");
    let name = format!("team/app@{}", image.digest());
    let status = json(&us, &["status", &name]);
    assert_eq!(row(&status, "us")["state"], "complete", "{status}");
    // Nobody has to wait for what is there.
    json(&us, &["wait", &name, "--timeout", "30s"]);
    json(&us, &["status", &name, "--watch"]);

    eventually("all is merged", SOON, || async {
        let status = json(&us, &["status"]);
        let peer = &status["peers"][0];
        assert_eq!(
            (&status["region"], &peer["region"]),
            (&"us".into(), &"eu".into())
        );
        let is_even = peer["events_behind"] == 0 && peer["bytes_outstanding"] == 0;
        let is_fresh = peer["fresh_age_millis"].as_u64().is_some();
        (peer["answers"] == true && is_even && is_fresh).then_some(())
    })
    .await;
    let shown = replication(&us, &["status"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.starts_with("region us\n"), "{shown}");

    let nowhere = [
        "wait",
        "team/app:1",
        "--regions",
        "us,mars",
        "--timeout",
        "30s",
    ];
    fails(&replication(&eu, &nowhere), 64, &["mars", "eu, us"]);
    only_shards_that_others_have_are_passed_over(&eu);
    let version = complete["version"].as_str().unwrap();
    the_value_that_is_meant_counts(&eu, &us, version);
    for unknown in ["team/app:2", "team/none:1"] {
        fails(&replication(&eu, &["wait", unknown]), 1, &[unknown]);
        fails(&replication(&eu, &["status", unknown]), 1, &[unknown]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_cut_off_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let image = Content::new(seed(68)).image(&[1_000]);
    let anywhere = r#"["127.0.0.1:0"]"#;
    let services = ["frontend", "blob", "metadata", "replication"];
    let builder = |name: &str, services: &[&str]| {
        DevBuilder::run(services, folder.path().join(name))
            .env("MERIDIAN_REGION", "eu")
            .env("MERIDIAN_FRONTEND__LISTEN", anywhere)
            .env("MERIDIAN_BLOB__LISTEN", anywhere)
            .env("MERIDIAN_METADATA__LISTEN", anywhere)
    };
    let agent = |builder: DevBuilder| {
        let builder = builder.env("MERIDIAN_REPLICATION__LISTEN", anywhere);
        builder
            .env("MERIDIAN_REPLICATION__PEER_LISTEN", anywhere)
            .env("MERIDIAN_REGIONS__US__ENDPOINTS", "http://127.0.0.1:1")
    };

    // One that is new might bring back what was deleted while nobody counted on it.
    let joining = agent(builder("new", &services)).start();
    let pushed = joining.client().push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(503);
    let new = folder.path().join("new");
    eventually("it is said why", SOON, || async {
        let status = String::from_utf8(replication(&new, &["status"]).stdout).unwrap();
        status.contains("has not answered yet").then_some(())
    })
    .await;
    drop(joining);

    // One that was there before takes pushes alone.
    let alone = builder("eu", &services[..3]).start();
    let pushed = alone.client().push_image("team/app", "0", &image).await;
    pushed.unwrap().expect(201);
    drop(alone);
    let region = agent(builder("eu", &services)).start();
    let client = region.client();
    let pushed = client.push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    let eu = folder.path().join("eu");
    let status = json(&eu, &["status", "team/app:1"]);
    assert_eq!(row(&status, "eu")["state"], "complete", "{status}");
    assert_eq!(row(&status, "us")["state"], "unreachable", "{status}");
    let wait = |regions| {
        [
            "wait",
            "team/app:1",
            "--regions",
            regions,
            "--timeout",
            "8s",
        ]
    };
    fails(&replication(&eu, &wait("us")), 5, &["us", "unreachable"]);
    // What is complete here may be older than what somebody pushed there.
    let words = ["no answer from us", "--version"];
    fails(&replication(&eu, &wait("eu")), 5, &words);
    let version = status["version"].as_str().unwrap();
    let known = ["--version", version];
    let waited = replication(&eu, &[&wait("eu")[..], &known].concat());
    assert!(waited.status.success(), "{waited:?}");
    let name = format!("team/app@{}", image.digest());
    let by_digest = ["wait", &name, "--regions", "eu", "--timeout", "8s"];
    assert!(replication(&eu, &by_digest).status.success());
    eventually("it is known not to answer", SOON, || async {
        let status = json(&eu, &["status"]);
        (status["peers"][0]["answers"] == false).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_are_not_complete_are_counted_even_if_nobody_fetches_them_yet() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(74));
    let builder = DevBuilder::new(folder.path())
        .arg("--wan")
        .arg("40ms,200kB/s")
        // No more bodies than this are known to be outstanding,
        .env("MERIDIAN_REPLICATION__FETCH__WANTS", "16")
        // and it takes its time until the rest is looked for.
        .env("MERIDIAN_REPLICATION__BACKFILL__SOON", "2s");
    let regions = Regions::start_with(builder, &["eu", "us"]);
    let us = folder.path().join("us");
    let client = regions.client("eu");
    const IMAGES: u64 = 24;
    for number in 0..IMAGES {
        let image = content.image(&[20_000]);
        let tag = number.to_string();
        let pushed = client.push_image("team/app", &tag, &image).await;
        pushed.unwrap().expect(201);
    }
    let outstanding = |status: &Value| status["peers"][0]["bodies_outstanding"].as_u64();
    eventually("more is incomplete than is outstanding", SOON, || async {
        let status = json(&us, &["status"]);
        let images = status["incomplete_images"].as_u64()?;
        assert!(images <= IMAGES, "{status}");
        assert_eq!(
            status["incomplete"].as_array()?.len(),
            usize::from(images > 0)
        );
        (images > outstanding(&status)?).then_some(())
    })
    .await;
    let shown = String::from_utf8(replication(&us, &["status"]).stdout).unwrap();
    assert!(shown.contains("incomplete images: "), "{shown}");
    eventually("all is complete", 2 * SOON, || async {
        let status = json(&us, &["status"]);
        let is_merged = status["peers"][0]["events_behind"] == 0;
        (is_merged && status["incomplete_images"] == 0).then_some(())
    })
    .await;
    for number in 0..IMAGES {
        let status = json(&us, &["status", &format!("team/app:{number}")]);
        assert_eq!(row(&status, "us")["state"], "complete", "{status}");
    }
}
