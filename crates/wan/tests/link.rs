//! Links between real sockets. What is asserted of time is what no machine can be too slow for: that
//! nothing comes earlier than it may.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use meridian_wan::{Link, Mesh, Place, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);
/// Within this everything that should happen has happened, on whatever machine.
const LONG: Duration = Duration::from_secs(60);
/// If nothing has come within this, nothing was meant to come: too short a time lets a fault pass now
/// and then, and never fails without one.
const WHILE: Duration = Duration::from_millis(100);

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A server that has not accepted yet, and a link to it.
async fn link(profile: &str) -> (Link, TcpListener) {
    let server = TcpListener::bind(any()).await.unwrap();
    let profile: Profile = profile.parse().unwrap();
    let link = Link::start(any(), server.local_addr().unwrap(), profile, 1).unwrap();
    (link, server)
}

/// Both ends of a connection over a link.
async fn connection(profile: &str) -> (Link, TcpStream, TcpStream) {
    let (link, server) = link(profile).await;
    let (near, far) = connect(&link, &server).await;
    (link, near, far)
}

async fn connect(link: &Link, server: &TcpListener) -> (TcpStream, TcpStream) {
    let near = TcpStream::connect(link.address()).await.unwrap();
    let (far, _) = soon(server.accept()).await.unwrap();
    (near, far)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(LONG, what).await.expect("it has not happened")
}

/// Has a byte come through.
async fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_u8(7).await.unwrap();
    assert_eq!(soon(to.read_u8()).await.unwrap(), 7);
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(WHILE, stream.read_u8()).await.is_err()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(MS).await;
        }
    };
    timeout(LONG, wait).await.expect(what);
}

#[tokio::test]
async fn an_answer_takes_a_round_trip_and_the_first_one_two() {
    let (link, server) = link("80ms").await;
    let began = Instant::now();
    let (mut near, mut far) = connect(&link, &server).await;
    pass(&mut near, &mut far).await;
    assert!(began.elapsed() >= 120 * MS);
    pass(&mut far, &mut near).await;
    assert!(began.elapsed() >= 160 * MS);
    let began = Instant::now();
    pass(&mut near, &mut far).await;
    pass(&mut far, &mut near).await;
    assert!(began.elapsed() >= 80 * MS);
}

#[tokio::test]
async fn a_server_that_speaks_first_waits_for_the_handshake() {
    let (link, server) = link("80ms").await;
    let began = Instant::now();
    let (mut near, mut far) = connect(&link, &server).await;
    pass(&mut far, &mut near).await;
    assert!(began.elapsed() >= 160 * MS);
}

#[tokio::test]
async fn a_megabyte_takes_a_second_at_a_megabyte_per_second() {
    let (link, mut near, mut far) = connection("10ms,1MB/s").await;
    let began = Instant::now();
    let sent: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let copy = sent.clone();
    let mut arrived = vec![0; 1_000_000];
    let (written, read) = tokio::join!(near.write_all(&sent), far.read_exact(&mut arrived));
    written.unwrap();
    read.unwrap();
    assert!(began.elapsed() >= 1005 * MS);
    assert!(arrived == copy);
    let traffic = link.forward().traffic();
    assert_eq!(traffic.connections, 1);
    assert_eq!((traffic.sent, traffic.delivered), (1_000_000, 1_000_000));
    assert_eq!(link.backward().traffic().sent, 0);
}

