//! An upload as its sender sees it.
//!
//! Owns the call: it streams the body while it waits for the answer, which may come before the body
//! is over. Keeps the invariants that the peer learns how the body ended, and that a peer which
//! takes nothing for too long is given up. The time in which the body's own source is waited for
//! is not counted: whoever made the source limits that.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, StreamExt};
use meridian_proto::meridian::blob::v1 as pb;
use tokio::time::{Instant, sleep_until};
use tonic::{Response, Status};

use super::body::{Pieces, UploadMessage, UploadPart};
use super::failure::{self, WireError};
use crate::{ByteStream, ReadError, Transfer, UploadError};

/// Streams `transfer` after `head`, by a call that `send` makes.
pub(super) async fn upload<M, R, F>(
    head: M::Head,
    transfer: Transfer,
    stall_timeout: Duration,
    send: impl FnOnce(Outgoing<M>) -> F,
) -> Result<R, UploadError>
where
    M: UploadMessage,
    F: Future<Output = Result<Response<R>, Status>>,
{
    let watch = Arc::new(Watch::new());
    let messages = Outgoing {
        head: Some(head),
        body: Some(transfer.body),
        pieces: Pieces::default(),
        watch: Arc::clone(&watch),
    };
    let outcome = tokio::select! {
        biased;
        outcome = send(messages) => outcome,
        () = watch.stalled(stall_timeout) => {
            return Err(UploadError::on_the_way(ReadError::DeadlineExceeded));
        }
    };
    outcome.map(Response::into_inner).map_err(|status| {
        match failure::from_status(&status) {
            // The peer has the error as text; its original is here.
            UploadError::Body(told) => UploadError::Body(watch.take_fault().unwrap_or(told)),
            error => error,
        }
    })
}

/// The messages of an upload.
pub(super) struct Outgoing<M: UploadMessage> {
    head: Option<M::Head>,
    /// Absent when it has ended.
    body: Option<ByteStream>,
    pieces: Pieces,
    watch: Arc<Watch>,
}

/// Whose turn it is, and what became of the body.
struct Watch(Mutex<Watched>);

struct Watched {
    turn: Turn,
    fault: Option<io::Error>,
}

#[derive(Clone, Copy)]
enum Turn {
    /// The body's source has to give.
    Source,
    /// The peer has to take, or to answer, since then.
    Peer(Instant),
}

// === impl Outgoing ===

impl<M: UploadMessage> Outgoing<M> {
    fn message(&self, part: UploadPart<M::Head>) -> Poll<Option<M>> {
        self.watch.turn(Turn::Peer(Instant::now()));
        Poll::Ready(Some(M::new(part)))
    }

    fn end(&mut self, broken: Option<String>) -> Poll<Option<M>> {
        self.body = None;
        self.message(UploadPart::End(pb::TransferEnd { broken }))
    }
}

impl<M: UploadMessage> Stream for Outgoing<M> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let this = &mut *self;
        if let Some(head) = this.head.take() {
            return this.message(UploadPart::Head(head));
        }
        loop {
            if let Some(piece) = this.pieces.pop() {
                return this.message(UploadPart::Chunk(piece));
            }
            let Some(body) = &mut this.body else {
                return Poll::Ready(None);
            };
            this.watch.turn(Turn::Source);
            match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => this.pieces.push(bytes),
                Some(Err(error)) => {
                    let why = meridian_error::chain(&error);
                    this.watch.put_fault(error);
                    return this.end(Some(why));
                }
                None => return this.end(None),
            }
        }
    }
}

// === impl Watch ===

impl Watch {
    fn new() -> Self {
        Self(Mutex::new(Watched {
            turn: Turn::Peer(Instant::now()),
            fault: None,
        }))
    }

    /// Whoever panicked while holding it had not begun to write.
    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, turn: Turn) {
        self.watched().turn = turn;
    }

    fn put_fault(&self, fault: io::Error) {
        self.watched().fault = Some(fault);
    }

    fn take_fault(&self) -> Option<io::Error> {
        self.watched().fault.take()
    }

    /// Returns when the peer has not done its part for `timeout`. Looks no more often than that.
    async fn stalled(&self, timeout: Duration) {
        loop {
            let turn = self.watched().turn;
            let look = match turn {
                Turn::Source => Instant::now() + timeout,
                Turn::Peer(since) => since + timeout,
            };
            if look <= Instant::now() {
                return;
            }
            sleep_until(look).await;
        }
    }
}
