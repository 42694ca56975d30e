//! A region of several processes behind one address, for programs that test a registry from outside.
//!
//! Three members, two blob services on a bucket, two frontends; Kafka and Redis are those which
//! `XTASK_PARTS` tells of. Requests go to the frontends in turn, and from these to members and blob
//! services in turn: no two requests in a row take the same way.
//!
//! ```sh
//! meridian-region 127.0.0.1:5000
//! ```

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a program for tests: a panic is how it fails"
)]

use std::net::SocketAddr;

use harness::{Parts, Plan, Region, Rotary, S3Server};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.and_then(|it| it.parse().ok()).expect("HOST:PORT");
    let mut end = signal(SignalKind::terminate()).unwrap();
    let server = S3Server::start().await;
    let redis = Parts::find().redis.expect("Redis is among the parts");
    let plan = Plan::with_kafka()
        .with_bucket(&server)
        .with_redis(&redis.address);
    let region = tokio::task::block_in_place(|| Region::start(plan));
    let fronts = region.bases();
    let fronts = fronts.iter().map(|base| {
        let (_, address) = base.split_once("://").unwrap();
        address.parse().unwrap()
    });
    let _rotary = Rotary::listen(address, fronts.collect()).await.unwrap();
    eprintln!("a region listens at http://{address}");
    end.recv().await;
}
