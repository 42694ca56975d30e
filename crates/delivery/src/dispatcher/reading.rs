//! What webhooks are told: events as they come, the log for those that fell behind, what is due again.

use meridian_event::Envelope;
use meridian_event::webhook::{DuePage, Place, WebhookId};

use super::Dispatcher;
use crate::effect::{LogPage, Offered};
use crate::endpoint::Endpoint;
use crate::guard::{Guard, stands};
use crate::lane::earlier;
use crate::messages;
use crate::schedule::millis;

// === impl Dispatcher ===

impl Dispatcher {
    /// The next event of a shard.
    pub fn offer(&mut self, envelope: &Envelope) -> Offered {
        let number = envelope.id.shard;
        let Some(shard) = self.shards.get_mut(&number) else {
            return Offered::Elsewhere;
        };
        let place = Place::of(&envelope.id);
        let before = shard.head;
        if place <= before {
            return Offered::Old;
        }
        if !place.continues(before) && stands(Guard::Consecutive) {
            return Offered::Gap(before);
        }
        shard.head = place;
        let webhooks = self.registries.get(&envelope.registry);
        for webhook in webhooks.cloned().unwrap_or_default() {
            self.take(webhook, envelope, before);
        }
        Offered::Taken
    }

    /// Events of a shard are lost up to there.
    pub fn skip(&mut self, shard: u16, to: Place) {
        if let Some(shard) = self.shards.get_mut(&shard) {
            shard.head = shard.head.max(to);
        }
    }

    /// Takes a live event, or has the webhook read it itself later.
    fn take(&mut self, webhook: WebhookId, envelope: &Envelope, before: Place) {
        let shard = envelope.id.shard;
        let Some(endpoint) = self.endpoints.get(&webhook) else {
            return;
        };
        let lane = endpoint.lanes.get(&shard);
        if lane.is_some_and(|lane| lane.behind.is_some()) {
            return;
        }
        let messages = messages(envelope, &endpoint.subscription);
        if messages.is_empty() {
            return;
        }
        let is_left_alone = endpoint.breaker.opens_at().is_some();
        if !is_left_alone && self.has_room(webhook, shard, messages.len()) {
            let place = Place::of(&envelope.id);
            self.change(webhook, shard, |lane| lane.push(place, messages));
        } else if stands(Guard::BehindReads) {
            self.change(webhook, shard, |lane| lane.behind = Some(before));
        }
        self.call(webhook);
    }

    /// What a webhook that fell behind finds in the log; nothing, if it cannot be read now.
    pub fn log(
        &mut self,
        now: u64,
        webhook: WebhookId,
        shard: u16,
        ticket: u64,
        page: Option<LogPage>,
    ) {
        let again_at = now.saturating_add(millis(self.config.again));
        let Some((from, head)) = self.reads(webhook, shard, ticket) else {
            return;
        };
        let read = page.map_or(from, |page| self.read(webhook, shard, from, head, page));
        self.change(webhook, shard, |lane| {
            lane.behind = (read < head).then_some(read);
            if read == from {
                lane.read_at = again_at;
            }
        });
        if let Some(shard) = self.shards.get_mut(&shard)
            && read != from
        {
            shard.news.is_settled = true;
        }
        self.call(webhook);
    }

    /// From where a webhook reads, and up to where. None if that is not what it waits for, or its receiver is
    /// left alone meanwhile: then it reads again later.
    fn reads(&mut self, webhook: WebhookId, shard: u16, ticket: u64) -> Option<(Place, Place)> {
        let head = self.shards.get(&shard)?.head;
        let endpoint = self.endpoints.get_mut(&webhook)?;
        let is_left_alone = endpoint.breaker.opens_at().is_some();
        let lane = endpoint.lanes.get_mut(&shard)?;
        lane.reading.take_if(|asked| *asked == ticket)?;
        let from = lane.behind?;
        (!is_left_alone).then_some((from, head))
    }

    /// Takes as much of a page as there is room for, and says up to where.
    fn read(
        &mut self,
        webhook: WebhookId,
        shard: u16,
        from: Place,
        head: Place,
        page: LogPage,
    ) -> Place {
        let mut read = from;
        for envelope in page.events {
            let place = Place::of(&envelope.id);
            if place <= read {
                continue;
            }
            let endpoint = self.endpoints.get(&webhook);
            let Some(endpoint) = endpoint.filter(|_| place <= head) else {
                break;
            };
            let messages = messages(&envelope, &endpoint.subscription);
            if !messages.is_empty() {
                if !self.has_room(webhook, shard, messages.len()) {
                    return read;
                }
                self.change(webhook, shard, |lane| lane.push(place, messages));
            }
            read = place;
        }
        read.max(page.upto.min(head))
    }

    /// What of a webhook is due again; nothing, if it cannot be read now.
    pub fn due(
        &mut self,
        now: u64,
        webhook: WebhookId,
        shard: u16,
        ticket: u64,
        page: Option<DuePage>,
    ) {
        let again_at = now.saturating_add(millis(self.config.again));
        let is_left_alone = |it: &Endpoint| it.breaker.opens_at().is_some();
        let is_taken = !self.endpoints.get(&webhook).is_some_and(is_left_alone);
        self.change(webhook, shard, |lane| {
            let again = &mut lane.again;
            if again.asking.take_if(|asked| *asked == ticket).is_none() {
                return;
            }
            let Some(DuePage { rows, next }) = page else {
                again.ask_at = again_at;
                again.due = earlier(again.due, Some(now));
                return;
            };
            again.due = earlier(again.due, next);
            if is_taken {
                again.out += rows.len();
                again.rows.extend(rows);
            } else {
                again.due = earlier(again.due, rows.first().and_then(|row| row.due));
            }
        });
        self.tidy(webhook, shard);
        self.call(webhook);
    }
}
