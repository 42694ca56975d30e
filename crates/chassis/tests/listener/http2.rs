//! HTTP/2 clients that mean no good.

use std::time::Duration;

use meridian_chassis::http::HttpConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::harness::{PATIENCE, Server, hasty};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const ENHANCE_YOUR_CALM: u32 = 11;

/// `:method GET`, `:scheme http`, `:path /`, `:authority r` (RFC 7541, appendix A).
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'r'];

/// `:method POST`, `:scheme http`, `:path /sink`, `:authority r`.
const POST: &[u8] = &[
    0x83, 0x86, 0x44, 5, b'/', b's', b'i', b'n', b'k', 0x41, 1, b'r',
];

/// `:method GET`, `:scheme http`, `:path /flood`, `:authority r`.
const FLOOD: &[u8] = &[
    0x82, 0x86, 0x44, 6, b'/', b'f', b'l', b'o', b'o', b'd', 0x41, 1, b'r',
];

/// `:method GET`, `:scheme http`, `:path /more`, `:authority r`.
const MORE: &[u8] = &[
    0x82, 0x86, 0x44, 5, b'/', b'm', b'o', b'r', b'e', 0x41, 1, b'r',
];

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Client {
    stream: TcpStream,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

impl Client {
    async fn connect(server: &Server, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut client = Self { stream };
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(&frame(SETTINGS, 0, 0, settings)).await;
        client.send(&frame(SETTINGS, 1, 0, &[])).await;
        client
    }

    /// Waits until the server has closed its side, and leaves unread what it has written.
    async fn closed(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !(self.stream.ready(Interest::READABLE).await.unwrap()).is_read_closed() {
            ticks.tick().await;
        }
    }

    /// Errors are the server's right: it may have closed already.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next frame of this kind on this stream.
    async fn read_until(&mut self, kind: u8, stream: u32) -> Frame {
        let found = async {
            loop {
                let frame = self.read().await.expect("closed");
                if (frame.kind, frame.stream) == (kind, stream) {
                    return frame;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("no such frame")
    }

    /// The error code of the GOAWAY with which the server ends the connection, if it says one.
    async fn end(&mut self) -> Option<u32> {
        let ended = async {
            let mut code = None;
            while let Some(frame) = self.read().await {
                if frame.kind == GOAWAY {
                    code = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
                }
            }
            code
        };
        timeout(PATIENCE, ended).await.expect("still open")
    }
}

async fn assert_alive(server: &Server) {
    let mut client = Client::connect(server, &[]).await;
    client
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET))
        .await;
    let answer = client.read_until(HEADERS, 1).await;
    assert_eq!(answer.payload[0], 0x88, ":status 200");
}

#[tokio::test]
async fn streams_that_are_reset_as_fast_as_they_open_end_the_connection() {
    let server = Server::start(HttpConfig::default());
    let mut client = Client::connect(&server, &[]).await;
    let mut attack = Vec::new();
    for stream in (1..40_000).step_by(2) {
        attack.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, GET));
        attack.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    client.send(&attack).await;
    assert_eq!(client.end().await, Some(ENHANCE_YOUR_CALM));
    assert!(server.requests() < 2000, "{}", server.requests());
    assert_alive(&server).await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let server = Server::start(HttpConfig::default());
    let mut client = Client::connect(&server, &[]).await;
    client.send(&frame(HEADERS, END_STREAM, 1, GET)).await;
    let header = [&[0x00, 1, b'x', 0x7f, 0x80, 0x7e][..], &[b'a'; 16_255]].concat();
    for _ in 0..200 {
        client.send(&frame(CONTINUATION, 0, 1, &header)).await;
    }
    client.end().await;
    assert_eq!(server.requests(), 0);
    assert_alive(&server).await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_small_block_that_decodes_to_large_headers_reaches_no_service() {
    let server = Server::start(HttpConfig::default());
    let mut client = Client::connect(&server, &[]).await;
    // A header of 4000 bytes goes into the dynamic table, and is then named by one byte.
    let mut bomb = GET.to_vec();
    bomb.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    bomb.extend_from_slice(&[b'a'; 4000]);
    bomb.extend_from_slice(&[0xbe; 8000]);
    client
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb))
        .await;
    let answered = timeout(PATIENCE, client.read_until_answer(1));
    assert_ne!(answered.await.unwrap(), Some(0x88), "not :status 200");
    assert_eq!(server.requests(), 0);
    assert_alive(&server).await;
    server.stopped().await.unwrap();
}

