//! Clients that hold a connection and give nothing for it (rows 22, 29, 30).

use std::thread;
use std::time::{Duration, Instant};

use crate::target::{Target, status};
use crate::wire::Wire;

/// The limits of the listener are ten seconds.
const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn who_sends_nothing_loses_the_connection() {
    let target = Target::start();
    let mut silent: Vec<Wire> = (0..50).map(|_| target.connect()).collect();
    for wire in &mut silent {
        assert!(wire.ends_within(LIMIT).is_some(), "row 29: zero bytes");
    }
    target.must_serve();
}

/// Sends a piece each second until the server has had enough.
fn dribbles(mut wire: Wire, head: &str, piece: &str) -> Duration {
    let began = Instant::now();
    wire.send(head.as_bytes());
    loop {
        wire.send(piece.as_bytes());
        if wire.ends_within(Duration::from_secs(1)).is_some() {
            return began.elapsed();
        }
        assert!(began.elapsed() < 2 * LIMIT, "row 29: it is still open");
    }
}

#[test]
fn who_dribbles_loses_the_connection() {
    let target = Target::start();
    let location = target.open(&target.repository("app"));
    let head = "GET /v2/ HTTP/1.1\r\nHost: localhost\r\n";
    let patch =
        format!("PATCH {location} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
    let put = format!(
        "PUT /v2/{}/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        target.repository("app")
    );
    thread::scope(|scope| {
        for (head, piece) in [(head, "X-A: b\r\n"), (&patch, "x"), (&put, "1\r\nx\r\n")] {
            let wire = target.connect();
            scope.spawn(move || assert!(dribbles(wire, head, piece) < LIMIT, "row 29: {head}"));
        }
    });
    let session = target.ask(&format!("GET {location}"), &[], b"");
    session.must("the session is kept", status(&[204]));
    target.must_serve();
}

#[test]
fn who_vanishes_finds_the_session_again() {
    let target = Target::start();
    let location = target.open(&target.repository("app"));
    let first = target.ask(
        &format!("PATCH {location}"),
        &[("Content-Range", "0-4")],
        b"hello",
    );
    first.must("a chunk", status(&[202]));
    let mut wire = target.connect();
    wire.send(
        format!("PATCH {location} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nworld")
            .as_bytes(),
    );
    drop(wire);
    let began = Instant::now();
    loop {
        let session = target.ask(&format!("GET {location}"), &[], b"");
        session.must("row 22: the session", status(&[204]));
        let last: u64 = session.header("range").unwrap()[2..].parse().unwrap();
        assert!(last >= 4, "row 22: what was acknowledged is gone");
        let range = format!("{}-{}", last + 1, last + 5);
        let headers = [("Content-Range", range.as_str())];
        let reply = target.ask(&format!("PATCH {location}"), &headers, b"world");
        if reply.status == 202 {
            break;
        }
        reply.must(
            "row 22: the server has not noticed yet",
            status(&[409, 416]),
        );
        assert!(began.elapsed() < LIMIT, "row 22: the session stays taken");
    }
}

#[test]
fn many_idle_connections_leave_room_for_others() {
    let target = Target::start();
    let idle: Vec<Wire> = (0..400).map(|_| target.connect()).collect();
    let began = Instant::now();
    target.must_serve();
    assert!(began.elapsed() < Duration::from_secs(5), "row 30");
    drop(idle);
}