#[tokio::test]
async fn connections_share_the_bandwidth_of_a_link() {
    let (link, server) = link("1MB/s").await;
    let (mut one_near, mut one_far) = connect(&link, &server).await;
    let (mut two_near, mut two_far) = connect(&link, &server).await;
    let began = Instant::now();
    let half = vec![7; 300_000];
    let (mut one, mut two) = (vec![0; 300_000], vec![0; 300_000]);
    let (a, b, c, d) = tokio::join!(
        one_near.write_all(&half),
        two_near.write_all(&half),
        one_far.read_exact(&mut one),
        two_far.read_exact(&mut two),
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert!(began.elapsed() >= 600 * MS);
}

#[tokio::test]
async fn the_end_of_one_direction_leaves_the_other_open() {
    let (link, mut near, mut far) = connection("20ms").await;
    near.write_all(b"all").await.unwrap();
    near.shutdown().await.unwrap();
    let mut said = Vec::new();
    soon(far.read_to_end(&mut said)).await.unwrap();
    assert_eq!(said, b"all");
    pass(&mut far, &mut near).await;
    assert_eq!(link.open(), 1);
    drop(far);
    assert_eq!(soon(near.read(&mut [0])).await.unwrap(), 0);
    eventually("it has ended", || link.open() == 0).await;
}

#[tokio::test]
async fn a_reset_comes_through_behind_what_was_sent_before() {
    let (link, mut near, mut far) = connection("20ms").await;
    pass(&mut near, &mut far).await;
    near.write_all(b"last").await.unwrap();
    eventually("it is on its way", || link.forward().traffic().sent == 5).await;
    near.set_zero_linger().unwrap();
    drop(near);
    let mut last = [0; 4];
    soon(far.read_exact(&mut last)).await.unwrap();
    let error = soon(far.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    eventually("it has ended", || link.open() == 0).await;
}

#[tokio::test]
async fn who_sends_to_one_that_is_gone_is_reset() {
    let (link, mut near, far) = connection("20ms").await;
    far.set_zero_linger().unwrap();
    drop(far);
    let error = soon(async {
        loop {
            if let Err(error) = near.write_u8(7).await {
                break error;
            }
            tokio::time::sleep(MS).await;
        }
    })
    .await;
    assert!(
        matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        "{error}"
    );
    eventually("it has ended", || link.open() == 0).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_resets_after_a_round_trip() {
    let (link, server) = link("80ms").await;
    drop(server);
    let began = Instant::now();
    let mut near = TcpStream::connect(link.address()).await.unwrap();
    let error = soon(near.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(began.elapsed() >= 80 * MS);
    let other = TcpListener::bind(any()).await.unwrap();
    link.set_server(other.local_addr().unwrap());
    let (mut near, mut far) = connect(&link, &other).await;
    pass(&mut near, &mut far).await;
}

#[tokio::test]
async fn a_cut_connection_hangs_and_goes_on_when_it_is_mended() {
    let (link, mut near, mut far) = connection("40ms").await;
    pass(&mut near, &mut far).await;
    link.cut();
    near.write_u8(7).await.unwrap();
    far.write_u8(8).await.unwrap();
    assert!(is_silent(&mut far).await && is_silent(&mut near).await);
    let mended = Instant::now();
    link.heal();
    assert_eq!(soon(far.read_u8()).await.unwrap(), 7);
    assert!(mended.elapsed() >= 20 * MS);
    assert_eq!(soon(near.read_u8()).await.unwrap(), 8);
    assert_eq!(link.forward().traffic().delivered, 2);
}

#[tokio::test]
async fn a_cut_of_one_lane_lets_the_other_one_through() {
    let (link, mut near, mut far) = connection("10ms").await;
    link.forward().cut();
    near.write_u8(7).await.unwrap();
    pass(&mut far, &mut near).await;
    assert!(is_silent(&mut far).await);
    link.forward().heal();
    assert_eq!(soon(far.read_u8()).await.unwrap(), 7);
}

#[tokio::test]
async fn a_new_connection_over_a_cut_hangs_until_it_is_mended() {
    let (link, server) = link("10ms").await;
    for lane in [link.forward(), link.backward()] {
        lane.cut();
        let mut near = TcpStream::connect(link.address()).await.unwrap();
        near.write_u8(7).await.unwrap();
        assert!(is_silent(&mut near).await);
        lane.heal();
        let (mut far, _) = soon(server.accept()).await.unwrap();
        assert_eq!(soon(far.read_u8()).await.unwrap(), 7);
    }
}

#[tokio::test]
async fn connections_are_reset_on_demand_and_new_ones_are_taken() {
    let (link, server) = link("10ms").await;
    let (mut near, mut far) = connect(&link, &server).await;
    pass(&mut near, &mut far).await;
    link.reset();
    for end in [&mut near, &mut far] {
        let error = soon(end.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let (mut near, mut far) = connect(&link, &server).await;
    pass(&mut near, &mut far).await;
    assert_eq!(link.forward().traffic().connections, 2);
}

#[tokio::test]
async fn nothing_is_left_of_a_link_that_is_dropped() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let (link, server) = link("10ms").await;
    let (mut near, mut far) = connect(&link, &server).await;
    pass(&mut near, &mut far).await;
    link.cut();
    let waiting = TcpStream::connect(link.address()).await.unwrap();
    let address = link.address();
    eventually("both are there", || link.open() == 2).await;
    drop(link);
    eventually("its tasks are gone", || metrics.num_alive_tasks() == before).await;
    for mut end in [near, far, waiting] {
        let error = soon(end.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_profile_changes_for_connections_that_are_there() {
    let (link, mut near, mut far) = connection("0ms").await;
    pass(&mut near, &mut far).await;
    link.set_profile("200ms".parse().unwrap());
    let began = Instant::now();
    pass(&mut near, &mut far).await;
    assert!(began.elapsed() >= 100 * MS);
}

#[tokio::test]
async fn what_two_regions_say_to_each_other_crosses_the_same_lane() {
    let profile: Profile = "10ms".parse().unwrap();
    let mut mesh = Mesh::new(["eu", "us", "asia"], profile, 1);
    let eu = TcpListener::bind(any()).await.unwrap();
    let us = TcpListener::bind(any()).await.unwrap();
    let (eu_address, us_address) = (eu.local_addr().unwrap(), us.local_addr().unwrap());
    let to_us = mesh.link("eu", "us", any(), us_address).unwrap().address();
    let to_eu = mesh.link("us", "eu", any(), eu_address).unwrap().address();
    let mut asks_us = TcpStream::connect(to_us).await.unwrap();
    let (mut answers_eu, _) = soon(us.accept()).await.unwrap();
    let mut asks_eu = TcpStream::connect(to_eu).await.unwrap();
    let (mut answers_us, _) = soon(eu.accept()).await.unwrap();
    pass(&mut asks_us, &mut answers_eu).await;
    pass(&mut answers_us, &mut asks_eu).await;
    assert_eq!(mesh.lane("eu", "us").unwrap().traffic().delivered, 2);

    mesh.lane("eu", "us").unwrap().cut();
    asks_us.write_u8(7).await.unwrap();
    answers_us.write_u8(7).await.unwrap();
    assert!(is_silent(&mut answers_eu).await && is_silent(&mut asks_eu).await);
    pass(&mut answers_eu, &mut asks_us).await;
    mesh.heal();
    assert_eq!(soon(answers_eu.read_u8()).await.unwrap(), 7);
    assert_eq!(soon(asks_eu.read_u8()).await.unwrap(), 7);
    assert!(mesh.link("eu", "mars", any(), us_address).is_err());
}

/// A place in the network of this process, and how many sockets were made there.
fn place() -> (Place, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let place = Place::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        TcpSocket::new_v4()
    });
    (place, made)
}

#[tokio::test]
async fn each_end_of_a_link_is_made_in_the_region_that_it_is_in() {
    let mut mesh = Mesh::new(["eu", "us"], Profile::default(), 1);
    let ((eu, made_in_eu), (us, made_in_us)) = (place(), place());
    mesh.settle("eu", eu);
    mesh.settle("us", us);
    let made = || [&made_in_eu, &made_in_us].map(|made| made.load(Ordering::SeqCst));
    let server = TcpListener::bind(any()).await.unwrap();
    let to_us = mesh.link("eu", "us", any(), server.local_addr().unwrap());
    let to_us = to_us.unwrap().address();
    assert_eq!(made(), [1, 0], "it listens where its clients are");
    let mut near = TcpStream::connect(to_us).await.unwrap();
    let (mut far, _) = soon(server.accept()).await.unwrap();
    pass(&mut near, &mut far).await;
    assert_eq!(made(), [1, 1], "it connects where its server is");
}
