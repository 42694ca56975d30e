//! What stands in the way of webhooks, and how loudly it is said.
//!
//! Owns the line between what passes by itself, which is nobody's concern, and what somebody has to look at. Keeps in
//! mind which shards are stopped by the latter.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use meridian_error::{Classify, Code};
use meridian_event::webhook::WebhookId;

/// Shards whose events webhooks are not told of until somebody looks at them.
#[derive(Debug, Default)]
pub(crate) struct Stops(Mutex<BTreeSet<u16>>);

/// What cannot be done, of which shard or webhook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    what: &'static str,
    shard: Option<u16>,
    webhook: Option<WebhookId>,
}

// === impl Stops ===

impl Stops {
    /// A shard cannot be worked on, for this reason.
    pub(crate) fn stop(&self, shard: u16, error: &impl Classify) {
        if is_passing(error) {
            self.go_on(shard);
        } else {
            self.change(|stopped| stopped.insert(shard));
        }
    }

    /// A shard is worked on, or somebody else's.
    pub(crate) fn go_on(&self, shard: u16) {
        self.change(|stopped| stopped.remove(&shard));
    }

    pub(crate) fn count(&self) -> usize {
        self.change(|stopped| stopped.len())
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<u16>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Trouble ===

impl Trouble {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self {
            what,
            shard: None,
            webhook: None,
        }
    }

    pub(crate) const fn of_shard(mut self, shard: u16) -> Self {
        self.shard = Some(shard);
        self
    }

    pub(crate) const fn of_webhook(mut self, webhook: WebhookId) -> Self {
        self.webhook = Some(webhook);
        self
    }

    /// Says it, and why.
    pub(crate) fn tell<E: Classify + 'static>(self, error: &E) {
        let Self {
            what,
            shard,
            webhook,
        } = self;
        let webhook = webhook.map(tracing::field::display);
        let is_passing = is_passing(error);
        let error = meridian_error::chain(error);
        if is_passing {
            tracing::debug!(shard, webhook, error, "{what}");
        } else {
            tracing::warn!(shard, webhook, error, "{what}");
        }
    }
}

/// Whether it goes away by itself: something is not there yet, or busy.
fn is_passing(error: &impl Classify) -> bool {
    matches!(
        error.code(),
        Code::Unavailable | Code::NotFound | Code::DeadlineExceeded | Code::ResourceExhausted
    )
}

#[cfg(test)]
mod tests {
    use meridian_clients::ReadError;

    use super::*;

    #[test]
    fn a_shard_is_stopped_by_what_does_not_pass_until_it_goes_on() {
        let stops = Stops::default();
        stops.stop(3, &ReadError::DeadlineExceeded);
        assert_eq!(stops.count(), 0);
        let reason = "what is stored means nothing".to_owned();
        stops.stop(3, &ReadError::Internal { reason });
        stops.stop(4, &ReadError::Locked);
        assert_eq!(stops.count(), 2);
        stops.go_on(3);
        stops.stop(4, &ReadError::DeadlineExceeded);
        assert_eq!(stops.count(), 0);
    }
}
