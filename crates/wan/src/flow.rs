//! One direction of one connection: what is on its way, and when it arrives.
//!
//! ```text
//! source ─ room() ─ take() ──┬── the lane's pacer: when it has left
//!                            └── line: latency, jitter, losses ─ due() ─ deliver() ─ sink
//!          room() ◄── window ◄── acknowledged, a latency of the way back later ◄─┘
//! ```
//!
//! Owns the delay line and the window. Time is passed in, and nothing is read or written here. Keeps
//! these invariants: bytes arrive in order, never before their time, and all of them, the end last; no
//! more is on its way than the window allows, so that a sink that takes nothing stops its source;
//! while a lane is cut nothing crosses it, neither bytes nor what acknowledges those of the other lane.
//! Leaves sockets and timers to the carrier.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use crate::pacer::{AHEAD, Pacer, carried, turn};
use crate::profile::Profile;
use crate::window::{SEGMENT, Window};

/// The least that a connection may have on its way beyond what its path holds: the receiver's buffer.
const BUFFER: usize = 256 * 1024;
/// How long a lane must be kept busy while somebody waits for a processor.
const SLACK: Duration = Duration::from_millis(10);

/// So many chunks are on their way at most, however small they are: what they say about themselves
/// takes room too.
const MOST_CHUNKS: usize = 16 * 1024;

/// What a lane is like now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) profile: Profile,
    pub(crate) whole: bool,
}

/// The lane that bytes take, and the one on which they are acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) out: Condition,
    pub(crate) back: Condition,
}

/// How a direction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The source has said all it had to say.
    Finish,
    /// The source is gone, or wants nothing more to be said to it.
    Reset,
}

/// What is on its way.
#[derive(Debug)]
pub(crate) struct Flow {
    path: Path,
    random: ChaCha8Rng,
    window: Window,
    line: VecDeque<Chunk>,
    acknowledgements: VecDeque<Acknowledgement>,
    end: Option<(Instant, End)>,
    /// When more may be taken, as far as the lane is concerned.
    next_turn: Instant,
    cut_at: Option<Instant>,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    arrives: Instant,
}

#[derive(Debug)]
struct Acknowledgement {
    bytes: usize,
    arrives: Instant,
}

// === impl Path ===

impl Path {
    fn round_trip(&self) -> Duration {
        self.out.profile.latency() + self.back.profile.latency()
    }

    /// What a connection may have on its way: what the path holds and a buffer, as far as its window
    /// goes.
    fn holds(&self) -> usize {
        let window = self.out.profile.window();
        self.out.profile.bandwidth().map_or(window, |bandwidth| {
            let buffer = carried(bandwidth, SLACK).max(BUFFER);
            let path = carried(bandwidth, self.round_trip());
            path.saturating_add(buffer).min(window)
        })
    }
}

// === impl Flow ===

impl Flow {
    /// A flow that takes nothing before `opens`.
    pub(crate) fn new(path: Path, opens: Instant, random: ChaCha8Rng) -> Self {
        Self {
            window: Window::new(path.holds()),
            path,
            random,
            line: VecDeque::new(),
            acknowledgements: VecDeque::new(),
            end: None,
            next_turn: opens,
            cut_at: (!path.out.whole).then_some(opens),
        }
    }

    /// How much may be taken from the source now.
    pub(crate) fn room(&mut self, now: Instant) -> usize {
        self.hear(now);
        if !self.takes() || now < self.next_turn {
            return 0;
        }
        let turn = turn(self.path.out.profile.bandwidth());
        self.window_room().min(turn)
    }

    const fn takes(&self) -> bool {
        self.path.out.whole && self.end.is_none()
    }

    fn window_room(&self) -> usize {
        if self.line.len() < MOST_CHUNKS {
            return self.window.room();
        }
        0
    }

    /// Hears of what has arrived.
    fn hear(&mut self, now: Instant) {
        while self.path.back.whole
            && let Some(heard) = self.acknowledgements.pop_front_if(|it| it.arrives <= now)
        {
            self.window.acknowledged(heard.bytes);
        }
    }

    /// Takes what the source had, no more than there was room for.
    pub(crate) fn take(&mut self, bytes: Bytes, now: Instant, pacer: &mut Pacer) {
        let left = pacer.send(bytes.len(), now);
        self.next_turn = before(left, AHEAD, now);
        self.window.sent(bytes.len());
        let resent = self.losses(bytes.len());
        if resent > 0 {
            self.window.lost(now, self.path.round_trip());
        }
        let arrives = self.arrival(left + self.path.round_trip() * resent);
        self.line.push_back(Chunk { bytes, arrives });
    }

