//! Upload sessions across a kill.

use harness::{Content, DevBuilder, digest, seed, with_digest};
use reqwest::Method;

#[tokio::test(flavor = "multi_thread")]
async fn an_open_session_survives_a_kill_up_to_its_last_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let blob = Content::new(seed(20)).bytes(300_000);
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let location = client.start_upload("team/app").await.unwrap();
    let first = blob.slice(..200_000);
    let headers = [("Content-Range", "0-199999")];
    let answer = client.send(Method::PATCH, &location, &headers, first).await;
    let answer = answer.unwrap().expect(202);
    let location = answer.header("location").unwrap().to_owned();
    dev.kill();

    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let answer = client.get(&location).await.unwrap().expect(204);
    assert_eq!(answer.header("range"), Some("0-199999"));
    let headers = [("Content-Range", "200000-299999")];
    let path = with_digest(&location, digest(&blob));
    let rest = blob.slice(200_000..);
    let answer = client.send(Method::PUT, &path, &headers, rest).await;
    answer.unwrap().expect(201);
    let answer = client.blob("team/app", digest(&blob)).await.unwrap();
    assert_eq!(answer.expect(200).body, blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_session_answers_again_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let blob = Content::new(seed(21)).bytes(100_000);
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let location = client.start_upload("team/app").await.unwrap();
    let path = with_digest(&location, digest(&blob));
    for _ in 0..2 {
        let answer = client.send(Method::PUT, &path, &[], blob.clone()).await;
        answer.unwrap().expect(201);
    }
    dev.kill();
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let answer = client.send(Method::PUT, &path, &[], blob).await;
    answer.unwrap().expect(201);
}