impl Client {
    /// The first byte of the header block that answers `stream`; `None` if there is none.
    async fn read_until_answer(&mut self, stream: u32) -> Option<u8> {
        while let Some(frame) = self.read().await {
            match frame.kind {
                HEADERS if frame.stream == stream => return frame.payload.first().copied(),
                RST_STREAM | GOAWAY => return None,
                _ => {}
            }
        }
        None
    }
}

#[tokio::test]
async fn no_more_streams_run_at_once_than_agreed() {
    let server = Server::start(HttpConfig::default());
    let mut client = Client::connect(&server, &[]).await;
    let mut attack = Vec::new();
    for stream in (1..20_000).step_by(2) {
        attack.extend(frame(HEADERS, END_HEADERS, stream, POST));
    }
    client.send(&attack).await;
    let refused = client.read_until(RST_STREAM, 1 + 2 * 128).await;
    assert_eq!(refused.payload, [0, 0, 0, 7], "REFUSED_STREAM");
    assert!(server.requests() <= 128, "{}", server.requests());
    client.end().await;
    assert_alive(&server).await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_flood_of_empty_data_is_not_a_body_that_arrives() {
    let config = hasty();
    let limit = config.min_body_rate.per;
    let server = Server::start(config);
    let mut client = Client::connect(&server, &[]).await;
    client.send(&frame(HEADERS, END_HEADERS, 1, POST)).await;
    let start = Instant::now();
    let empty = frame(DATA, 0, 1, &[]).repeat(100);
    let (mut reader, mut writer) = client.stream.into_split();
    let flood = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            if writer.write_all(&empty).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let answer = async {
        let mut read = Vec::new();
        let text = b"body did not arrive in time";
        while !read.windows(text.len()).any(|window| window == text) {
            if matches!(reader.read_buf(&mut read).await, Ok(0) | Err(_)) {
                break;
            }
        }
    };
    tokio::select! {
        () = flood => {}
        ended = timeout(PATIENCE, answer) => ended.unwrap(),
    }
    assert!(start.elapsed() < limit + Duration::from_secs(4));
    assert_alive(&server).await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_stream_without_a_window_is_given_up_and_its_connection_is_not() {
    let config = hasty();
    let limit = config.write_stall_timeout;
    let server = Server::start(config);
    // SETTINGS_INITIAL_WINDOW_SIZE = 0.
    let mut client = Client::connect(&server, &[0, 4, 0, 0, 0, 0]).await;
    client
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, FLOOD))
        .await;
    let start = Instant::now();
    client.read_until(HEADERS, 1).await;
    client.read_until(RST_STREAM, 1).await;
    assert!(start.elapsed() >= limit);
    assert!(start.elapsed() < limit + Duration::from_secs(4));
    timeout(PATIENCE, server.seen.response_dropped.notified())
        .await
        .unwrap();
    client
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, GET))
        .await;
    client.read_until(HEADERS, 3).await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let config = hasty();
    let limit = config.keep_alive;
    let server = Server::start(config);
    let mut client = Client::connect(&server, &[]).await;
    client
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET))
        .await;
    client.read_until(HEADERS, 1).await;
    let start = Instant::now();
    let goaway = client.read_until(GOAWAY, 0).await;
    assert_eq!(
        (goaway.flags, &goaway.payload[4..8]),
        (0, &[0; 4][..]),
        "NO_ERROR"
    );
    client.end().await;
    assert!(start.elapsed() < limit + Duration::from_secs(6));
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_stop_says_goaway_and_lets_requests_finish() {
    let mut server = Server::start(HttpConfig::default());
    let (mut sender, connection) = {
        let stream = TcpStream::connect(server.address).await.unwrap();
        h2::client::handshake(stream).await.unwrap()
    };
    let mut running = tokio::task::JoinSet::new();
    running.spawn(connection);
    let request = http::Request::get("http://r/wait").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    timeout(PATIENCE, server.seen.entered.notified())
        .await
        .unwrap();
    server.begin_stop();
    let goaway = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while std::future::poll_fn(|cx| sender.poll_ready(cx))
            .await
            .is_ok()
        {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, goaway).await.unwrap();
    server.seen.release.notify_one();
    let response = timeout(PATIENCE, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().data().await.unwrap().unwrap();
    assert_eq!(body, "waited");
    server.stopped().await.unwrap();
}

/// A client without a window that has asked for `/more`, and was told that the server goes.
async fn told_to_go(server: &mut Server) -> Client {
    // SETTINGS_INITIAL_WINDOW_SIZE = 0.
    let mut client = Client::connect(server, &[0, 4, 0, 0, 0, 0]).await;
    client
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, MORE))
        .await;
    client.read_until(HEADERS, 1).await;
    server.begin_stop();
    let ping = client.read_until(PING, 0).await;
    client.send(&frame(PING, ACK, 0, &ping.payload)).await;
    client.read_until(GOAWAY, 0).await;
    client
}

