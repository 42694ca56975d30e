//! What the engine has the shell do.

use std::sync::Arc;

use meridian_event::webhook::{Message, MessageId, Place, WebhookId};

use super::{Dispatcher, Flight};
use crate::effect::{Attempt, Effect};
use crate::endpoint::{Endpoint, Next};
use crate::guard::{Guard, stands};
use crate::lane::earlier;
use crate::schedule::millis;

// === impl Dispatcher ===

impl Dispatcher {
    /// What is to be done now.
    pub fn poll(&mut self, now: u64) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.ready);
        while let Some(&(moment, webhook)) = self.timers.first()
            && moment <= now
        {
            self.timers.pop_first();
            if let Some(endpoint) = self.endpoints.get_mut(&webhook) {
                endpoint.timer = None;
            }
            self.call(webhook);
        }
        if !self.is_leaving {
            self.take_turns(now, &mut effects);
        }
        self.record(now, &mut effects);
        if self.prune_at <= now && !self.shards.is_empty() {
            self.prune_at = now.saturating_add(millis(self.config.prune_every));
            let shards = self.shards.keys();
            effects.extend(shards.map(|shard| Effect::Prune {
                shard: *shard,
                until: now,
            }));
        }
        effects
    }

    /// When to poll again, if nothing happens before.
    #[must_use]
    pub fn wake(&self) -> u64 {
        let every = self.record_every();
        let records = self.shards.values().filter_map(|it| it.record_at(every));
        let timer = self.timers.first().map(|(moment, _)| *moment);
        let moment = earlier(records.min(), timer);
        let prune = (!self.shards.is_empty()).then_some(self.prune_at);
        earlier(moment, prune).unwrap_or(u64::MAX)
    }

    /// One thing for each receiver in turn, until none has anything to do or there are enough requests.
    fn take_turns(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let is_full =
            |it: &Self| it.flights.len() >= it.config.slots_in_all && stands(Guard::SlotsInAll);
        while !is_full(self) {
            let Some(webhook) = self.turns.pop_front() else {
                break;
            };
            if let Some(effect) = self.step(now, webhook) {
                effects.push(effect);
                if stands(Guard::TurnsAreTaken) {
                    self.turns.push_back(webhook);
                } else {
                    self.turns.push_front(webhook);
                }
            } else {
                self.wait(now, webhook);
            }
        }
    }

    /// Ends the turn of a receiver that has nothing to do before something happens.
    fn wait(&mut self, now: u64, webhook: WebhookId) {
        let Some(endpoint) = self.endpoints.get_mut(&webhook) else {
            return;
        };
        endpoint.has_turn = false;
        let moment = endpoint.next_moment(now).filter(|_| endpoint.is_active());
        if endpoint.timer != moment {
            if let Some(moment) = std::mem::replace(&mut endpoint.timer, moment) {
                self.timers.remove(&(moment, webhook));
            }
            self.timers.extend(moment.map(|moment| (moment, webhook)));
        }
    }

    /// One thing to do for a receiver.
    fn step(&mut self, now: u64, webhook: WebhookId) -> Option<Effect> {
        let endpoint = self.endpoints.get_mut(&webhook)?;
        let is_resting = endpoint.rests_until > now || !endpoint.is_active();
        if is_resting || !endpoint.breaker.admits(now, endpoint.under_way) {
            return None;
        }
        self.ask(now, webhook)
            .or_else(|| self.attempt(now, webhook))
    }

    /// Asks for what it is to be told.
    fn ask(&mut self, now: u64, webhook: WebhookId) -> Option<Effect> {
        let endpoint = self.endpoints.get(&webhook)?;
        let due = endpoint.due_shard(now);
        let log = endpoint.log_shard(now, &self.config);
        let ticket = self.ticket();
        if let Some(shard) = due.filter(|_| self.has_room_in_all(webhook, 1)) {
            self.change(webhook, shard, |lane| {
                lane.again.asking = Some(ticket);
                lane.again.due = None;
            });
            return Some(Effect::Due {
                ticket,
                webhook,
                shard,
                until: now,
                limit: self.config.due_page,
            });
        }
        let shard = log.filter(|shard| self.has_room(webhook, *shard, 1))?;
        let (queued, after) = self.change(webhook, shard, |lane| {
            lane.reading = Some(ticket);
            (lane.queued(), lane.behind)
        })?;
        // What finds no room is read once more.
        let room = self.config.window.saturating_sub(queued).max(1);
        Some(Effect::Log {
            ticket,
            webhook,
            shard,
            after: after?,
            limit: self.config.log_page.min(room),
        })
    }

    fn attempt(&mut self, now: u64, webhook: WebhookId) -> Option<Effect> {
        let most = self.config.record_rows;
        let endpoint = self.endpoints.get_mut(&webhook)?;
        let slots = endpoint.slots.limit(&self.config);
        if endpoint.under_way >= slots && stands(Guard::SlotsPerEndpoint) {
            return None;
        }
        let shards = &self.shards;
        let before = endpoint.held();
        let next =
            endpoint.next(|shard| shards.get(&shard).is_some_and(|it| it.news.rows() < most))?;
        endpoint.under_way += 1;
        self.held = self.held - before + endpoint.held();
        let to = Arc::clone(&endpoint.subscription);
        let ticket = self.ticket();
        let (shard, message, attempts, was_kept) = match next {
            Next::First(shard, message) => (shard, message, 0, false),
            Next::Again(shard, row) => (shard, Arc::new(row.message), row.attempts, true),
        };
        let flight = Flight {
            webhook,
            to: Arc::clone(&to),
            shard,
            generation: shards_generation(self, shard),
            message: Arc::clone(&message),
            at: now,
            attempts,
            was_kept,
        };
        self.flights.insert(ticket, flight);
        Some(Effect::Attempt(Attempt {
            ticket,
            to,
            message: told(message, ticket),
            attempt: attempts.saturating_add(1),
        }))
    }

    /// How long what need not be recorded at once may wait for more of it.
    fn record_every(&self) -> u64 {
        match self.is_leaving {
            true => 0,
            false => millis(self.config.record_every),
        }
    }

    /// Makes the records that are due.
    fn record(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let every = self.record_every();
        let is_due = |moment: Option<u64>| moment.is_some_and(|moment| moment <= now);
        let due = self
            .shards
            .iter()
            .filter(|(_, it)| is_due(it.record_at(every)));
        let due: Vec<_> = due.map(|(number, _)| *number).collect();
        for number in due {
            let lanes = self.cursors(number);
            let ticket = self.ticket();
            let Some(shard) = self.shards.get_mut(&number) else {
                continue;
            };
            let (ticket, record) = if let Some(under_way) = &mut shard.under_way {
                under_way.again_at = None;
                (under_way.ticket, Arc::clone(&under_way.record))
            } else {
                (ticket, shard.record(now, ticket, number, lanes))
            };
            effects.push(Effect::Record { ticket, record });
        }
    }

    /// The cursors of webhooks that changed since they were recorded. Lanes that have nothing to do end here.
    fn cursors(&mut self, number: u16) -> Vec<(WebhookId, Option<Place>)> {
        let mut changed = Vec::new();
        let Some(shard) = self.shards.get(&number) else {
            return changed;
        };
        if shard.under_way.is_some() {
            return changed;
        }
        let head = shard.head;
        for webhook in shard.lanes.clone() {
            let endpoint = self.endpoints.get_mut(&webhook);
            let Some(lane) = endpoint.and_then(|it: &mut Endpoint| it.lanes.get_mut(&number))
            else {
                continue;
            };
            let settled = (!lane.is_quiet()).then(|| lane.settled(head));
            if lane.recorded != settled {
                lane.recorded = settled;
                changed.push((webhook, settled));
            }
            self.tidy(webhook, number);
        }
        changed
    }
}

fn shards_generation(dispatcher: &Dispatcher, shard: u16) -> u64 {
    dispatcher.shards.get(&shard).map_or(0, |it| it.generation)
}

/// The message as it is told.
fn told(message: Arc<Message>, ticket: u64) -> Arc<Message> {
    if stands(Guard::SameId) {
        return message;
    }
    let mut other = Message::clone(&message);
    let bytes = [ticket.to_be_bytes(), ticket.to_be_bytes()].concat();
    other.id = MessageId::new(bytes.try_into().unwrap_or_default());
    other.into()
}
