//! `kill -9` of each process: what was acknowledged is there, and the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use harness::{Client, Content, Image, digest, seed, with_digest};
use reqwest::Method;
use tokio::task::JoinSet;

use crate::region::Region;
use crate::registry::{pull, push};

const MIB: usize = 1024 * 1024;

/// An upload of which some is acknowledged.
struct Half {
    blob: Bytes,
    location: String,
}

impl Half {
    async fn send(client: &Client, blob: Bytes) -> Self {
        let location = client.start_upload("team/app").await.unwrap();
        let headers = [("Content-Range", "0-1048575")];
        let chunk = blob.slice(..MIB);
        let sent = client.send(Method::PATCH, &location, &headers, chunk).await;
        let sent = sent.unwrap().expect(202);
        Self {
            blob,
            location: sent.header("location").unwrap().to_owned(),
        }
    }

    /// Sends the rest, from where the registry says that the session ends.
    async fn finish(self, client: &Client) {
        let status = client.get(&self.location).await.unwrap().expect(204);
        assert_eq!(status.header("range"), Some("0-1048575"));
        let path = with_digest(&self.location, digest(&self.blob));
        let rest = self.blob.slice(MIB..);
        let done = client.send(Method::PUT, &path, &[], rest).await;
        done.unwrap().expect(201);
        let answer = client.blob("team/app", digest(&self.blob)).await.unwrap();
        assert_eq!(answer.expect(200).body, self.blob);
    }
}

/// While `role` is away: its frontend, if it is there, says so.
async fn expect_absent(client: &Client, path: &str) {
    let answer = client.get(path).await.unwrap().expect(503);
    assert!(answer.header("retry-after").is_some());
    let said = String::from_utf8_lossy(&answer.body);
    assert!(said.contains("UNAVAILABLE"), "{said}");
    // The process itself is well; it is not taken from its load balancer.
    client.get("/livez").await.unwrap().expect(200);
    client.get("/readyz").await.unwrap().expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_is_killed_and_nothing_acknowledged_is_lost() {
    let mut content = Content::new(seed(60));
    let mut region = Region::empty().hasty().started();
    let mut pushed: Vec<Image> = Vec::new();
    for victim in ["metadata", "blob", "frontend"] {
        let image = content.image(&[100, 300_000]);
        push(&region.client(), "team/app", victim, &image).await;
        let layer = digest(&image.blobs[2]);
        pushed.push(image);
        let half = Half::send(&region.client(), content.bytes(MIB + 4_321)).await;
        match victim {
            "metadata" => {
                region.metadata.take().unwrap().kill();
                expect_absent(&region.client(), "/v2/team/app/tags/list").await;
                region.start_metadata();
            }
            "blob" => {
                region.blob.take().unwrap().kill();
                let path = format!("/v2/team/app/blobs/{layer}");
                expect_absent(&region.client(), &path).await;
                let tags = region.client().get("/v2/team/app/tags/list").await;
                tags.unwrap().expect(200);
                region.start_blob();
            }
            _ => {
                region.frontend.take().unwrap().kill();
                region.start_frontend();
            }
        }
        region.recovered().await;
        half.finish(&region.client()).await;
        for (image, tag) in pushed.iter().zip(["metadata", "blob", "frontend"]) {
            pull(&region.client(), "team/app", tag, image).await;
        }
    }
}

/// Whether each part of an image was acknowledged.
async fn try_push(client: &Client, tag: &str, image: &Image) -> bool {
    for blob in &image.blobs {
        let path = format!("/v2/team/app/blobs/uploads/?digest={}", digest(blob));
        let pushed = client.send(Method::POST, &path, &[], blob.clone()).await;
        if !pushed.is_ok_and(|answer| answer.status == 201) {
            return false;
        }
    }
    let manifest = image.manifest.clone();
    let put = client.put_manifest("team/app", tag, manifest).await;
    put.is_ok_and(|answer| answer.status == 201)
}

/// Pushes images until it is over, and returns those that were acknowledged.
async fn keep_pushing(client: Client, pusher: u64, over: Arc<AtomicBool>) -> Vec<(String, Image)> {
    let mut content = Content::new(seed(70 + pusher));
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let tag = format!("{pusher}-{number}");
        let image = content.image(&[20_000]);
        if try_push(&client, &tag, &image).await {
            acknowledged.push((tag, image));
        }
        if over.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_amid_kills_and_stops_is_there_afterwards() {
    let mut region = Region::start();
    let over = Arc::new(AtomicBool::new(false));
    let mut pushers = JoinSet::new();
    for pusher in 0..3 {
        pushers.spawn(keep_pushing(region.client(), pusher, Arc::clone(&over)));
    }
    for round in 0..4 {
        // Some pushes come through before each end.
        let probe = Content::new(seed(80 + round)).image(&[1_000]);
        push(&region.client(), "team/probe", &round.to_string(), &probe).await;
        let (process, is_kill) = match round {
            0 => (region.metadata.take(), true),
            1 => (region.blob.take(), true),
            2 => (region.metadata.take(), false),
            _ => (region.blob.take(), false),
        };
        match is_kill {
            true => process.unwrap().kill(),
            false => assert!(process.unwrap().stop().success(), "round {round}"),
        }
        match region.metadata {
            None => region.start_metadata(),
            Some(_) => region.start_blob(),
        }
        region.recovered().await;
    }
    over.store(true, Ordering::Relaxed);
    let mut count = 0;
    for (tag, image) in pushers.join_all().await.into_iter().flatten() {
        pull(&region.client(), "team/app", &tag, &image).await;
        count += 1;
    }
    assert!(count > 0, "no push was acknowledged");
}