#[tokio::test]
async fn a_client_that_reads_late_and_says_so_still_reads_everything() {
    let mut server = Server::start(HttpConfig::default());
    let mut client = told_to_go(&mut server).await;
    for stream in [0, 1] {
        let room = frame(WINDOW_UPDATE, 0, stream, &[0, 16, 0, 0]);
        client.send(&room).await;
    }
    // Now everything lies in the client's kernel. It says how far it has read, and would give up if
    // it could not.
    timeout(PATIENCE, client.closed()).await.unwrap();
    let mut read = 0;
    while let Some(it) = client.read().await {
        if it.kind == DATA {
            read += it.payload.len();
            let room = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 64, 0]);
            client.stream.write_all(&room).await.expect("it listens");
        }
    }
    assert_eq!(read, 64 * 1024);
    drop(client);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_client_whose_window_opens_late_still_gets_the_end_of_its_answer() {
    let config = HttpConfig {
        write_stall_timeout: PATIENCE,
        ..hasty()
    };
    let leave = config.leave_timeout;
    let mut server = Server::start(config);
    let mut client = told_to_go(&mut server).await;
    for (stream, room) in [(0, &[0, 16, 0, 0]), (1, &[0, 0, 255, 251])] {
        client.send(&frame(WINDOW_UPDATE, 0, stream, room)).await;
    }
    let mut read = 0;
    while read < 64 * 1024 - 5 {
        read += client.read_until(DATA, 1).await.payload.len();
    }
    // Longer than a client may take to leave that has nothing left to read.
    let waited = timeout(leave * 3, client.read()).await;
    assert!(waited.is_err(), "it waits");
    client
        .send(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 1, 0]))
        .await;
    assert_eq!(client.read_until(DATA, 1).await.payload, b"xxxxx");
    drop(client);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_host_that_contradicts_the_authority_is_refused() {
    let server = Server::start(HttpConfig::default());
    let mut client = Client::connect(&server, &[]).await;
    // host: x, a literal with the indexed name 38.
    let contradiction = [GET, &[0x0f, 0x17, 1, b'x']].concat();
    client
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &contradiction))
        .await;
    let answer = client.read_until(HEADERS, 1).await;
    assert_eq!(answer.payload[0], 0x8c, ":status 400");
    assert_eq!(server.requests(), 0);
    server.stopped().await.unwrap();
}
