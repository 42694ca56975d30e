//! Clients that take their time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use meridian_chassis::http::HttpConfig;
use tokio::time::{Instant, timeout};

use crate::harness::{PATIENCE, Server, hasty};

const TICK: Duration = Duration::from_millis(50);

/// Not before the limit, and not much later, also on a busy machine.
fn assert_within(elapsed: Duration, limit: Duration) {
    let earliest = limit.saturating_sub(Duration::from_millis(5));
    assert!(elapsed >= earliest, "{elapsed:?} of {limit:?}");
    assert!(
        elapsed < limit + Duration::from_secs(4),
        "{elapsed:?} of {limit:?}"
    );
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let config = hasty();
    let limit = config.first_byte_timeout;
    let server = Server::start(config);
    let mut client = server.connect().await;
    let start = Instant::now();
    assert_eq!(client.read_to_close().await, "");
    assert_within(start.elapsed(), limit);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_head_that_dribbles_is_answered_and_closed() {
    let config = hasty();
    let limit = config.head_timeout;
    let server = Server::start(config);
    for start in ["G", "GET / HTTP/1.1\r\nHost: r\r\nX: "] {
        let mut client = server.connect().await;
        client.send(start).await;
        let (answer, elapsed) = client.drip_until_closed(b"a", TICK).await;
        if start.len() > 1 {
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
            assert!(answer.contains("head did not arrive in time"), "{answer}");
        }
        assert_within(elapsed, limit);
    }
    assert_eq!(server.requests(), 0);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn half_an_http2_preface_is_closed() {
    let config = hasty();
    let limit = config.head_timeout;
    let server = Server::start(config);
    let mut client = server.connect().await;
    let start = Instant::now();
    client.send("PRI * HTTP/2.0\r\n").await;
    assert_eq!(client.read_to_close().await, "");
    assert_within(start.elapsed(), limit);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn the_second_head_has_its_own_time_and_idleness_has_another() {
    let config = hasty();
    let (head, keep_alive) = (config.head_timeout, config.keep_alive);
    let server = Server::start(config);
    let request = "GET / HTTP/1.1\r\nHost: r\r\n\r\n";

    let mut client = server.connect().await;
    client.send(request).await;
    client.read_until("hello").await;
    let start = Instant::now();
    assert_eq!(client.read_to_close().await, "");
    assert_within(start.elapsed(), keep_alive);

    let mut client = server.connect().await;
    client.send(request).await;
    client.read_until("hello").await;
    client.send("GET / HTTP/1.1\r\n").await;
    let (answer, elapsed) = client.drip_until_closed(b"X", TICK).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_within(elapsed, head);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_body_that_dribbles_is_answered_and_closed() {
    let config = hasty();
    let limit = config.min_body_rate.per;
    let server = Server::start(config);
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut client = server.connect().await;
        let head = format!("PUT /sink HTTP/1.1\r\nHost: r\r\n{framing}\r\n\r\n");
        client.send(head).await;
        let drip = if framing.ends_with("chunked") {
            "1\r\na\r\n"
        } else {
            "a"
        };
        let (answer, elapsed) = client.drip_until_closed(drip.as_bytes(), TICK).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("body did not arrive in time"), "{answer}");
        assert_within(elapsed, limit);
    }
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_body_that_keeps_the_minimum_rate_may_take_long() {
    let config = hasty();
    let limit = config.min_body_rate.per;
    let server = Server::start(config);
    let mut client = server.connect().await;
    let length = 40 * 400;
    client
        .send(format!(
            "PUT /sink HTTP/1.1\r\nHost: r\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
    let start = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    for _ in 0..40 {
        ticks.tick().await;
        client.send([b'a'; 400]).await;
    }
    client.read_until(&format!("{length} bytes")).await;
    assert!(start.elapsed() > limit * 3);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_its_bytes_with_the_service() {
    let server = Server::start(HttpConfig::default());
    let mut client = server.connect().await;
    client
        .send("PUT /sink HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\nhello")
        .await;
    let arrived = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while server.seen.bytes.load(Ordering::SeqCst) < 5 {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap();
    drop(client);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_response_that_nobody_reads_is_given_up() {
    let config = hasty();
    let limit = config.write_stall_timeout;
    let server = Server::start(config);
    let mut client = server.connect().await;
    let start = Instant::now();
    client.send("GET /flood HTTP/1.1\r\nHost: r\r\n\r\n").await;
    let dropped = timeout(PATIENCE, server.seen.response_dropped.notified());
    dropped.await.unwrap();
    assert_within(start.elapsed(), limit);
    assert!(client.read_to_close().await.len() < 256 << 20);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_that_reads_is_served() {
    let config = hasty();
    let limit = config.write_stall_timeout;
    let server = Server::start(config);
    let mut client = server.connect().await;
    client.send("GET /flood HTTP/1.1\r\nHost: r\r\n\r\n").await;
    let start = Instant::now();
    let mut space = vec![0; 1 << 20];
    let mut ticks = tokio::time::interval(TICK / 2);
    while start.elapsed() < limit * 3 {
        ticks.tick().await;
        let read = tokio::io::AsyncReadExt::read(&mut client.stream, &mut space).await;
        assert!(read.unwrap() > 0, "closed after {:?}", start.elapsed());
    }
    drop(client);
    server.stopped().await.unwrap();
}
