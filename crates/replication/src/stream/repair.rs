//! What to do about events that the event log does not bring.
//!
//! A gap may be closed by a late duplicate, so it is waited for; then the origin is asked, whose
//! outbox has what was not published, too. What the origin has no more, or what it committed in a new
//! epoch, no log leads to: the state is to be brought up to the origin's by other means.

use std::sync::Arc;
use std::time::Duration;

use meridian_event::Envelope;

use super::{Arrival, Cursor, Halt, Offered, Refill, Refilled, ResyncReason, Stream};
use crate::Now;
use crate::dice::Dice;
use crate::guard::{Guard, stands};

impl Stream {
    /// What the origin is to be asked for, if it is.
    pub(crate) fn refill(&mut self, now: Now) -> Option<Refill> {
        if !stands(Guard::GapRefilled) || !self.refilling.may_begin(now) {
            return None;
        }
        let (from, to, due) = self.gap()?;
        if now.elapsed < due || self.resync_reason().is_some() || self.halt.is_some() {
            return None;
        }
        self.refilling.busy = true;
        let most = self.config.refill_events as u64;
        Some(Refill {
            epoch: self.cursor.epoch,
            from,
            to: to.min(from.saturating_add(most - 1)),
            bytes: usize::try_from(self.config.refill_bytes.as_u64()).unwrap_or(usize::MAX),
        })
    }

    /// What is missing next to the cursor, and when the origin is to be asked for it.
    pub(super) fn gap(&self) -> Option<(u64, u64, Duration)> {
        let next = self.cursor.next();
        let (place, held) = match self.window.after(self.cursor).next() {
            Some((place, _)) if place == next => return None,
            Some(found) if found.0.epoch == next.epoch => found,
            _ => return self.missing_tail(),
        };
        let due = held.arrived + self.config.gap_grace;
        Some((next.seq, place.seq - 1, due))
    }

    fn missing_tail(&self) -> Option<(u64, u64, Duration)> {
        let next = self.cursor.next();
        let head = self
            .head
            .filter(|head| head.epoch == next.epoch && *head >= next)?;
        let since = self.ahead_since?.max(self.delivered);
        Some((next.seq, head.seq, since + self.config.tail_grace))
    }

    /// Learns what the origin said. Returns how much of it is new.
    pub(crate) fn refilled(
        &mut self,
        now: Now,
        refilled: Refilled,
        dice: &mut Dice,
    ) -> Vec<Cursor> {
        let Refilled::Events(arrivals) = refilled else {
            self.lost |= refilled == Refilled::Gone;
            self.refilling.fail(&self.config, now, dice);
            return Vec::new();
        };
        let mut new = Vec::new();
        let mut bytes_left = self.config.refill_bytes.as_u64();
        for arrival in arrivals.into_iter().take(self.config.refill_events) {
            let Arrival::Event { envelope, bytes } = arrival else {
                self.halt = Some(Halt::Undecodable);
                break;
            };
            if !new.is_empty() && bytes as u64 > bytes_left {
                break;
            }
            bytes_left = bytes_left.saturating_sub(bytes as u64);
            match self.judge(&envelope) {
                Some(Offered::Stopped) => break,
                Some(_) => {}
                None => {
                    new.push(Cursor::of(&envelope.id));
                    self.hold(now, envelope, bytes);
                }
            }
        }
        if new.is_empty() {
            self.refilling.fail(&self.config, now, dice);
        } else {
            self.refilling.succeed();
        }
        new
    }

    /// Why the state is to be brought up to the origin's by other means, if it is to be now.
    pub(crate) fn resync(&mut self, now: Now) -> Option<ResyncReason> {
        let reason = self.resync_reason()?;
        let is_idle = self.in_flight.is_none() && self.mergeable(now).next().is_none();
        if !is_idle || !self.resyncing.may_begin(now) {
            return None;
        }
        self.resyncing.busy = true;
        Some(reason)
    }

    pub(super) fn resync_reason(&self) -> Option<ResyncReason> {
        let newest = self.window.last().max(self.head);
        match newest {
            Some(newest) if newest.epoch > self.cursor.epoch => {
                Some(ResyncReason::Epoch(newest.epoch))
            }
            _ => self.lost.then_some(ResyncReason::Lost),
        }
    }

    /// Learns where the cursor stands after a resync, unless that failed. Returns what is merged.
    pub(crate) fn resynced(
        &mut self,
        now: Now,
        cursor: Option<Cursor>,
        dice: &mut Dice,
    ) -> Vec<Arc<Envelope>> {
        let merged = cursor.map_or_else(Vec::new, |cursor| self.adopt(now, cursor));
        if self.resync_reason().is_some() {
            self.resyncing.fail(&self.config, now, dice);
        } else {
            self.resyncing.succeed();
            self.refilling.succeed();
        }
        merged
    }
}
