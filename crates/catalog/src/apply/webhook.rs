//! Webhooks: what they are, in all regions.
//!
//! Keeps invariant 11: what a name stands for is a register, in which the highest version wins, a deletion too;
//! one that is deleted and created again is another webhook. What is told to them stands in `delivery.rs`.

use meridian_clock::Version;
use meridian_event::webhook::{
    DisableReason, Disabled, Registration, Status, WebhookId, WebhookName,
};
use meridian_event::{Event, RegistryId};
use meridian_oci::RegistryName;

use super::guard::{self, Guard};
use super::turn::Turn;
use super::{Result, meet, outbox, refuse};
use crate::key;
use crate::row::{Changed, Failing, WebhookCell, Whereabouts};
use crate::{NewWebhook, Refusal, Reply, Write};

/// Creates a webhook, or changes it as it was when it was read.
pub(super) fn put<S: Write>(turn: &mut Turn<'_, S>, new: &NewWebhook) -> Result<Reply, S> {
    if let Some(refusal) = meet::hindrance(turn)? {
        return refuse::<S>(refusal);
    }
    let Some(registry) = turn.registry(&new.registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let name = &new.webhook.name;
    let cell = turn.read::<WebhookCell>(&key::webhook(registry, name))?;
    let version = cell.as_ref().map(|cell| cell.version);
    let old = cell.and_then(|cell| cell.registration);
    match (&old, new.expected) {
        (Some(_), None) => return refuse::<S>(Refusal::WebhookExists),
        (None, Some(_)) => return refuse::<S>(Refusal::WebhookUnknown),
        (Some(_), expected) if expected != version => return refuse::<S>(Refusal::WebhookChanged),
        (None, None) => {
            let most = usize::try_from(new.most).unwrap_or(usize::MAX);
            let there = turn.suffixes(&key::live_webhooks(registry), most)?;
            if there.len() >= most {
                let most = u64::from(new.most);
                return refuse::<S>(Refusal::TooManyWebhooks { most });
            }
        }
        (Some(_), Some(_)) => {}
    }
    let registration = registered(turn.version, new, old.as_ref());
    if old.as_ref() == Some(&registration) {
        return Ok(Reply::Nothing);
    }
    set(turn, registry, name, Some(registration))
}

/// What a webhook is from now on. It is told of nothing that happened while it was disabled.
fn registered(now: Version, new: &NewWebhook, old: Option<&Registration>) -> Registration {
    let is_enabled = new.webhook.status == Status::Enabled;
    let was_enabled = |old: &&Registration| old.webhook.status == Status::Enabled;
    let since = old.filter(|old| was_enabled(old) || !is_enabled);
    Registration {
        id: old.map_or_else(|| WebhookId::new(now), |old| old.id),
        since: since.map_or(now, |old| old.since),
        webhook: new.webhook.clone(),
        sealed: new.sealed.clone(),
        disabled: old.and_then(|old| old.disabled).filter(|_| !is_enabled),
    }
}

/// Deletes a webhook.
pub(super) fn delete<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: &RegistryName,
    name: &WebhookName,
) -> Result<Reply, S> {
    let Some(registry) = turn.registry(registry)? else {
        return refuse::<S>(Refusal::RegistryUnknown);
    };
    let cell = turn.read::<WebhookCell>(&key::webhook(registry, name))?;
    if cell.and_then(|cell| cell.registration).is_none() {
        return refuse::<S>(Refusal::WebhookUnknown);
    }
    set(turn, registry, name, None)
}

/// Disables a webhook whose receiver failed, unless it has had success since, or is enabled again.
pub(super) fn disable<S: Write>(
    turn: &mut Turn<'_, S>,
    webhook: WebhookId,
    since: Version,
    reason: DisableReason,
) -> Result<Reply, S> {
    let Some(at) = turn.read::<Whereabouts>(&key::whereabouts(webhook))? else {
        return refuse::<S>(Refusal::WebhookUnknown);
    };
    let cell = turn.read::<WebhookCell>(&key::webhook(at.registry, &at.name))?;
    let Some(mut registration) = cell.and_then(|cell| cell.registration) else {
        return refuse::<S>(Refusal::WebhookUnknown);
    };
    if registration.webhook.status == Status::Disabled {
        return Ok(Reply::Nothing);
    }
    if registration.since != since {
        return refuse::<S>(Refusal::WebhookChanged);
    }
    if let DisableReason::Failing { since } = reason {
        let failing = turn.read::<Failing>(&key::failing(webhook))?;
        if failing.is_none_or(|failing| failing.since > since) {
            return refuse::<S>(Refusal::WebhookChanged);
        }
    }
    registration.webhook.status = Status::Disabled;
    registration.disabled = Some(Disabled {
        at: turn.version,
        reason,
    });
    set(turn, at.registry, &at.name, Some(registration))
}

fn set<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    name: &WebhookName,
    registration: Option<Registration>,
) -> Result<Reply, S> {
    join(turn, registry, name, turn.version, registration.clone())?;
    let event = Event::WebhookSet {
        name: name.clone(),
        registration: registration.map(Box::new),
    };
    outbox::emit(turn, registry, event)
}

/// Joins what a name was made to stand for.
pub(super) fn join<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    name: &WebhookName,
    version: Version,
    registration: Option<Registration>,
) -> Result<(), S> {
    let cell_key = key::webhook(registry, name);
    let old = turn.read::<WebhookCell>(&cell_key)?;
    let is_old = old.as_ref().is_some_and(|old| version <= old.version);
    if is_old && guard::stands(Guard::WebhookIsARegister) {
        return Ok(());
    }
    let old = old.and_then(|cell| cell.registration);
    let (was, is) = (
        old.as_ref().map(|old| old.id),
        registration.as_ref().map(|new| new.id),
    );
    if let Some(was) = was.filter(|_| was != is) {
        turn.remove(&key::whereabouts(was))?;
    }
    // What failed says nothing of another webhook, nor of one that was disabled or is called elsewhere.
    let is_as_before = matches!((&old, &registration), (Some(old), Some(new))
        if old.id == new.id && old.sealed == new.sealed && old.webhook.status == new.webhook.status);
    if let Some(was) = was.filter(|_| !is_as_before) {
        let failing = key::failing(was);
        if turn.exists(&failing)? {
            turn.remove(&failing)?;
        }
    }
    if let Some(is) = is.filter(|_| was != is) {
        let name = name.clone();
        turn.put(&key::whereabouts(is), &Whereabouts { registry, name })?;
    }
    let live = key::live_webhook(registry, name);
    match (was, is) {
        (None, Some(_)) => turn.put_bytes(&live, &[])?,
        (Some(_), None) => turn.remove(&live)?,
        _ => {}
    }
    let cell = WebhookCell {
        version,
        registration,
    };
    turn.put(&cell_key, &cell)?;
    // Of this entry: what another region did is news here now, however old it is there.
    let changed = Changed {
        version: turn.version,
    };
    turn.put(key::WEBHOOKS_CHANGED, &changed)
}
