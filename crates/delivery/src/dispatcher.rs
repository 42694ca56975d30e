//! The engine: all webhooks of a region, and the shards that this dispatcher works on.
//!
//! Owns who is told when. Inputs (`inputs.rs`, `reading.rs`, `results.rs`) change what is known; [`poll`](Dispatcher::poll) (`drive.rs`)
//! says what is to be done, and [`wake`](Dispatcher::wake) when to poll again. Receivers that have something
//! to do take turns; one that does not is not looked at. Leaves to the metadata what has to survive, to the
//! shell all that takes time.

mod drive;
mod inputs;
mod reading;
mod results;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use meridian_event::RegistryId;
use meridian_event::webhook::{Message, Place, WebhookId};

use crate::dice::Dice;
use crate::effect::Effect;
use crate::endpoint::Endpoint;
use crate::guard::{Guard, stands};
use crate::lane::Lane;
use crate::shard::Shard;
use crate::{Config, Subscription};

/// The engine.
#[derive(Debug)]
pub struct Dispatcher {
    config: Config,
    dice: Dice,
    endpoints: BTreeMap<WebhookId, Endpoint>,
    registries: BTreeMap<RegistryId, BTreeSet<WebhookId>>,
    shards: BTreeMap<u16, Shard>,
    /// Requests that are under way, by ticket.
    flights: BTreeMap<u64, Flight>,
    /// Receivers that may have something to do, in the order of their turns.
    turns: VecDeque<WebhookId>,
    timers: BTreeSet<(u64, WebhookId)>,
    /// Effects that wait for the next poll.
    ready: Vec<Effect>,
    /// Messages that are held, in all lanes.
    held: usize,
    tickets: u64,
    prune_at: u64,
    /// Nothing is begun any more.
    is_leaving: bool,
}

/// How much the engine holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Webhooks.
    pub webhooks: usize,
    /// Webhooks with something to do, in each shard.
    pub lanes: usize,
    /// Messages.
    pub messages: usize,
    /// Requests that are under way.
    pub requests: usize,
    /// Webhooks whose receivers are left alone, or asked whether they are back.
    pub open: usize,
}

/// A request that is under way.
#[derive(Debug)]
struct Flight {
    webhook: WebhookId,
    /// The webhook as it was called.
    to: Arc<Subscription>,
    shard: u16,
    /// Of the shard's assignment when it began: of another one nothing is known here.
    generation: u64,
    message: Arc<Message>,
    /// When it began.
    at: u64,
    /// Attempts that failed before.
    attempts: u8,
    /// Whether it was kept in the metadata.
    was_kept: bool,
}

// === impl Dispatcher ===

impl Dispatcher {
    /// An engine that knows nothing yet. The seed is for chance: the same seed and inputs, the same outputs.
    #[must_use]
    pub const fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            dice: Dice::new(seed),
            endpoints: BTreeMap::new(),
            registries: BTreeMap::new(),
            shards: BTreeMap::new(),
            flights: BTreeMap::new(),
            turns: VecDeque::new(),
            timers: BTreeSet::new(),
            ready: Vec::new(),
            held: 0,
            tickets: 0,
            prune_at: 0,
            is_leaving: false,
        }
    }

    /// How much is held.
    #[must_use]
    pub fn load(&self) -> Load {
        let lanes = || self.endpoints.values().flat_map(|it| it.lanes.values());
        debug_assert_eq!(
            self.held,
            lanes().map(Lane::held).sum::<usize>(),
            "what is held is counted"
        );
        let is_open = |it: &&Endpoint| !it.breaker.is_closed();
        Load {
            webhooks: self.endpoints.len(),
            lanes: lanes().count(),
            messages: self.held,
            requests: self.flights.len(),
            open: self.endpoints.values().filter(is_open).count(),
        }
    }

    /// Gives a receiver a turn.
    fn call(&mut self, webhook: WebhookId) {
        if let Some(endpoint) = self.endpoints.get_mut(&webhook)
            && !endpoint.has_turn
        {
            endpoint.has_turn = true;
            self.turns.push_back(webhook);
        }
    }

    /// Changes a lane, which is made if there is none, and counts what it holds then. Does nothing if the
    /// webhook is unknown, or the shard somebody else's.
    fn change<T>(
        &mut self,
        webhook: WebhookId,
        shard: u16,
        change: impl FnOnce(&mut Lane) -> T,
    ) -> Option<T> {
        let endpoint = self.endpoints.get_mut(&webhook)?;
        let of_shard = self.shards.get_mut(&shard)?;
        of_shard.lanes.insert(webhook);
        let lane = endpoint.lanes.entry(shard).or_default();
        if of_shard.dropped.remove(&webhook) {
            // The metadata still have a cursor of it, whichever: it is replaced, not taken out.
            lane.recorded = Some(Place::default());
        }
        let before = lane.held();
        let result = change(lane);
        self.held = self.held - before + lane.held();
        Some(result)
    }

    /// Forgets a lane.
    fn drop_lane(&mut self, webhook: WebhookId, shard: u16) {
        let endpoint = self.endpoints.get_mut(&webhook);
        let Some(lane) = endpoint.and_then(|it| it.lanes.remove(&shard)) else {
            return;
        };
        self.held -= lane.held();
        if let Some(shard) = self.shards.get_mut(&shard) {
            shard.lanes.remove(&webhook);
            if lane.recorded.is_some() {
                shard.dropped.insert(webhook);
            }
        }
    }

    /// Forgets a lane if nothing is to be remembered of it.
    fn tidy(&mut self, webhook: WebhookId, shard: u16) {
        let endpoint = self.endpoints.get(&webhook);
        let lane = endpoint.and_then(|it| it.lanes.get(&shard));
        if lane.is_some_and(Lane::is_idle) {
            self.drop_lane(webhook, shard);
        }
    }

    /// Whether a webhook may hold `more` messages. Each may hold those of one event, whatever the others hold,
    /// so that none of them has to wait for another one to go on.
    fn has_room(&self, webhook: WebhookId, shard: u16, more: usize) -> bool {
        let Some(endpoint) = self.endpoints.get(&webhook) else {
            return false;
        };
        let queued = endpoint.lanes.get(&shard).map_or(0, Lane::queued);
        let in_window = queued == 0 || queued + more <= self.config.window;
        in_window && self.has_room_in_all(webhook, more) || !stands(Guard::RoomIsLimited)
    }

    fn has_room_in_all(&self, webhook: WebhookId, more: usize) -> bool {
        let holds_nothing = |it: &Endpoint| it.held() == 0;
        self.held + more <= self.config.held_in_all
            || self.endpoints.get(&webhook).is_some_and(holds_nothing)
    }

    const fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}
