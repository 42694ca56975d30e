//! A webhook to create, and what to change of one.

use std::collections::BTreeSet;

use meridian_clock::Region;
use meridian_event::webhook::{
    Action, Callback, CustomHeaders, Format, Scope, ServiceUri, Status, Webhook,
};

/// A webhook to create.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Who is told of what.
    pub webhook: Webhook,
    /// Where.
    pub callback: Callback,
}

/// What to change of a webhook; what is not given stays.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// The region whose dispatcher delivers; nothing, for all of them.
    pub region: Option<Option<Region>>,
    /// Where to.
    pub uri: Option<ServiceUri>,
    /// With which headers: these instead of those that there are.
    pub headers: Option<CustomHeaders>,
    /// Of what.
    pub actions: Option<BTreeSet<Action>>,
    /// Of which repositories and tags.
    pub scope: Option<Scope>,
    /// Whether anything is told.
    pub status: Option<Status>,
    /// In which form.
    pub format: Option<Format>,
    /// A push is told when all of these can serve it.
    pub available_in: Option<BTreeSet<Region>>,
}

// === impl Delta ===

impl Delta {
    /// Whether what it changes is sealed.
    pub(super) const fn is_sealed(&self) -> bool {
        self.uri.is_some() || self.headers.is_some()
    }

    pub(super) fn apply_to_callback(&self, callback: &mut Callback) {
        set(&mut callback.uri, self.uri.as_ref());
        set(&mut callback.headers, self.headers.as_ref());
    }

    /// Applies what is not sealed.
    pub(super) fn apply(&self, webhook: &mut Webhook) {
        set(&mut webhook.region, self.region.as_ref());
        set(&mut webhook.actions, self.actions.as_ref());
        set(&mut webhook.scope, self.scope.as_ref());
        set(&mut webhook.status, self.status.as_ref());
        set(&mut webhook.format, self.format.as_ref());
        set(&mut webhook.available_in, self.available_in.as_ref());
    }
}

fn set<T: Clone>(value: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        value.clone_from(new);
    }
}
