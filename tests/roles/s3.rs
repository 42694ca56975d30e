//! A blob service whose bytes rest in a bucket.

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use harness::{Answer, Client, Content, S3Server, digest, eventually, seed, with_digest};
use reqwest::Method;

use crate::region::{Region, SOON};
use crate::registry::{pull, push};

const MIB: usize = 1024 * 1024;

/// Begins a PATCH whose body goes on as long as something is sent there.
fn patch(client: &Client, location: &str) -> (mpsc::Sender<Bytes>, tokio::task::JoinSet<()>) {
    let (send, body) = mpsc::channel::<Bytes>(1);
    let body = reqwest::Body::wrap_stream(body.map(Ok::<_, std::io::Error>));
    let (client, location) = (client.clone(), location.to_owned());
    let mut request = tokio::task::JoinSet::new();
    request.spawn(async move {
        // It is cut off by the end of the process behind it.
        drop(client.send(Method::PATCH, &location, &[], body).await);
    });
    (send, request)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_rest_in_the_bucket_and_nowhere_else() {
    let bucket = S3Server::start().await;
    let region = Region::empty().blob_settings(bucket.settings()).started();
    let client = region.client();
    let image = Content::new(seed(90)).image(&[100, 40_000, 12 * MIB + 17]);
    push(&client, "team/app", "1", &image).await;
    pull(&client, "team/app", "1", &image).await;
    let objects = bucket.objects();
    assert_eq!(
        objects.len(),
        2,
        "small blobs are in their records: {objects:?}"
    );
    assert!(objects.iter().all(|name| name.starts_with("region/eu/")));
    assert!(!region.data_dir("blob").join("blobs").exists());

    let large = &image.blobs[3];
    let path = format!("/v2/team/app/blobs/{}", digest(large));
    let range = [("Range", "bytes=5242870-5242890")];
    let part = client.send(Method::GET, &path, &range, Bytes::new()).await;
    assert_eq!(
        part.unwrap().expect(206).body,
        large.slice(5_242_870..5_242_891)
    );
}

/// Where a session goes on after a chunk that was taken.
fn next(answer: Answer) -> String {
    let taken = answer.expect(202);
    taken.header("location").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_in_the_bucket_after_its_process_was_killed() {
    let bucket = S3Server::start().await;
    let settings = bucket.settings();
    let mut region = Region::empty().hasty().blob_settings(settings).started();
    let client = region.client();
    let blob = Content::new(seed(91)).bytes(24 * MIB + 321);
    let location = client.start_upload("team/app").await.unwrap();
    let chunk = blob.slice(..7 * MIB);
    let headers = [("Content-Range", "0-7340031")];
    let sent = client.send(Method::PATCH, &location, &headers, chunk).await;
    let location = next(sent.unwrap());

    // Killed amid the next chunk, when some of it is in the bucket, and none of it acknowledged.
    let acknowledged = bucket.parts();
    let (mut send, request) = patch(&client, &location);
    send.send(blob.slice(7 * MIB..20 * MIB)).await.unwrap();
    eventually("another part is stored", SOON, || async {
        (bucket.parts() > acknowledged).then_some(())
    })
    .await;
    region.blob.take().unwrap().kill();
    drop((send, request));
    region.start_blob();
    region.recovered().await;

    let client = region.client();
    let status = client.get(&location).await.unwrap().expect(204);
    assert_eq!(status.header("range"), Some("0-7340031"));
    let path = with_digest(&location, digest(&blob));
    let rest = blob.slice(7 * MIB..);
    let done = client.send(Method::PUT, &path, &[], rest).await;
    done.unwrap().expect(201);
    let pulled = client.blob("team/app", digest(&blob)).await.unwrap();
    assert!(pulled.expect(200).body == blob);
    assert_eq!((bucket.objects().len(), bucket.parts()), (1, 0));

    // What is given up leaves nothing.
    let location = client.start_upload("team/app").await.unwrap();
    let sent = client
        .send(Method::PATCH, &location, &[], blob.slice(1..12 * MIB))
        .await;
    let location = next(sent.unwrap());
    assert!(bucket.parts() > 0);
    client.delete(&location).await.unwrap().expect(204);
    assert_eq!((bucket.objects().len(), bucket.parts()), (1, 0));
}
