//! Moves the bytes of a flow: from its source, past its time on the way, to its sink.
//!
//! Owns one direction of a connection with its two halves of sockets and its timer. Keeps the
//! invariant that time is read after a read and before a write, so that nothing ever seems to be early.
//! Leaves to the flow when something happens, and to the connection what an end means to the other
//! direction.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use crate::flow::{End, Flow, Path};
use crate::lane::Lane;
use crate::pacer::LARGEST_TURN;

/// What is read is kept in blocks of this size, each with as many reads as fit: little of it is ever
/// touched on a slow path.
const BLOCK: usize = LARGEST_TURN;
/// With less left in a block, the next one is begun.
const LEAST_READ: usize = 16 * 1024;
/// How many chunks a write takes at most.
const MOST_SLICES: usize = 16;

/// One direction of a connection.
pub(crate) struct Carrier<R, W> {
    source: R,
    sink: W,
    flow: Flow,
    lane: Lane,
    block: BytesMut,
    timer: Pin<Box<Sleep>>,
    state: State,
}

/// How far a direction has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Carrying,
    /// The source's end has arrived at the sink.
    Finished,
    /// A reset has arrived at the sink.
    Reset,
    /// The sink is gone.
    Broken,
}

// === impl Carrier ===

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Carrier<R, W> {
    pub(crate) fn new(source: R, sink: W, flow: Flow, lane: Lane) -> Self {
        Self {
            source,
            sink,
            flow,
            lane,
            block: BytesMut::new(),
            timer: Box::pin(sleep_until(Instant::now())),
            state: State::Carrying,
        }
    }

    /// Does all that can be done now, and says how far that has got. Its caller is woken when more can
    /// be.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) -> State {
        while matches!(self.state, State::Carrying | State::Finished) && self.step(cx) {}
        self.state
    }

    /// Whether there may be more to do. It is one moment for all: nothing falls between what was too
    /// early to be done and what the timer is set to.
    fn step(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        self.deliver(cx, now) || self.take(cx, now) || self.finish(cx, now) || self.is_time(cx, now)
    }

    fn deliver(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(self.flow.due(now)) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        if count == 0 {
            return false;
        }
        match Pin::new(&mut self.sink).poll_write_vectored(cx, &slices[..count]) {
            Poll::Pending => false,
            Poll::Ready(Ok(bytes @ 1..)) => {
                self.lane.count_delivered(bytes);
                self.flow.deliver(bytes, now);
                true
            }
            Poll::Ready(Ok(0) | Err(_)) => self.becomes(State::Broken),
        }
    }

    fn take(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let room = self.flow.room(now);
        if room == 0 {
            return false;
        }
        let Poll::Ready(read) = self.read(cx, room) else {
            return false;
        };
        // What was read may have been written after the moment of this step.
        let now = Instant::now();
        match read {
            Ok(0) => self.flow.end(End::Finish, now),
            Ok(bytes) => {
                self.lane.count_sent(bytes);
                let bytes = self.block.split().freeze();
                self.flow.take(bytes, now, &mut self.lane.pacer());
            }
            Err(_) => self.flow.end(End::Reset, now),
        }
        true
    }

    fn read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.block.capacity() < LEAST_READ {
            self.block.reserve(BLOCK);
        }
        let mut buffer = (&mut self.block).limit(room);
        poll_read_buf(Pin::new(&mut self.source), cx, &mut buffer)
    }

    fn finish(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        match self.flow.ended(now) {
            Some(End::Reset) => self.becomes(State::Reset),
            Some(End::Finish) if self.state == State::Carrying => {
                match Pin::new(&mut self.sink).poll_shutdown(cx) {
                    Poll::Pending => false,
                    Poll::Ready(Ok(())) => self.becomes(State::Finished),
                    Poll::Ready(Err(_)) => self.becomes(State::Broken),
                }
            }
            Some(End::Finish) | None => false,
        }
    }

    const fn becomes(&mut self, state: State) -> bool {
        self.state = state;
        true
    }

    /// Whether something that had its time to wait for can be done now; if not, the timer is set.
    fn is_time(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(at) = self.flow.wake(now) else {
            return false;
        };
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }

    /// Sends a reset behind all that is on its way: who would be the source's partner is gone.
    pub(crate) fn break_off(&mut self) {
        self.flow.end(End::Reset, Instant::now());
    }

    /// Goes on under other conditions.
    pub(crate) fn follow(&mut self, path: Path) {
        let mut pacer = self.lane.pacer();
        self.flow.follow(path, Instant::now(), &mut pacer);
    }
}

#[cfg(test)]
mod tests;
