//! What all answers of a port have, also those that no service gives.

use meridian_chassis::http::HttpConfig;

use crate::harness::{STAMP, Server, hasty};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: r\r\n\r\n";

#[track_caller]
fn expect_stamped(answer: &str, status: u16) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert_eq!(answer.matches(STAMP).count(), 1, "{answer}");
    assert!(answer.contains(r#"{"errors":[{"code":""#), "{answer}");
}

#[tokio::test]
async fn a_refusal_has_the_headers_of_the_service_whoever_refuses() {
    let server = Server::start(hasty());
    let long = format!(
        "GET / HTTP/1.1\r\nHost: r\r\nX: {}\r\n\r\n",
        "x".repeat(70_000)
    );
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: r\r\nHost: s\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : r\r\n\r\n", 400),
        ("BREW / HTTP/1.1\r\nHost: r\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\nHost:", 408),
        (
            "PUT /sink HTTP/1.1\r\nHost: r\r\nContent-Length: 9\r\n\r\nx",
            408,
        ),
        (&long, 431),
    ] {
        expect_stamped(&server.ask(request).await, status);
    }
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_turned_away_gets_them_too() {
    let config = HttpConfig {
        max_connections: 1,
        ..HttpConfig::default()
    };
    let server = Server::start(config);
    let mut first = server.connect().await;
    first.send(REQUEST).await;
    let served = first.read_until("hello").await;
    assert!(
        !served.contains(STAMP),
        "the service answers for itself: {served}"
    );
    expect_stamped(&server.connect().await.read_to_close().await, 503);
    server.stopped().await.unwrap();
}
