//! What became of attempts and of records.

use std::sync::Arc;

use meridian_event::webhook::{Change, DisableReason, Undelivered, WebhookId};

use super::{Dispatcher, Flight};
use crate::effect::{Effect, Recorded};
use crate::guard::{Guard, stands};
use crate::outcome::{Outcome, Verdict};
use crate::schedule::{self, millis};

// === impl Dispatcher ===

impl Dispatcher {
    /// What became of an attempt.
    pub fn attempted(&mut self, now: u64, ticket: u64, outcome: Outcome) {
        let Some(flight) = self.flights.remove(&ticket) else {
            return;
        };
        let Some(endpoint) = self.endpoints.get_mut(&flight.webhook) else {
            return;
        };
        let under_way = endpoint.under_way;
        endpoint.under_way = under_way.saturating_sub(1);
        // What another receiver does says nothing of the one that is called now.
        let is_other = flight.to.sealed != endpoint.subscription.sealed;
        let verdict = outcome.verdict(now);
        match verdict {
            _ if is_other => {}
            Verdict::Delivered => {
                let after = now.saturating_sub(flight.at);
                endpoint.slots.answered(after, under_way, &self.config);
            }
            Verdict::Failed { .. } | Verdict::Gone => endpoint.slots.failed(),
            Verdict::Unsent => {}
        }
        match verdict {
            Verdict::Delivered if is_other => self.settle(&flight, None),
            Verdict::Delivered => self.delivered(now, &flight),
            Verdict::Failed { .. } | Verdict::Gone if is_other => {
                self.settle(&flight, Some(self.kept(now, &flight, Some(now))));
            }
            Verdict::Failed {
                is_busy,
                is_throttled,
                asked,
            } => {
                if is_throttled {
                    // All of it would fare alike. What waits keeps its order and its attempts.
                    let rest = asked.unwrap_or(self.config.busy_wait);
                    let rest = millis(rest.min(self.config.busy_wait));
                    endpoint.rests_until = now.saturating_add(rest);
                }
                let attempts = flight.attempts.saturating_add(1);
                let wait = schedule::wait(&self.config, &mut self.dice, attempts, is_busy, asked);
                let due = wait.map(|wait| now.saturating_add(millis(wait)));
                self.settle(&flight, Some(self.kept(now, &flight, due)));
                self.failed(now, &flight);
            }
            Verdict::Gone => {
                self.settle(&flight, Some(self.kept(now, &flight, None)));
                self.close(flight.webhook, DisableReason::Gone);
            }
            Verdict::Unsent => {
                endpoint.rests_until = now.saturating_add(millis(self.config.again));
                self.give_back(&flight);
            }
        }
        self.call(flight.webhook);
    }

    fn kept(&self, now: u64, flight: &Flight, due: Option<u64>) -> Undelivered {
        Undelivered {
            webhook: flight.webhook,
            message: (*flight.message).clone(),
            attempts: flight.attempts.saturating_add(1),
            due,
            until: now.saturating_add(millis(self.config.keep)),
        }
    }

    /// Others may see nothing but failures of the same receiver. That it is well is said when it is news here,
    /// and now and then besides: more often than it takes to give a receiver up.
    fn delivered(&mut self, now: u64, flight: &Flight) {
        self.settle(flight, None);
        let Some(endpoint) = self.endpoints.get_mut(&flight.webhook) else {
            return;
        };
        endpoint.breaker.succeed();
        let is_news = endpoint.failing_since.take().is_some();
        let again_at = endpoint
            .well_at
            .saturating_add(millis(self.config.give_up) / 8);
        let is_due = endpoint.well_at != 0 && again_at <= now;
        if endpoint.well_at == 0 || is_news || is_due {
            endpoint.well_at = now;
        }
        if (is_news || is_due)
            && let Some(shard) = self.shards.get_mut(&flight.shard)
        {
            shard.news.set_failing(flight.webhook, None);
        }
    }

