//! Bodies that are lent, held back, or not wanted.

use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::*;

fn inbound(headers: HeaderMap, body: Body) -> Inbound {
    Inbound::new(&Method::PUT, &headers, body)
}

/// A body of `count` pieces of `size` bytes, one each `every`.
fn pieces(count: usize, size: usize, every: Duration) -> Body {
    Body::from_stream(futures::stream::unfold(0, move |sent| async move {
        if sent == count {
            return None;
        }
        tokio::time::sleep(every).await;
        let piece = Bytes::from(vec![0; size]);
        Some((Ok::<_, io::Error>(piece), sent + 1))
    }))
}

#[tokio::test]
async fn what_was_lent_and_not_read_is_discarded() {
    let polled = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&polled);
    let body = futures::stream::iter(0..5).map(move |_| {
        *counter.lock().unwrap() += 1;
        Ok::<_, io::Error>(Bytes::from_static(b"x"))
    });
    let inbound = inbound(HeaderMap::new(), Body::from_stream(body));
    let mut stream = inbound.lend();
    stream.next().await.unwrap().unwrap();
    assert!(inbound.lend().next().await.is_none(), "it is lent once");
    drop(stream);
    inbound.discard().await;
    assert_eq!(*polled.lock().unwrap(), 5);
}

#[tokio::test]
async fn a_body_that_is_held_back_is_not_asked_for() {
    let headers = HeaderMap::from_iter([(EXPECT, "100-continue".parse().unwrap())]);
    let never = || Body::from_stream(futures::stream::pending::<io::Result<Bytes>>());
    inbound(headers.clone(), never()).discard().await;
    let unread = inbound(headers, never());
    drop(unread.lend());
    unread.discard().await;
}

#[tokio::test(start_paused = true)]
async fn discarding_is_bounded_in_time_and_size() {
    let start = Instant::now();
    let slow = pieces(1000, 1, STALL / 2);
    inbound(HeaderMap::new(), slow).discard().await;
    assert_eq!(start.elapsed(), DISCARD_TIME);
    let silent = Body::from_stream(futures::stream::pending::<io::Result<Bytes>>());
    inbound(HeaderMap::new(), silent).discard().await;
    assert_eq!(start.elapsed(), DISCARD_TIME + STALL);
    let endless =
        futures::stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from(vec![0; 1 << 20])));
    inbound(HeaderMap::new(), Body::from_stream(endless))
        .discard()
        .await;
}

#[test]
fn the_body_of_a_get_is_not_read() {
    let body = Body::from("ignored");
    let inbound = Inbound::new(&Method::GET, &HeaderMap::new(), body);
    assert!(inbound.lend().next().now_or_never().flatten().is_none());
}
