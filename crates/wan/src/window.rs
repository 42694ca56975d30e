//! How much a connection may have on its way, one way: what TCP would allow.
//!
//! Owns the window: it begins at ten segments, doubles with each round trip while it is used, is
//! narrowed to seven tenths when a segment is lost, and from there on grows by a segment per round trip.
//! Keeps the invariant that never more than its limit is on the way. Leaves to the flow what is lost and
//! when something is acknowledged.
//!
//! A relay needs this because its own connections are too good: both end on this machine, so neither
//! ever waits for a round trip.

use std::time::Duration;

use tokio::time::Instant;

/// The payload of a packet on a path with an MTU of 1500.
pub(crate) const SEGMENT: usize = 1448;
/// What a new connection may send before it has heard anything.
const FIRST: usize = 10 * SEGMENT;
/// No loss narrows it further.
const LEAST: usize = 2 * SEGMENT;

/// What is on the way, and how much may be.
#[derive(Debug)]
pub(crate) struct Window {
    open: usize,
    limit: usize,
    /// All that was ever sent, and what of it is acknowledged.
    sent: u64,
    acknowledged: u64,
    /// The most that was on the way in this round trip, and what had been sent then.
    most: (u64, u64),
    /// Above it, growth is slow.
    threshold: usize,
    /// Acknowledged since it last grew by a segment.
    progress: usize,
    /// Until then further losses belong to the one that is being made good.
    recovered_at: Option<Instant>,
}

// === impl Window ===

impl Window {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            open: FIRST.min(limit),
            limit,
            sent: 0,
            acknowledged: 0,
            most: (0, 0),
            threshold: usize::MAX,
            progress: 0,
            recovered_at: None,
        }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.open = self.open.min(limit);
    }

    /// How much more may be sent. Less than a segment is not worth sending while something is on its
    /// way, whose arrival will make room for more.
    pub(crate) fn room(&self) -> usize {
        let on_the_way = usize::try_from(self.on_the_way()).unwrap_or(usize::MAX);
        let room = self.open.saturating_sub(on_the_way);
        if room < SEGMENT && on_the_way > 0 {
            return 0;
        }
        room
    }

    pub(crate) const fn on_the_way(&self) -> u64 {
        self.sent - self.acknowledged
    }

    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        let (most, when) = self.most;
        if self.on_the_way() > most || self.acknowledged > when {
            self.most = (self.on_the_way(), self.sent);
        }
    }

    pub(crate) fn acknowledged(&mut self, bytes: usize) {
        self.acknowledged += bytes as u64;
        // One that its sender does not fill says nothing about how much the path would bear.
        if self.most.0 * 2 > self.open as u64 {
            self.grow(bytes);
        }
    }

    fn grow(&mut self, acknowledged: usize) {
        if self.open < self.threshold {
            self.open += acknowledged;
        } else {
            self.progress += acknowledged;
            if self.progress >= self.open {
                self.progress = 0;
                self.open += SEGMENT;
            }
        }
        self.open = self.open.min(self.limit);
    }

    /// A segment is lost that was sent now; it takes a round trip until that is made good.
    pub(crate) fn lost(&mut self, now: Instant, round_trip: Duration) {
        if self.recovered_at.is_some_and(|it| now < it) {
            return;
        }
        self.recovered_at = Some(now + round_trip);
        self.open = (self.open / 10 * 7).max(LEAST).min(self.limit);
        self.threshold = self.open;
        self.progress = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1_000_000;

    /// Sends all it may, and hears of all of it.
    fn round_trip(window: &mut Window) -> usize {
        let mut sent = 0;
        while window.room() > 0 {
            let bytes = window.room().min(SEGMENT);
            window.sent(bytes);
            sent += bytes;
        }
        let mut left = sent;
        while left > 0 {
            window.acknowledged(left.min(SEGMENT));
            left -= left.min(SEGMENT);
        }
        sent
    }

    #[test]
    fn a_window_doubles_per_round_trip_up_to_its_limit() {
        let mut window = Window::new(LIMIT);
        let sent: Vec<_> = (0..5).map(|_| round_trip(&mut window)).collect();
        assert_eq!(sent, [1, 2, 4, 8, 16].map(|times| times * FIRST));
        (0..40).for_each(|_| _ = round_trip(&mut window));
        assert!(round_trip(&mut window) > LIMIT - SEGMENT);
    }

    #[test]
    fn a_loss_narrows_once_per_round_trip_and_growth_is_slow_after_it() {
        let mut window = Window::new(LIMIT);
        (0..40).for_each(|_| _ = round_trip(&mut window));
        let (now, trip) = (Instant::now(), Duration::from_millis(80));
        window.lost(now, trip);
        window.lost(now + trip / 2, trip);
        assert_eq!(window.room(), LIMIT / 10 * 7);
        round_trip(&mut window);
        assert!(window.room() <= LIMIT / 10 * 7 + SEGMENT);
        window.lost(now + trip, trip);
        assert!(window.room() < LIMIT / 2);
        (0..100).for_each(|n| window.lost(now + trip * (n + 2), trip));
        assert_eq!(window.room(), LEAST);
    }

    #[test]
    fn what_is_not_used_does_not_grow() {
        let mut window = Window::new(LIMIT);
        for _ in 0..1000 {
            window.sent(SEGMENT);
            window.acknowledged(SEGMENT);
        }
        assert_eq!(window.room(), FIRST);
    }

    #[test]
    fn crumbs_are_not_sent_while_something_is_on_its_way() {
        let mut window = Window::new(LIMIT);
        window.sent(FIRST - 10);
        assert_eq!(window.room(), 0);
        let mut small = Window::new(100);
        assert_eq!(small.room(), 100);
        small.sent(1);
        assert_eq!(small.room(), 0);
    }

    #[test]
    fn a_lower_limit_holds_at_once() {
        let mut window = Window::new(LIMIT);
        window.sent(FIRST);
        window.set_limit(SEGMENT);
        assert_eq!((window.room(), window.on_the_way()), (0, FIRST as u64));
        window.acknowledged(FIRST);
        assert_eq!(window.room(), SEGMENT);
    }
}