    /// Counts a failure against the receiver.
    fn failed(&mut self, now: u64, flight: &Flight) {
        let Some(endpoint) = self.endpoints.get_mut(&flight.webhook) else {
            return;
        };
        if endpoint.breaker.fail(now, &self.config, &mut self.dice) {
            let before = endpoint.held();
            endpoint.fall_behind();
            self.held = self.held - before + endpoint.held();
        }
        let Some(since) = endpoint.failing_since else {
            endpoint.failing_since = Some(now);
            if let Some(shard) = self.shards.get_mut(&flight.shard) {
                shard.news.set_failing(flight.webhook, Some(now));
            }
            return;
        };
        let is_enough = now.saturating_sub(since) >= millis(self.config.give_up);
        if is_enough && stands(Guard::FailingDisables) {
            self.close(flight.webhook, DisableReason::Failing { since });
        }
    }

    /// Tells nothing more to a receiver, and has it disabled.
    fn close(&mut self, webhook: WebhookId, reason: DisableReason) {
        if let Some(endpoint) = self.endpoints.get_mut(&webhook)
            && !endpoint.is_closing
        {
            endpoint.is_closing = true;
            let to = Arc::clone(&endpoint.subscription);
            self.ready.push(Effect::Disable { to, reason });
        }
    }

    /// Whether a webhook is disabled. If not, it had success elsewhere, or is enabled again.
    pub fn disabled(&mut self, webhook: WebhookId, is_disabled: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(&webhook)
            && !is_disabled
        {
            endpoint.is_closing = false;
            endpoint.failing_since = None;
        }
        self.call(webhook);
    }

    /// Ends an attempt, with what is to be kept of it.
    fn settle(&mut self, flight: &Flight, kept: Option<Undelivered>) {
        if !self.is_current(flight) {
            return;
        }
        let (webhook, id) = (flight.webhook, flight.message.id);
        if flight.was_kept {
            if let Some(shard) = self.shards.get_mut(&flight.shard) {
                shard.news.put_back(webhook, id, kept);
            }
            return;
        }
        let passed = self.change(webhook, flight.shard, |lane| {
            lane.settle(id, kept);
            lane.pass()
        });
        if let (Some(rows), Some(shard)) = (passed, self.shards.get_mut(&flight.shard)) {
            shard.news.keep(rows);
        }
    }

    /// Ends an attempt that was none.
    fn give_back(&mut self, flight: &Flight) {
        if !self.is_current(flight) {
            return;
        }
        self.change(flight.webhook, flight.shard, |lane| {
            if flight.was_kept {
                // It is where it was, and due.
                lane.again.out = lane.again.out.saturating_sub(1);
                lane.again.due = Some(0);
            } else {
                lane.give_back(flight.message.id);
            }
        });
    }

    fn is_current(&self, flight: &Flight) -> bool {
        let shard = self.shards.get(&flight.shard);
        shard.is_some_and(|shard| shard.generation == flight.generation)
    }

    /// What became of a record.
    pub fn recorded(&mut self, now: u64, number: u16, ticket: u64, recorded: Recorded) {
        let again_at = now.saturating_add(millis(self.config.again));
        let Some(shard) = self.shards.get_mut(&number) else {
            return;
        };
        let under_way = shard.under_way.as_mut();
        let Some(under_way) = under_way.filter(|it| it.ticket == ticket) else {
            return;
        };
        match recorded {
            Recorded::Done => {}
            Recorded::Failed => {
                under_way.again_at = Some(again_at);
                return;
            }
            Recorded::Refused => return self.revoke(number),
        }
        let Some(done) = shard.under_way.take() else {
            return;
        };
        let waiting = shard.lanes.clone();
        for (webhook, count) in done.returned {
            self.change(webhook, number, |lane| {
                lane.again.out = lane.again.out.saturating_sub(count);
            });
        }
        for change in &done.record.rows {
            if let Change::Put(row) = change
                && let Some(due) = row.due
            {
                self.pending(row.webhook, number, due);
            }
        }
        for webhook in waiting {
            self.tidy(webhook, number);
            // There is room again for what may fail.
            self.call(webhook);
        }
    }
}