    /// How many round trips pass until all segments have got through.
    fn losses(&mut self, bytes: usize) -> u32 {
        let loss = self.path.out.profile.loss();
        if loss <= 0.0 {
            return 0;
        }
        // All segments of a round are sent together; those that are lost are sent again in the next.
        let mut missing = bytes.div_ceil(SEGMENT);
        let mut rounds = 0;
        loop {
            missing = (0..missing)
                .filter(|_| self.random.random_bool(loss))
                .count();
            if missing == 0 {
                return rounds;
            }
            rounds += 1;
        }
    }

    /// When something arrives that has left then. If what was sent before it takes longer, it waits for
    /// that at the other side.
    fn arrival(&mut self, left: Instant) -> Instant {
        let profile = &self.path.out.profile;
        let jitter = profile.jitter();
        let late = self.random.random_range(Duration::ZERO..=jitter * 2);
        left + profile.latency() + late - jitter
    }

    /// The source has ended. A reset comes behind an end that was sent before; nothing comes behind a
    /// reset.
    pub(crate) fn end(&mut self, end: End, now: Instant) {
        if !matches!(self.end, Some((_, End::Reset))) {
            self.end = Some((self.arrival(now), end));
        }
    }

    /// What has arrived and waits for the sink.
    pub(crate) fn due(&self, now: Instant) -> impl Iterator<Item = &[u8]> {
        let whole = self.path.out.whole;
        let arrived = move |chunk: &&Chunk| whole && chunk.arrives <= now;
        self.line
            .iter()
            .take_while(arrived)
            .map(|it| it.bytes.as_ref())
    }

    /// The sink has taken so much of it.
    pub(crate) fn deliver(&mut self, bytes: usize, now: Instant) {
        let mut left = bytes;
        while let Some(chunk) = self.line.front_mut()
            && left > 0
        {
            let taken = left.min(chunk.bytes.len());
            chunk.bytes.advance(taken);
            left -= taken;
            if chunk.bytes.is_empty() {
                self.line.pop_front();
            }
        }
        let arrives = now + self.path.back.profile.latency();
        self.acknowledgements
            .push_back(Acknowledgement { bytes, arrives });
    }

    /// The end, once it has arrived behind all bytes.
    pub(crate) fn ended(&self, now: Instant) -> Option<End> {
        let (arrives, end) = self.end?;
        (self.path.out.whole && self.line.is_empty() && arrives <= now).then_some(end)
    }

    /// When to look again although neither source nor sink has become ready.
    pub(crate) fn wake(&self, now: Instant) -> Option<Instant> {
        let end = self.end.map(|(arrives, _)| arrives);
        let arrival = self.line.front().map(|it| it.arrives).or(end);
        let heard = self.acknowledgements.front().map(|it| it.arrives);
        let full = self.window_room() == 0;
        [
            arrival.filter(|_| self.path.out.whole),
            heard.filter(|_| self.path.back.whole && full),
            Some(self.next_turn).filter(|_| self.takes() && !full),
        ]
        .into_iter()
        .flatten()
        .filter(|at| *at > now)
        .min()
    }

    /// Goes on under other conditions. What was on its way over a lane that was cut is sent again.
    pub(crate) fn follow(&mut self, path: Path, now: Instant, pacer: &mut Pacer) {
        let before = std::mem::replace(&mut self.path, path);
        self.window.set_limit(path.holds());
        if before.out.whole && !path.out.whole {
            self.cut_at = Some(now);
        }
        if path.out.whole
            && let Some(cut_at) = self.cut_at.take()
        {
            self.resend(cut_at, now, pacer);
        }
        if !before.back.whole && path.back.whole {
            let earliest = now + path.back.profile.latency();
            for heard in &mut self.acknowledgements {
                heard.arrives = heard.arrives.max(earliest);
            }
        }
    }

    fn resend(&mut self, cut_at: Instant, now: Instant, pacer: &mut Pacer) {
        let mut line = std::mem::take(&mut self.line);
        let mut left = now;
        for chunk in line.iter_mut().filter(|it| it.arrives > cut_at) {
            left = pacer.send(chunk.bytes.len(), now);
            chunk.arrives = self.arrival(left);
        }
        self.line = line;
        self.next_turn = self.next_turn.max(before(left, AHEAD, now));
        if let Some((arrives, end)) = self.end.filter(|(arrives, _)| *arrives > cut_at) {
            self.end = Some((arrives.max(self.arrival(left)), end));
        }
    }
}

/// So much earlier, but not in the past.
fn before(at: Instant, time: Duration, now: Instant) -> Instant {
    at.checked_sub(time).map_or(now, |it| it.max(now))
}

#[cfg(test)]
mod tests;
