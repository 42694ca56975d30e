//! Two blob services behind a frontend that calls them in turn: consecutive requests of one upload hit
//! different processes. Blobs rest in a bucket, sessions in Redis.

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use harness::{
    Client, Content, Dev, DevBuilder, Parts, S3Server, Wire, digest, eventually, seed, with_digest,
};
use reqwest::Method;
use tokio::task::JoinSet;

use crate::region::{Region, SOON};
use crate::registry::{pull, push};

const MIB: usize = 1024 * 1024;
const KEY: &str = "the same key for all blob services of a region";

/// A region with two blob services.
struct Pair {
    region: Region,
    bucket: S3Server,
    wire: Wire,
    blobs: Vec<Option<Dev>>,
    frontend: Dev,
}

impl Pair {
    async fn start() -> Self {
        let (bucket, wire) = (
            S3Server::start().await,
            Wire::to(Parts::find().redis.unwrap().address).await,
        );
        let mut region = Region::empty().hasty();
        region.start_metadata();
        let builders = [0, 1].map(|number| Self::builder(&region, number, &bucket, &wire));
        let blobs = builders.map(|builder| Some(builder.start())).into();
        let endpoints = [0, 1].map(|number| format!("{:?}", Self::endpoint(&region, number)));
        let list = format!("[{}]", endpoints.join(","));
        let frontend = region.builder("frontend");
        let frontend = frontend.env("MERIDIAN_SERVICES__BLOB", list).start();
        Self {
            region,
            bucket,
            wire,
            blobs,
            frontend,
        }
    }

    fn endpoint(region: &Region, number: usize) -> String {
        format!("unix:{}", region.socket(&name(number)).display())
    }

    fn builder(region: &Region, number: usize, bucket: &S3Server, wire: &Wire) -> DevBuilder {
        let metadata = format!("unix:{}", region.socket("metadata").display());
        let builder = DevBuilder::run(&["blob"], region.data_dir(&name(number)))
            .listen(Self::endpoint(region, number))
            .env("MERIDIAN_SERVICES__METADATA", metadata)
            .env("MERIDIAN_BLOB__UPLOADS__KEY", KEY)
            .env("MERIDIAN_CACHE__KIND", "redis")
            .env("MERIDIAN_CACHE__REDIS__ADDRESS", wire.address())
            // Redis outlives a test, generations do not.
            .env(
                "MERIDIAN_CACHE__REDIS__PREFIX",
                format!("{}:", wire.address()),
            );
        let settings = bucket.settings().into_iter();
        settings.fold(builder, |builder, (name, value)| builder.env(&name, value))
    }

    fn client(&self) -> Client {
        self.frontend.client()
    }

    /// Has Redis back, for both.
    async fn mend(&self) {
        let (client, before) = (self.client(), self.wire.taken());
        self.wire.mend();
        let client = &client;
        eventually("both have found Redis again", SOON, || async move {
            // It is looked for when it is needed.
            client.start_upload("team/app").await.ok()?;
            (self.wire.taken() - before >= 2).then_some(())
        })
        .await;
    }

    fn kill(&mut self, number: usize) {
        self.blobs[number].take().unwrap().kill();
    }
}

fn name(number: usize) -> String {
    format!("blob-{number}")
}

/// Sends a chunk, again while the session is in another's hand. Returns where to go on.
async fn patch(client: &Client, location: &str, from: usize, chunk: Bytes) -> String {
    let range = format!("{from}-{}", from + chunk.len() - 1);
    let headers = [("Content-Range", &*range)];
    let (chunk, headers) = (&chunk, &headers);
    let answer = eventually("a chunk is taken", SOON, || async move {
        let sent = client.send(Method::PATCH, location, headers, chunk.clone());
        let answer = sent.await.ok()?;
        let is_late = answer.status.as_u16() == 409 || answer.status.is_server_error();
        (!is_late).then_some(answer)
    });
    let answer = answer.await.expect(202);
    let end = format!("0-{}", range.rsplit_once('-').unwrap().1);
    assert_eq!(answer.header("range"), Some(&*end));
    answer.header("location").unwrap().to_owned()
}

