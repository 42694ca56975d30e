//! What the shell tells of webhooks and of the shards that this dispatcher works on.

use meridian_event::webhook::{Assignment, Place, Status, WebhookId};

use super::Dispatcher;
use crate::Subscription;
use crate::breaker::Breaker;
use crate::endpoint::Endpoint;
use crate::lane::{Lane, earlier};
use crate::shard::Shard;

// === impl Dispatcher ===

impl Dispatcher {
    /// A webhook is there, or changed. Before an event is offered, all webhooks are told that were there at its
    /// commit. What failed says nothing of another URI, nor of one that is enabled again. Since when it fails is
    /// known better here than by who tells of another change. One that is disabled loses its place in the log, and keeps what is due again.
    pub fn subscribe(&mut self, subscription: Subscription) {
        let id = subscription.id;
        let is_enabled = subscription.webhook.status == Status::Enabled;
        let of_registry = self.registries.entry(subscription.registry).or_default();
        of_registry.insert(id);
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            let was = &endpoint.subscription;
            if was.sealed != subscription.sealed
                || was.since != subscription.since
                || was.webhook.status != subscription.webhook.status
            {
                endpoint.breaker = Breaker::default();
                endpoint.rests_until = 0;
                endpoint.is_closing = false;
                endpoint.failing_since = None;
            }
            endpoint.subscription = subscription.into();
        } else {
            let mut endpoint = Endpoint::new(subscription);
            let flights = self.flights.values();
            endpoint.under_way = flights.filter(|flight| flight.webhook == id).count();
            self.endpoints.insert(id, endpoint);
        }
        if !is_enabled {
            self.forget_places(id);
        }
        self.call(id);
    }

    /// A webhook is there no more. The metadata drop what they keep of it.
    pub fn unsubscribe(&mut self, webhook: WebhookId) {
        self.drop_lanes(webhook);
        let Some(endpoint) = self.endpoints.remove(&webhook) else {
            return;
        };
        if let Some(moment) = endpoint.timer {
            self.timers.remove(&(moment, webhook));
        }
        if endpoint.has_turn {
            self.turns.retain(|it| *it != webhook);
        }
        let registry = endpoint.subscription.registry;
        if let Some(webhooks) = self.registries.get_mut(&registry) {
            webhooks.remove(&webhook);
            if webhooks.is_empty() {
                self.registries.remove(&registry);
            }
        }
    }

    /// This dispatcher is to work on a shard. All webhooks are told before.
    pub fn assign(&mut self, now: u64, shard: u16, assignment: Assignment) {
        self.revoke(shard);
        let Assignment {
            generation,
            cursor,
            lanes,
            due,
        } = assignment;
        let assigned = Shard::new(generation, cursor, now);
        self.shards.insert(shard, assigned);
        let cursors: Vec<_> = lanes.iter().map(|(webhook, _)| *webhook).collect();
        for (webhook, place) in lanes {
            self.change(webhook, shard, |lane| {
                lane.recorded = Some(place);
                lane.behind = (place < cursor).then_some(place);
            });
            self.call(webhook);
        }
        for (webhook, due) in due {
            self.pending(webhook, shard, due);
        }
        for webhook in cursors {
            self.forget_old(webhook, shard);
        }
    }

    /// Has the cursor of a webhook dropped that was disabled or deleted before that was recorded: nothing would
    /// ever move it, and the log is kept from there on.
    fn forget_old(&mut self, webhook: WebhookId, shard: u16) {
        let Some(endpoint) = self.endpoints.get(&webhook) else {
            if let Some(shard) = self.shards.get_mut(&shard) {
                shard.dropped.insert(webhook);
            }
            return;
        };
        if endpoint.subscription.webhook.status == Status::Disabled {
            self.forget_places(webhook);
        }
    }

    /// Whether this dispatcher works on a shard, as it was assigned then.
    #[must_use]
    pub fn works_on(&self, shard: u16, generation: u64) -> bool {
        let shard = self.shards.get(&shard);
        shard.is_some_and(|shard| shard.generation == generation)
    }

    /// The last event of a shard that was offered; nothing, if the shard is somebody else's.
    #[must_use]
    pub fn head(&self, shard: u16) -> Option<Place> {
        self.shards.get(&shard).map(|shard| shard.head)
    }

    /// The shards that this dispatcher works on.
    #[must_use]
    pub fn shards(&self) -> Vec<u16> {
        self.shards.keys().copied().collect()
    }

    /// This dispatcher ends: nothing is begun any more, and what is known is recorded at once.
    pub const fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Whether something is under way, or still to be recorded. What could not be recorded is not.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.flights.is_empty() || self.shards.values().any(Shard::is_busy)
    }

    /// A shard is somebody else's from now on.
    pub fn revoke(&mut self, shard: u16) {
        let Some(gone) = self.shards.remove(&shard) else {
            return;
        };
        for webhook in gone.lanes {
            self.drop_lane(webhook, shard);
        }
    }

    /// Somebody says that a receiver is well: it is not left alone any longer.
    pub fn relent(&mut self, webhook: WebhookId) {
        if let Some(endpoint) = self.endpoints.get_mut(&webhook) {
            endpoint.breaker = Breaker::default();
            endpoint.rests_until = 0;
        }
        self.call(webhook);
    }

    /// Something of a webhook is due again that the engine did not put off itself: it was asked for, or the
    /// webhook is enabled again.
    pub fn pending(&mut self, webhook: WebhookId, shard: u16, due: u64) {
        self.change(webhook, shard, |lane| {
            lane.again.due = earlier(lane.again.due, Some(due));
        });
        self.call(webhook);
    }

    fn drop_lanes(&mut self, webhook: WebhookId) {
        let endpoint = self.endpoints.get(&webhook);
        let shards: Vec<_> =
            endpoint.map_or_else(Vec::new, |it| it.lanes.keys().copied().collect());
        for shard in shards {
            self.drop_lane(webhook, shard);
        }
    }

    /// Drops the places of a webhook in the log, not what is due again of it.
    fn forget_places(&mut self, webhook: WebhookId) {
        let Some(endpoint) = self.endpoints.get(&webhook) else {
            return;
        };
        let due = |(shard, lane): (&u16, &Lane)| {
            let again = &lane.again;
            let is_due = again.due.is_some() || again.out > 0 || again.asking.is_some();
            is_due.then_some((*shard, again.due.unwrap_or_default()))
        };
        let due: Vec<_> = endpoint.lanes.iter().filter_map(due).collect();
        self.drop_lanes(webhook);
        for (shard, due) in due {
            self.pending(webhook, shard, due);
        }
    }
}
