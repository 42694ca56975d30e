//! Stopping, being killed, starting again.

use std::time::Duration;

use harness::{Content, DevBuilder, digest, eventually, seed};

use crate::verb;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let image = Content::new(seed(10)).image(&[100, 300_000]);
    let dev = DevBuilder::new(folder.path()).start();
    let answer = dev.client().push_image("team/app", "1", &image).await;
    answer.unwrap().expect(201);
    assert!(dev.stop().success());
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let answer = client.manifest("team/app", "1").await.unwrap().expect(200);
    assert_eq!(answer.body, image.manifest);
    for blob in &image.blobs {
        let answer = client.blob("team/app", digest(blob)).await.unwrap();
        assert_eq!(answer.expect(200).body, blob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_stays_deleted_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let image = Content::new(seed(11)).image(&[100]);
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    client
        .push_image("team/app", "1", &image)
        .await
        .unwrap()
        .expect(201);
    let path = format!("/v2/team/app/manifests/{}", image.digest());
    client.delete(&path).await.unwrap().expect(202);
    dev.kill();
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    client.manifest("team/app", "1").await.unwrap().expect(404);
    client.get(&path).await.unwrap().expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_answered_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let dev = DevBuilder::new(folder.path()).start();
    let client = dev.client();
    let blob = Content::new(seed(12)).bytes(200_000);
    let location = client.start_upload("team/app").await.unwrap();
    // The second half of the body comes when the server was asked to stop already.
    let (send, body) = tokio::sync::oneshot::channel();
    let halves = [blob.slice(..100_000), blob.slice(100_000..)];
    let stream = futures::stream::once(async move { Ok::<_, std::io::Error>(halves) });
    let stream = futures::StreamExt::flat_map(stream, |halves| {
        let [first, second] = halves.unwrap();
        futures::stream::iter([Ok(first), Ok(second)])
    });
    let stream = futures::StreamExt::then(futures::StreamExt::enumerate(stream), {
        let mut body = Some(body);
        move |(number, half): (usize, Result<_, std::io::Error>)| {
            let gate = (number == 1).then(|| body.take().unwrap());
            async move {
                if let Some(gate) = gate {
                    let _: Result<(), _> = gate.await;
                }
                half
            }
        }
    });
    let path = harness::with_digest(&location, digest(&blob));
    let put = tokio::task::spawn(async move {
        let body = reqwest::Body::wrap_stream(stream);
        client.send(reqwest::Method::PUT, &path, &[], body).await
    });
    // Asked to stop only when the first half has arrived.
    let data_dir = folder.path().to_owned();
    eventually(
        "the upload is under way",
        Duration::from_secs(30),
        || async {
            let status = verb(&data_dir, &["status"]);
            (status["open_uploads"] == 1).then_some(())
        },
    )
    .await;
    let stopping = tokio::task::spawn_blocking({
        let pid = dev.pid();
        move || {
            rustix::process::kill_process(
                rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
                rustix::process::Signal::TERM,
            )
        }
    });
    stopping.await.unwrap().unwrap();
    send.send(()).unwrap();
    put.await.unwrap().unwrap().expect(201);
    let mut dev = dev;
    let status = tokio::task::spawn_blocking(move || dev.wait(Duration::from_secs(30)));
    assert!(status.await.unwrap().expect("it ends").success());
}