async fn finish(client: &Client, location: &str, blob: &Bytes, rest: Bytes) {
    let path = with_digest(location, digest(blob));
    let done = client.send(Method::PUT, &path, &[], rest).await;
    done.unwrap().expect(201);
    let pulled = client.blob("team/app", digest(blob)).await.unwrap();
    assert!(pulled.expect(200).body == blob);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: cargo xtask cache"]
async fn images_are_pushed_and_pulled_through_both() {
    let pair = Pair::start().await;
    let client = pair.client();
    for round in 0..4 {
        let image = Content::new(seed(120 + round)).image(&[100, 40_000, 12 * MIB + 17]);
        push(&client, "team/app", &format!("{round}"), &image).await;
        pull(&client, "team/app", &format!("{round}"), &image).await;
    }
    for blob in pair.blobs.into_iter().flatten() {
        assert!(blob.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: cargo xtask cache"]
async fn each_request_of_an_upload_goes_on_where_the_other_process_stopped() {
    let pair = Pair::start().await;
    let client = pair.client();
    let blob = Content::new(seed(130)).bytes(31 * MIB + 321);
    let mut location = client.start_upload("team/app").await.unwrap();
    // In the first part, over several, and nearly none.
    let ends = [3 * MIB, 15 * MIB, 15 * MIB + 1, 26 * MIB];
    let mut from = 0;
    for to in ends {
        location = patch(&client, &location, from, blob.slice(from..to)).await;
        from = to;
        for _ in 0..2 {
            let status = client.get(&location).await.unwrap().expect(204);
            let end = format!("0-{}", to - 1);
            assert_eq!(status.header("range"), Some(&*end));
        }
    }
    finish(&client, &location, &blob, blob.slice(from..)).await;
    // Repeated, at either.
    for _ in 0..2 {
        let path = with_digest(&location, digest(&blob));
        let again = client.send(Method::PUT, &path, &[], Bytes::new()).await;
        again.unwrap().expect(201);
    }
    assert_eq!((pair.bucket.objects().len(), pair.bucket.parts()), (1, 0));

    // What is given up at the other one leaves nothing.
    let location = client.start_upload("team/app").await.unwrap();
    let location = patch(&client, &location, 0, blob.slice(1..12 * MIB)).await;
    client.delete(&location).await.unwrap().expect(204);
    client.get(&location).await.unwrap().expect(404);
    assert_eq!((pair.bucket.objects().len(), pair.bucket.parts()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: cargo xtask cache"]
async fn an_upload_survives_the_process_that_has_it_in_hand() {
    let mut pair = Pair::start().await;
    let client = pair.client();
    let blob = Content::new(seed(131)).bytes(24 * MIB + 321);
    let location = client.start_upload("team/app").await.unwrap();
    let location = patch(&client, &location, 0, blob.slice(..7 * MIB)).await;

    // Amid the next chunk, when some of it is in the bucket, both are killed, one after the other: one
    // of them had it in hand.
    let acknowledged = pair.bucket.parts();
    let (mut send, body) = mpsc::channel::<Bytes>(1);
    let body = reqwest::Body::wrap_stream(body.map(Ok::<_, std::io::Error>));
    let (hanging, path) = (client.clone(), location.clone());
    let mut request = JoinSet::new();
    request.spawn(async move {
        drop(hanging.send(Method::PATCH, &path, &[], body).await);
    });
    send.send(blob.slice(7 * MIB..20 * MIB)).await.unwrap();
    let bucket = &pair.bucket;
    eventually("another part is stored", SOON, || async move {
        (bucket.parts() > acknowledged).then_some(())
    })
    .await;
    for number in [0, 1] {
        pair.kill(number);
        let builder = Pair::builder(&pair.region, number, &pair.bucket, &pair.wire);
        pair.blobs[number] = Some(builder.start());
    }
    drop((send, request));

    let location = patch(&client, &location, 7 * MIB, blob.slice(7 * MIB..20 * MIB)).await;
    finish(&client, &location, &blob, blob.slice(20 * MIB..)).await;
    assert_eq!((pair.bucket.objects().len(), pair.bucket.parts()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: cargo xtask cache"]
async fn uploads_go_on_while_redis_is_away() {
    let pair = Pair::start().await;
    let client = pair.client();
    let blob = Content::new(seed(132)).bytes(15 * MIB + 5);
    let location = client.start_upload("team/app").await.unwrap();
    let location = patch(&client, &location, 0, blob.slice(..6 * MIB)).await;
    pair.wire.cut();
    let location = patch(&client, &location, 6 * MIB, blob.slice(6 * MIB..7 * MIB)).await;
    let location = patch(&client, &location, 7 * MIB, blob.slice(7 * MIB..8 * MIB)).await;
    finish(&client, &location, &blob, blob.slice(8 * MIB..)).await;
    let image = Content::new(seed(133)).image(&[100, 40_000, 6 * MIB]);
    push(&client, "team/app", "away", &image).await;

    // Opened with, begun without, ended with: nobody could be told of its first bytes.
    pair.mend().await;
    let third = Content::new(seed(135)).bytes(8 * MIB);
    let location = client.start_upload("team/app").await.unwrap();
    pair.wire.cut();
    let location = patch(&client, &location, 0, third.slice(..6 * MIB)).await;
    pair.mend().await;
    for _ in 0..2 {
        let status = client.get(&location).await.unwrap().expect(204);
        let end = format!("0-{}", 6 * MIB - 1);
        assert_eq!(status.header("range"), Some(&*end));
    }
    finish(&client, &location, &third, third.slice(6 * MIB..)).await;
    pair.wire.cut();

    // Begun without, ended with.
    let other = Content::new(seed(134)).bytes(9 * MIB);
    let location = client.start_upload("team/app").await.unwrap();
    let location = patch(&client, &location, 0, other.slice(..6 * MIB)).await;
    pair.mend().await;
    finish(&client, &location, &other, other.slice(6 * MIB..)).await;
    pull(&client, "team/app", "away", &image).await;
}
