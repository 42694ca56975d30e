//! Processes may be started in any order.

use std::time::Duration;

use bytes::Bytes;
use harness::{Client, Content, eventually, seed};
use reqwest::Method;

use crate::region::{Region, SOON};
use crate::registry::{pull, push};

/// Where a process listens that does not say so yet, from its log.
fn address(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    format!("http://{}", line["address"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_that_is_first_answers_503_until_the_others_are_there() {
    let mut region = Region::empty().hasty();
    let frontend = region.builder("frontend").launch();
    let client = Client::new(address(&frontend.log_line("listening")));
    client.get("/livez").await.unwrap().expect(200);
    client.get("/readyz").await.unwrap().expect(503);
    let upload = "/v2/team/app/blobs/uploads/";
    for (method, path) in [
        (Method::GET, "/v2/"),
        (Method::GET, "/v2/team/app/tags/list"),
        (Method::POST, upload),
    ] {
        let answer = client.send(method, path, &[], Bytes::new()).await;
        let answer = answer.unwrap().expect(503);
        assert!(answer.header("retry-after").is_some(), "{path}");
        let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(said["errors"][0]["code"], "UNAVAILABLE", "{path}");
    }
    region.start_metadata();
    client.get("/readyz").await.unwrap().expect(503);
    region.start_blob();
    eventually("the frontend is ready", SOON, || async {
        let answer = client.get("/readyz").await.unwrap();
        (answer.status == 200).then_some(())
    })
    .await;
    let frontend = frontend.ready().unwrap();
    assert_eq!(
        Client::new(frontend.base())
            .get("/v2/")
            .await
            .unwrap()
            .status,
        200
    );
    let image = Content::new(seed(50)).image(&[100, 50_000]);
    push(&client, "team/app", "1", &image).await;
    pull(&client, "team/app", "1", &image).await;
}

#[test]
fn a_process_that_waits_for_the_others_stops_when_it_is_asked_to() {
    let region = Region::empty();
    for role in ["frontend", "blob"] {
        let waiting = region.builder(role).launch();
        waiting.log_line("waiting for the metadata service");
        let begun = std::time::Instant::now();
        assert!(waiting.stop().success());
        assert!(begun.elapsed() < Duration::from_secs(5), "{role}");
    }
}
