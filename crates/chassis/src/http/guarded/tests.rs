use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::guard::{Scanner, Violation};
use super::http1::REFUSED;
use super::*;

const LIMITS: Limits = Limits {
    head: 1024,
    target: 256,
    headers: 8,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: r\r\n\r\n";
const PUT: &str = "PUT / HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n";
const BODY: &str = "5\r\nhello\r\n0\r\n\r\n";
const BAD: &str = "GET / HTTP/1.1\r\nhost: r\n\r\n";

/// A client whose bytes come in these pieces.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    left: usize,
}

impl Pieces {
    fn new(pieces: &[&[u8]]) -> Self {
        let pieces: VecDeque<Vec<u8>> = pieces
            .iter()
            .filter(|piece| !piece.is_empty())
            .map(|piece| piece.to_vec())
            .collect();
        let left = pieces.iter().map(Vec::len).sum();
        Self { pieces, left }
    }

    fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Self {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for to in cuts.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..to]);
            from = to;
        }
        Self::new(&pieces)
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.pieces.front_mut() {
            let given = piece.len().min(into.remaining());
            into.put_slice(&piece[..given]);
            piece.drain(..given);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            self.left -= given;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn guard(client: Pieces, first: &[u8]) -> (Guarded<Pieces>, Arc<Pulse>) {
    let pulse = Arc::new(Pulse::new(Instant::now()));
    (
        Guarded::http1(client, Arc::clone(&pulse), LIMITS, first),
        pulse,
    )
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    runtime.block_on(future)
}

/// What the library sees in reads of `size`, until there is no more, an error, or a refusal.
async fn see(guarded: &mut Guarded<Pieces>, size: usize) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut seen = Vec::new();
    let mut space = vec![0; size];
    while !seen.ends_with(REFUSED) {
        match guarded.read(&mut space).await {
            Ok(0) => break,
            Ok(read) => seen.extend_from_slice(&space[..read]),
            Err(error) => return (seen, Some(error.kind())),
        }
    }
    (seen, None)
}

proptest! {
    #[test]
    fn the_library_sees_the_same_however_bytes_are_cut_and_read(
        requests in prop::collection::vec(prop::sample::select(&[GET, PUT, BAD][..]), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        size in 1..200usize,
        first in 0..24usize,
    ) {
        let (mut bytes, mut expected, mut good) = (String::new(), String::new(), 0);
        for request in &requests {
            bytes += request;
            if *request == PUT {
                bytes += BODY;
            }
            if *request == BAD {
                expected += std::str::from_utf8(REFUSED).unwrap();
                break;
            }
            expected.clone_from(&bytes);
            good += 1;
        }
        let (first, rest) = bytes.as_bytes().split_at(first);
        let (mut guarded, pulse) = guard(Pieces::cut(rest, &cuts), first);
        let (seen, error) = block_on(see(&mut guarded, size));
        prop_assert_eq!(String::from_utf8(seen).unwrap(), expected);
        prop_assert_eq!(error, None);
        for _ in 0..good {
            prop_assert_eq!(pulse.begin_exchange(), None);
        }
        let refused = requests.contains(&BAD).then_some(Refusal::Wire(Violation::BareLineFeed));
        prop_assert_eq!(pulse.begin_exchange(), refused);
    }
}

fn damage() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "",
            " ",
            "\r",
            "\n",
            "\t",
            "\0",
            "0",
            "5",
            ":",
            ";",
            "\r\n",
            "\r\n\r\n",
            "\r\n ",
            "\r\ncontent-length: 5",
            "\r\ntransfer-encoding: chunked",
            "\r\nexpect: 100-continue",
        ][..],
    )
}

