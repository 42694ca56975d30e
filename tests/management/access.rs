//! Who gets in, and what everybody else meets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use harness::{Answer, eventually};
use reqwest::Method;
use serde_json::Value;

use crate::{Managed, OTHER, TOKEN, address, write_secret};

const SOON: Duration = Duration::from_secs(20);

/// What is wrong, in the one form that there is for it.
#[track_caller]
fn problem(answer: &Answer, status: u16, word: &str) -> Value {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status.as_u16(), status, "{text}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{text}"
    );
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["status"], status, "{text}");
    assert!(
        problem["detail"].as_str().unwrap().contains(word),
        "`{word}`: {text}"
    );
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_token() {
    let managed = Managed::start();
    let long = "x".repeat(60_000);
    let wrong = format!("Bearer {OTHER}");
    let cut = format!("Bearer {}", &TOKEN[1..]);
    let longer = format!("Bearer {TOKEN}0");
    let basic = format!("Basic {TOKEN}");
    let lower = format!("bearer {TOKEN}");
    for (authorization, word) in [
        (None, "Authorization: Bearer"),
        (Some(TOKEN), "Bearer"),
        (Some("Bearer"), "Bearer"),
        (Some(&*basic), "Bearer"),
        (Some(&*wrong), "token_file"),
        (Some(&*cut), "token_file"),
        (Some(&*longer), "token_file"),
    ] {
        for path in ["/v1/status", "/v1/openapi.json", "/v1/nothing"] {
            let answer = managed.ask_as(authorization, Method::GET, path).await;
            let problem = problem(&answer, 401, word);
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer realm=\"meridian\"")
            );
            let text = problem.to_string();
            assert!(!text.contains(TOKEN) && !text.contains(OTHER), "{text}");
        }
    }
    // Nine wrong tokens by now: the tenth is one more than nothing, and the last that is looked at.
    let answer = managed
        .ask_as(Some(&wrong), Method::GET, "/v1/status")
        .await;
    problem(&answer, 401, "");
    let barred = managed
        .ask_as(Some(&wrong), Method::GET, "/v1/status")
        .await;
    problem(&barred, 429, "wait");
    let wait: u64 = barred.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let answer = managed
        .ask_as(Some(&format!("Bearer {long}")), Method::GET, "/v1/status")
        .await;
    assert!(matches!(answer.status.as_u16(), 429 | 431), "{answer:?}");
    // Whoever has a token is not held up by who guesses, nor is whoever may open the socket.
    let answer = managed
        .ask_as(Some(&lower), Method::GET, "/v1/status")
        .await;
    assert_eq!(answer.status.as_u16(), 200);
    let status = crate::meridian(&[
        "status",
        "--data-dir",
        managed.folder.path().join("data").to_str().unwrap(),
    ]);
    assert!(status.status.success(), "{status:?}");
    // Nothing of any token is in the log.
    managed.dev.ask_to_stop();
    let said = managed.dev.said();
    for secret in [TOKEN, OTHER, &TOKEN[1..]] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_in_whatever_the_case_of_the_scheme() {
    let managed = Managed::start();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let authorization = format!("{scheme} {TOKEN}");
        let answer = managed
            .ask_as(Some(&authorization), Method::GET, "/v1/status")
            .await;
        answer.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_replaced_without_a_restart() {
    let managed = Managed::start();
    let as_other = format!("Bearer {OTHER}");
    let other = || managed.ask_as(Some(&as_other), Method::GET, "/v1/status");
    write_secret(&managed.tokens(), &format!("{TOKEN}\n{OTHER}\n"));
    tokio::task::block_in_place(|| managed.dev.log_line("operator tokens renewed"));
    other().await.expect(200);
    managed.ask(Method::GET, "/v1/status").await.expect(200);
    write_secret(&managed.tokens(), OTHER);
    eventually("the old token is unknown", SOON, || async {
        let old = managed.ask(Method::GET, "/v1/status").await;
        (old.status.as_u16() == 401).then_some(())
    })
    .await;
    other().await.expect(200);
    // What cannot be used changes nothing, and is told.
    write_secret(&managed.tokens(), "guessable");
    tokio::task::block_in_place(|| managed.dev.log_line("operator tokens not renewed"));
    other().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_told_so() {
    let managed = Managed::start();
    let bearer = format!("Bearer {TOKEN}");
    let large = format!("{{\"endpoints\":[\"{}\"]}}", "x".repeat(100_000));
    let json = "application/json";
    for (method, path, kind, body, status, word) in [
        (
            Method::GET,
            "/v1/nothing",
            json,
            "",
            404,
            "/v1/openapi.json",
        ),
        (Method::GET, "/v2/", json, "", 404, "/v1/openapi.json"),
        (Method::POST, "/v1/cluster", json, "{", 400, "EOF"),
        (Method::POST, "/v1/cluster", json, "{}", 400, "endpoints"),
        (Method::POST, "/v1/cluster", json, &large, 413, "65536"),
        (
            Method::POST,
            "/v1/cluster",
            "text/plain",
            "{}",
            415,
            "application/json",
        ),
        (
            Method::DELETE,
            "/v1/cluster/members/x",
            json,
            "",
            400,
            "16 hexadecimal",
        ),
        (
            Method::GET,
            "/v1/cluster/members?limit=x",
            json,
            "",
            400,
            "limit",
        ),
        (
            Method::GET,
            "/v1/cluster/members?limit=0",
            json,
            "",
            400,
            "limit=0",
        ),
        (
            Method::GET,
            "/v1/cluster/members?page=2",
            json,
            "",
            400,
            "page",
        ),
    ] {
        let headers = [("authorization", &*bearer), ("content-type", kind)];
        let asked = managed.api.send(method, path, &headers, body.to_owned());
        problem(&asked.await.unwrap(), status, word);
    }
    for (method, path, allow) in [
        (Method::DELETE, "/v1/status", "GET"),
        (Method::PUT, "/v1/cluster", "GET,HEAD,POST"),
        (Method::GET, "/v1/checks", "POST"),
    ] {
        let answer = managed.ask(method, path).await;
        problem(&answer, 405, "Allow");
        let allowed = answer.header("allow").unwrap().replace(' ', "");
        assert!(allowed.contains(allow), "{path}: {allowed}");
    }
    // What is refused before it is a request has the same form.
    let traced = managed.ask(Method::TRACE, "/v1/status").await;
    problem(&traced, 405, "not supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    write_secret(&tokens, TOKEN);
    let dev = harness::DevBuilder::new(folder.path().join("data"))
        .env("MERIDIAN_MANAGEMENT__LISTEN", "[\"127.0.0.1:0\"]")
        .env("MERIDIAN_MANAGEMENT__TOKEN_FILE", tokens.to_str().unwrap())
        .env("MERIDIAN_MANAGEMENT__HTTP__HEAD_TIMEOUT", "300ms")
        .env("MERIDIAN_MANAGEMENT__HTTP__MIN_BODY_RATE__PER", "300ms")
        .start();
    let address = address(&dev);
    let closed = |begin: &str, after: Duration| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(begin.as_bytes()).unwrap();
        let began = Instant::now();
        let mut answer = Vec::new();
        // A reset after the answer is an end as well.
        let _end = stream.read_to_end(&mut answer);
        assert!(
            began.elapsed() >= after && began.elapsed() < SOON,
            "{began:?}"
        );
        String::from_utf8(answer).unwrap()
    };
    let answer = closed(
        "GET /v1/status HTTP/1.1\r\nHost: m\r\nAuth",
        Duration::from_millis(200),
    );
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    let begin = format!(
        "POST /v1/cluster HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let answer = closed(&begin, Duration::from_millis(200));
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_not_taken_in() {
    let managed = Managed::start();
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    let body = Bytes::from(vec![b' '; 50 << 20]);
    let asked = managed
        .api
        .send(Method::POST, "/v1/cluster", &headers, body)
        .await;
    // It hears so, or finds the connection closed while it still sends.
    if let Ok(answer) = asked {
        problem(&answer, 413, "65536");
    }
    managed.ask(Method::GET, "/v1/status").await.expect(200);
}
