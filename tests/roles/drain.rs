//! Whoever is asked to stop finishes what it is at.

use std::time::Duration;

use harness::{Content, Dev, digest, eventually, seed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::region::{Region, SOON};

/// More than all buffers between a store and a client hold.
const LARGE: usize = 32 * 1024 * 1024;

/// A pull that has begun and waits for its client to read on.
struct Pull {
    stream: TcpStream,
    body: Vec<u8>,
}

impl Pull {
    async fn begin(host: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(host).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: r\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let end = loop {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0);
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
        };
        assert!(read.starts_with(b"HTTP/1.1 200 "));
        let body = read.split_off(end + 4);
        Self { stream, body }
    }

    async fn finish(mut self) -> Vec<u8> {
        while self.body.len() < LARGE {
            let read = tokio::time::timeout(SOON, self.stream.read_buf(&mut self.body));
            let read = read.await.expect("it goes on").unwrap();
            assert!(read > 0, "it ended after {} bytes", self.body.len());
        }
        self.body
    }
}

/// Whether it ended by itself, in time and well.
async fn ended(mut process: Dev) -> bool {
    let ended = tokio::task::spawn_blocking(move || process.wait(Duration::from_secs(20)));
    ended.await.unwrap().is_some_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_under_way_is_finished_by_a_process_that_was_asked_to_stop() {
    let mut region = Region::start();
    let blob = Content::new(seed(90)).bytes(LARGE);
    let pushed = region.client().push_blob("team/app", blob.clone()).await;
    pushed.unwrap().expect(201);
    let path = format!("/v2/team/app/blobs/{}", digest(&blob));

    let host = region.frontend.as_ref().unwrap().host().to_owned();
    let pull = Pull::begin(&host, &path).await;
    let process = region.blob.take().unwrap();
    process.ask_to_stop();
    let socket = region.socket("blob");
    eventually("the blob service takes no more calls", SOON, || async {
        UnixStream::connect(&socket).await.is_err().then_some(())
    })
    .await;
    assert_eq!(pull.finish().await, blob);
    assert!(ended(process).await);

    region.start_blob();
    region.recovered().await;
    let pull = Pull::begin(&host, &path).await;
    let process = region.frontend.take().unwrap();
    process.ask_to_stop();
    eventually("the frontend takes no more requests", SOON, || async {
        TcpStream::connect(&host).await.is_err().then_some(())
    })
    .await;
    assert_eq!(pull.finish().await, blob);
    assert!(ended(process).await);
}