/// How many requests the HTTP library itself finds in what the guard lets through.
async fn requests_of(guarded: Guarded<Pieces>) -> u64 {
    let found = AtomicU64::new(0);
    let service = hyper::service::service_fn(async |request: Request<Incoming>| {
        found.fetch_add(1, Ordering::Relaxed);
        let _body = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let io = hyper_util::rt::TokioIo::new(guarded);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    // A malformed body may leave the library waiting for a service that waits for it.
    let _ended = tokio::time::timeout(Duration::from_secs(5), connection).await;
    found.load(Ordering::Relaxed)
}

proptest! {
    #[test]
    fn the_library_never_finds_a_request_that_the_guard_did_not(
        requests in prop::collection::vec(prop::sample::select(&[GET, PUT][..]), 1..4),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut bytes: String = requests
            .iter()
            .map(|request| if *request == PUT { [PUT, BODY].concat() } else { (*request).to_owned() })
            .collect();
        for (place, replacement) in damages {
            let place = place.index(bytes.len());
            bytes.replace_range(place..=place, replacement);
        }
        let mut scanner = Scanner::new(LIMITS);
        let refused = scanner.feed(bytes.as_bytes()).violation.is_some() && scanner.refused_in_head();
        let allowed = scanner.heads() + u64::from(refused);
        let (guarded, _pulse) = guard(Pieces::cut(bytes.as_bytes(), &cuts), b"");
        prop_assert!(block_on(requests_of(guarded)) <= allowed, "{:?}", bytes);
    }
}

#[test]
fn a_malformed_body_is_an_error_behind_its_good_bytes() {
    let bytes = [PUT, "5\r\nhello\n"].concat();
    for size in [1, 7, 4096] {
        let (mut guarded, _pulse) = guard(Pieces::new(&[bytes.as_bytes()]), b"");
        let (seen, error) = block_on(see(&mut guarded, size));
        assert_eq!(seen, [PUT, "5\r\nhello"].concat().into_bytes());
        assert_eq!(error, Some(io::ErrorKind::InvalidData));
    }
}

#[test]
fn nothing_is_kept_of_a_head_that_was_passed_on() {
    let (start, end) = GET.as_bytes().split_at(10);
    let (mut guarded, _pulse) = guard(Pieces::new(&[start, end]), b"");
    let (seen, _) = block_on(see(&mut guarded, 4096));
    assert_eq!(seen, GET.as_bytes());
    let Protocol::Http1(http1) = &guarded.protocol else {
        panic!("it was HTTP/1");
    };
    assert_eq!((http1.held.capacity(), guarded.ready.len()), (0, 0));
}

#[test]
fn a_close_takes_in_what_the_client_still_sends_of_a_request_but_waits_for_no_other() {
    let body = vec![b'x'; 100_000];
    let head = b"PUT / HTTP/1.1\r\nhost: r\r\ncontent-length: 100000\r\n\r\n";
    for (pieces, left) in [
        ([&head[..], &body], 0),
        ([GET.as_bytes(), GET.as_bytes()], GET.len()),
        ([BAD.as_bytes(), &body], 0),
    ] {
        let (mut guarded, _pulse) = guard(Pieces::new(&pieces), b"");
        block_on(async {
            let mut space = [0; 64];
            let _some = guarded.read(&mut space).await.unwrap();
            guarded.shutdown().await.unwrap();
        });
        assert_eq!(guarded.io.left, left);
    }
}

#[test]
fn a_close_does_not_take_in_more_than_its_limit() {
    let body = vec![b'x'; 2 * MAX_LINGER];
    let (mut guarded, _pulse) = guard(Pieces::new(&[BAD.as_bytes(), &body]), b"");
    block_on(async {
        see(&mut guarded, 64).await;
        guarded.shutdown().await.unwrap();
    });
    assert!(guarded.io.left > 0);
}

#[test]
fn a_resting_connection_wakes_with_its_bytes_or_its_end() {
    let (start, end) = GET.as_bytes().split_at(10);
    let (mut guarded, _pulse) = guard(Pieces::new(&[start, end]), b"");
    assert!(block_on(guarded.wake()).unwrap());
    let (seen, _) = block_on(see(&mut guarded, 4096));
    assert_eq!(seen, GET.as_bytes());
    assert!(!block_on(guarded.wake()).unwrap());
    guarded.give_back(Bytes::from_static(b"left over"));
    assert!(block_on(guarded.wake()).unwrap());
}
