//! The check of a region from end to end.

use std::time::{Duration, Instant};

use harness::{Content, DevBuilder, seed};
use reqwest::Method;
use serde_json::Value;

use crate::{Managed, TOKEN, address, meridian, write_secret};

fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            (
                step["name"].as_str().unwrap(),
                step["outcome"].as_str().unwrap(),
            )
        })
        .collect()
}

const STEPS: [&str; 8] = [
    "reach",
    "push_blobs",
    "push_manifest",
    "pull_manifest",
    "pull_blobs",
    "see_event",
    "delete",
    "find_nothing",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_well_passes_and_nothing_is_left_behind() {
    let managed = Managed::start();
    let client = managed.dev.client();
    let image = Content::new(seed(300)).image(&[100]);
    client
        .push_image("team/app", "1", &image)
        .await
        .unwrap()
        .expect(201);
    let catalog = client.get("/v2/_catalog").await.unwrap().expect(200);
    for _ in 0..3 {
        let answer = managed.ask(Method::POST, "/v1/checks").await.expect(200);
        let report: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(report["passed"], true, "{report}");
        assert_eq!(outcomes(&report), STEPS.map(|step| (step, "passed")));
        let steps = report["steps"].as_array().unwrap();
        let sum: u64 = steps
            .iter()
            .map(|it| it["elapsed_micros"].as_u64().unwrap())
            .sum();
        assert!(
            sum > 0 && sum <= report["elapsed_micros"].as_u64().unwrap(),
            "{report}"
        );
        let left = client.get("/v2/_catalog").await.unwrap().expect(200);
        assert_eq!(left.body, catalog.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_step_fails_the_rest_is_cleaned_up_and_the_exit_code_says_so() {
    let managed = Managed::start_with(|dev| {
        dev.env("FAILPOINTS", "eventlog.events.fail=return")
            .env("MERIDIAN_MANAGEMENT__CHECK__DEADLINE", "2s")
    });
    let data = managed.folder.path().join("data");
    let began = Instant::now();
    let output = meridian(&["check", "--json", "--data-dir", data.to_str().unwrap()]);
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["passed"], false);
    let mut expected = STEPS.map(|step| (step, "passed"));
    expected[5].1 = "failed";
    expected[7].1 = "skipped";
    assert_eq!(outcomes(&report), expected, "{report}");
    let client = managed.dev.client();
    let left = client.get("/v2/_catalog").await.unwrap().expect(200);
    assert_eq!(left.body, r#"{"repositories":[]}"#.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_that_is_away_is_named_within_the_deadline() {
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = away.local_addr().unwrap();
    let managed = Managed::start_with(|dev| {
        dev.env(
            "MERIDIAN_MANAGEMENT__CHECK__FRONTEND",
            format!("http://{silent}"),
        )
        .env("MERIDIAN_MANAGEMENT__CHECK__DEADLINE", "500ms")
    });
    let began = Instant::now();
    let answer = managed.ask(Method::POST, "/v1/checks").await.expect(200);
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    let report: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(report["passed"], false);
    let outcomes = outcomes(&report);
    assert_eq!(outcomes[0], ("reach", "failed"), "{report}");
    assert_eq!(outcomes[1], ("push_blobs", "skipped"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_on_its_own_checks_what_it_can_see() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    write_secret(&tokens, TOKEN);
    let metadata = DevBuilder::run(&["metadata"], folder.path().join("metadata")).start();
    let blob = DevBuilder::run(&["blob"], folder.path().join("blob"))
        .env("MERIDIAN_SERVICES__METADATA", metadata.base())
        .start();
    let frontend = DevBuilder::run(&["frontend"], folder.path().join("frontend"))
        .env("MERIDIAN_SERVICES__METADATA", metadata.base())
        .env("MERIDIAN_SERVICES__BLOB", blob.base())
        .env("MERIDIAN_MANAGEMENT__LISTEN", "[\"127.0.0.1:0\"]")
        .env("MERIDIAN_MANAGEMENT__TOKEN_FILE", tokens.to_str().unwrap())
        .start();
    let server = format!("http://{}", address(&frontend));
    let ask = |verb: &[&str]| {
        let target = [
            "--server",
            &server,
            "--token-file",
            tokens.to_str().unwrap(),
        ];
        meridian(&[verb, &target].concat())
    };
    let output = ask(&["check", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut expected = STEPS.map(|step| (step, "passed"));
    expected[5].1 = "skipped";
    assert_eq!(outcomes(&report), expected, "{report}");
    // For people, a line for each step.
    let output = ask(&["check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), STEPS.len() + 1, "{text}");
    assert!(text.contains("passed after"), "{text}");
    // What it does not run it says.
    let output = ask(&["cluster", "status"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no metadata service"), "{said}");
}
