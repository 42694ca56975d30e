//! The messages of one webhook from one shard, on their first attempt.
//!
//! Owns their order: of a repository one is under way at a time, and the next begins when that one is settled,
//! delivered or kept for later; repositories do not wait for one another. Owns the webhook's cursor in the
//! shard: what is up to there is settled. A lane is *live* while it takes what the shard is offered. Where that
//! finds no room, or its receiver is left alone, the lane falls *behind*, holds nothing but a place, and reads
//! the log itself from there.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use meridian_event::webhook::{Message, MessageId, Place, Undelivered};

use crate::guard::{Guard, stands};

/// One webhook's part of a shard.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    items: VecDeque<Item>,
    /// Up to where it has read; none while it is live.
    pub(crate) behind: Option<Place>,
    /// The ticket by which it reads on.
    pub(crate) reading: Option<u64>,
    /// Not before.
    pub(crate) read_at: u64,
    pub(crate) again: Again,
    /// The cursor that the metadata has of it.
    pub(crate) recorded: Option<Place>,
}

/// What of a lane is attempted again. It is kept in the metadata, and here only a page at a time.
#[derive(Debug, Default)]
pub(crate) struct Again {
    pub(crate) rows: VecDeque<Undelivered>,
    /// Read, and not yet recorded: waiting, under way, or in a record.
    pub(crate) out: usize,
    /// When the first of the others is due.
    pub(crate) due: Option<u64>,
    /// The ticket by which it is asked for more.
    pub(crate) asking: Option<u64>,
    /// Not before.
    pub(crate) ask_at: u64,
}

#[derive(Debug)]
struct Item {
    place: Place,
    message: Arc<Message>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    UnderWay,
    /// Perhaps to be kept for later.
    Settled(Option<Box<Undelivered>>),
}

// === impl Lane ===

impl Lane {
    /// What it holds.
    pub(crate) fn held(&self) -> usize {
        self.items.len() + self.again.rows.len()
    }

    /// Messages on their first attempt.
    pub(crate) fn queued(&self) -> usize {
        self.items.len()
    }

    /// Whether all is settled up to the head of the shard.
    pub(crate) fn is_quiet(&self) -> bool {
        self.items.is_empty() && self.behind.is_none()
    }

    /// Whether nothing is to be remembered of it.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_quiet()
            && self.again.out == 0
            && self.again.due.is_none()
            && self.again.asking.is_none()
    }

    /// Its cursor, with the head of the shard there.
    pub(crate) fn settled(&self, head: Place) -> Place {
        match self.items.front() {
            Some(item) if stands(Guard::SettledBelow) => item.place.before(),
            _ => self.behind.unwrap_or(head),
        }
    }

    pub(crate) fn push(&mut self, place: Place, messages: Vec<Message>) {
        let items = messages.into_iter().map(|message| Item {
            place,
            message: Arc::new(message),
            state: State::Waiting,
        });
        self.items.extend(items);
    }

    /// Begins the first attempt that may be made now.
    pub(crate) fn begin(&mut self) -> Option<Arc<Message>> {
        let at = self.first()?;
        let item = &mut self.items[at];
        item.state = State::UnderWay;
        Some(Arc::clone(&item.message))
    }

    fn first(&self) -> Option<usize> {
        let mut busy = BTreeSet::new();
        for (at, item) in self.items.iter().enumerate() {
            match item.state {
                State::UnderWay if stands(Guard::FirstInOrder) => {
                    busy.insert(&item.message.repository);
                }
                State::Waiting if !busy.contains(&item.message.repository) => return Some(at),
                // What waits for another one holds up what comes after it.
                State::UnderWay | State::Waiting | State::Settled(_) => {}
            }
        }
        None
    }

    /// Ends an attempt, with what is to be kept of it.
    pub(crate) fn settle(&mut self, id: MessageId, kept: Option<Undelivered>) {
        if let Some(item) = self.under_way(id) {
            item.state = State::Settled(kept.map(Box::new));
        }
    }

    /// Ends an attempt that was none.
    pub(crate) fn give_back(&mut self, id: MessageId) {
        if let Some(item) = self.under_way(id) {
            item.state = State::Waiting;
        }
    }

    fn under_way(&mut self, id: MessageId) -> Option<&mut Item> {
        let mut items = self.items.iter_mut();
        items.find(|item| item.message.id == id && matches!(item.state, State::UnderWay))
    }

    /// Moves the cursor past events that are settled as a whole, and gives what is to be kept of them, so that
    /// both are recorded at once: what is kept of an event that is not passed would be attempted twice.
    pub(crate) fn pass(&mut self) -> Vec<Undelivered> {
        let mut kept = Vec::new();
        while let Some(place) = self.items.front().map(|item| item.place) {
            let of_event = self.items.iter().take_while(|item| item.place == place);
            if !of_event
                .clone()
                .all(|item| matches!(item.state, State::Settled(_)))
            {
                break;
            }
            let count = of_event.count();
            for item in self.items.drain(..count) {
                if let State::Settled(Some(row)) = item.state {
                    kept.push(*row);
                }
            }
        }
        kept
    }

    /// Forgets what was not begun, to read it again later. What is kept of events behind that is forgotten,
    /// too, and made again.
    pub(crate) fn fall_behind(&mut self) {
        self.again.due = earlier(
            self.again.due,
            self.again.rows.front().and_then(|row| row.due),
        );
        self.again.out -= self.again.rows.len();
        self.again.rows.clear();
        let waits = |item: &Item| matches!(item.state, State::Waiting);
        let Some(place) = self
            .items
            .iter()
            .find(|it| waits(it))
            .map(|item| item.place)
        else {
            return;
        };
        self.items.retain(|item| item.place < place);
        self.behind = Some(place.before());
        self.reading = None;
    }
}

/// The earlier of two moments, of which either may never come.
pub(crate) fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (moment, None) | (None, moment) => moment,
    }
}

#[cfg(test)]
mod tests;
