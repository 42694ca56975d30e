//! Requests that two parsers could read differently.

use meridian_chassis::http::HttpConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::harness::{Client, Server, hasty};

const HOST: &str = "Host: r\r\n";

fn put(lines: &str, body: &str) -> String {
    format!("PUT /sink HTTP/1.1\r\n{HOST}{lines}\r\n{body}")
}

fn chunked(body: &str) -> String {
    put("Transfer-Encoding: chunked\r\n", body)
}

fn get(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\n{headers}\r\n")
}

/// One answer, of this status, in the shape of an OCI error, after which the server closes.
fn assert_refused(answer: &str, status: u16, request: &str) {
    let shown: String = request.chars().take(100).collect();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{shown:?}: {answer:?}"
    );
    assert!(answer.contains("connection: close\r\n"), "{answer:?}");
    assert!(
        answer.contains(r#"{"errors":[{"code":""#) && answer.ends_with(r#""detail":{}}]}"#),
        "{shown:?}: {answer:?}"
    );
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer:?}");
}

#[tokio::test]
async fn heads_that_could_be_read_in_two_ways_are_refused_before_any_service() {
    let server = Server::start(hasty());
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: r\r\n\r\n";
    let long = "a".repeat(1_000_000);
    for (request, status) in [
        // 6, 7
        (
            "GET /v2/\u{e9}/manifests/x HTTP/1.1\r\nHost: r\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /v2/a#b HTTP/1.1\r\nHost: r\r\n\r\n".to_owned(), 400),
        ("GET r:443 HTTP/1.1\r\nHost: r\r\n\r\n".to_owned(), 400),
        ("GET ?x HTTP/1.1\r\nHost: r\r\n\r\n".to_owned(), 400),
        // 20
        (put("Content-Length: -5\r\n", "hello"), 400),
        (put("Content-Length: +5\r\n", "hello"), 400),
        (put("Content-Length: 0x5\r\n", "hello"), 400),
        (put("Content-Length: 5, 5\r\n", "hello"), 400),
        (
            put("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
            400,
        ),
        (
            put("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
            400,
        ),
        // 21
        (
            put("Content-Length: 18446744073709551616\r\n", "hello"),
            400,
        ),
        (
            put("Content-Length: 18446744073709551615\r\n", "hello"),
            400,
        ),
        // 23
        (
            put(
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                smuggled,
            ),
            400,
        ),
        (
            put(
                "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                smuggled,
            ),
            400,
        ),
        // 24
        (
            put("Transfer-Encoding: chunked, identity\r\n", smuggled),
            400,
        ),
        (put("Transfer-Encoding: xchunked\r\n", smuggled), 400),
        (put("Transfer-Encoding : chunked\r\n", smuggled), 400),
        (
            "PUT /sink HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            400,
        ),
        // 27
        (get(""), 400),
        (get("Host: a\r\nHost: b\r\n"), 400),
        (get("Host: a\r\nHost: a\r\n"), 400),
        (get("Host: a/b\r\n"), 400),
        (get("Host: a:99999\r\n"), 400),
        ("GET / HTTP/1.1\nHost: r\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: r\n\r\n".to_owned(), 400),
        // 28
        (get("Host: r\r\nX: a\0b\r\n"), 400),
        (get("Host: r\r\nX: a\r\n b\r\n"), 400),
        (get(&format!("{HOST}{}", "X: a\r\n".repeat(200))), 431),
        (get(&format!("{HOST}X: {long}\r\n")), 431),
        (
            format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "a".repeat(70_000)),
            414,
        ),
        // 34
        ("TRACE / HTTP/1.1\r\nHost: r\r\n\r\n".to_owned(), 405),
        ("PROPFIND / HTTP/1.1\r\nHost: r\r\n\r\n".to_owned(), 405),
        ("CONNECT r:443 HTTP/1.1\r\nHost: r\r\n\r\n".to_owned(), 405),
    ] {
        assert_refused(&server.ask(&request).await, status, &request);
    }
    assert_eq!(server.requests(), 0);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn bodies_that_could_be_read_in_two_ways_are_refused_whatever_the_service_says() {
    let server = Server::start(hasty());
    for request in [
        // 25
        chunked("FFFFFFFFFFFFFFFFF\r\nhello"),
        chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(100_000))),
        chunked("5\nhello\n0\n\n"),
        chunked("5\r\nhello\n0\r\n\r\n"),
        chunked("5\r\nhelloGET /smuggled HTTP/1.1\r\nHost: r\r\n\r\n"),
        chunked("5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n"),
    ] {
        let before = server.requests();
        assert_refused(&server.ask(&request).await, 400, &request);
        assert_eq!(server.requests(), before + 1, "nothing was smuggled");
    }
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn trailers_are_accepted_and_ignored() {
    let server = Server::start(hasty());
    let mut client = server.connect().await;
    client
        .send(chunked(
            "5\r\nhello\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        ))
        .await;
    client.read_until("5 bytes").await;
    client.send(get(HOST)).await;
    client.read_until("hello").await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_a_refusal_takes_its_turn() {
    let server = Server::start(hasty());
    let good = put("Content-Length: 5\r\n", "hello");
    let bad = put("Content-Length: 5\r\nContent-Length: 5\r\n", "hello");
    let answers = server
        .ask(format!(
            "{good}{}{bad}{good}",
            chunked("1\r\na\r\n0\r\n\r\n")
        ))
        .await;
    let statuses: Vec<_> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answers[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "400"], "{answers}");
    let order = ["5 bytes", "1 bytes", "more than one content length"].map(|it| answers.find(it));
    assert!(order.is_sorted() && order[0].is_some(), "{answers}");
    assert_eq!(server.requests(), 2);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_understood() {
    let server = Server::start(HttpConfig::default());
    let mut client = server.connect().await;
    for byte in put(
        "Transfer-Encoding: chunked\r\n",
        "5;e=1\r\nhello\r\n0\r\n\r\n",
    )
    .bytes()
    {
        client.send([byte]).await;
    }
    client.read_until("5 bytes").await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_large_head_within_the_limit_is_understood() {
    let server = Server::start(HttpConfig::default());
    let mut client = server.connect().await;
    client
        .send(get(&format!("{HOST}X: {}\r\n", "a".repeat(60_000))))
        .await;
    client.read_until("hello").await;
    client.send(get(HOST)).await;
    client.read_until("hello").await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn the_target_in_absolute_form_names_the_host() {
    let server = Server::start(hasty());
    let request = "GET http://other:1/origin HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n";
    let answer = server.ask(request).await;
    assert!(answer.contains("http://other:1 "), "{answer}");
    server.stopped().await.unwrap();

    let mut config = hasty();
    config.host_names = vec!["r".to_owned()];
    let server = Server::start(config);
    assert_refused(&server.ask(request).await, 421, request);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn forwarding_headers_of_a_stranger_change_nothing_and_reach_nobody() {
    let server = Server::start(hasty());
    let answer = server
        .ask(
            "GET /origin HTTP/1.1\r\nHost: r\r\nX-Forwarded-Host: evil\r\nX-Forwarded-For: 1.1.1.1\r\n\
             X-Forwarded-Proto: https\r\nForwarded: host=evil\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert!(
        answer.ends_with(r#"Some(127.0.0.1) http://r ["host", "connection"]"#),
        "{answer}"
    );
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_client_that_expects_a_continue_gets_it_when_the_body_is_wanted_and_only_then() {
    let server = Server::start(hasty());
    let expect = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    let mut client = server.connect().await;
    client.send(put(expect, "")).await;
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("hello").await;
    client.read_until("5 bytes").await;

    let unwanted = put(expect, "").replace("/sink", "/early");
    let answer = server.ask(unwanted).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn an_answer_before_the_end_of_a_large_body_reaches_its_client() {
    let server = Server::start(HttpConfig::default());
    let head = "PUT /early HTTP/1.1\r\nHost: r\r\nContent-Length: 1000000000\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    request.resize(request.len() + 2_000_000, b'x');
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let mut client = Client::new(stream);
    let sent = client.stream.write_all(&request).await;
    assert!(sent.is_ok(), "what is sent meanwhile is taken in: {sent:?}");
    let mut answer = String::new();
    let read = client.stream.read_to_string(&mut answer).await;
    assert!(read.is_ok(), "closed, not reset: {read:?}");
    assert!(answer.ends_with("who are you"), "{answer}");
    drop(client);
    server.stopped().await.unwrap();
}
