//! What is asked of webhooks.

use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_event::webhook::{
    Assignment, DuePage, MessageId, StoredWebhook, Undelivered, WebhookId, WebhookName,
};

use super::Result;
use crate::access::{read, suffixes};
use crate::key;
use crate::row::{Changed, Failing, Lane, Told, WebhookCell};
use crate::{CatalogError, Read};

/// The webhooks that a registry has, by name.
pub fn webhooks<S: Read>(store: &S, registry: RegistryId) -> Result<Vec<StoredWebhook>, S> {
    live(store, &key::live_webhooks(registry))
}

/// The webhooks that there are.
pub fn all_webhooks<S: Read>(store: &S) -> Result<Vec<StoredWebhook>, S> {
    live(store, key::LIVE_WEBHOOKS)
}

fn live<S: Read>(store: &S, prefix: &[u8]) -> Result<Vec<StoredWebhook>, S> {
    let damaged = || CatalogError::Damaged("name of a webhook");
    let mut webhooks = Vec::new();
    for suffix in suffixes(store, prefix, &[], usize::MAX)? {
        let rest = [&prefix[key::LIVE_WEBHOOKS.len()..], &suffix].concat();
        let (registry, name) = key::take_registry(&rest).ok_or_else(damaged)?;
        let name: WebhookName = key::parse(name).ok_or_else(damaged)?;
        webhooks.extend(webhook(store, registry, &name)?);
    }
    Ok(webhooks)
}

/// When a webhook was created, changed or deleted last, as this region's entries count.
pub fn webhooks_changed<S: Read>(store: &S) -> Result<Option<Version>, S> {
    let changed = read::<Changed, S>(store, key::WEBHOOKS_CHANGED)?;
    Ok(changed.map(|changed| changed.version))
}

/// A webhook of that name.
pub fn webhook<S: Read>(
    store: &S,
    registry: RegistryId,
    name: &WebhookName,
) -> Result<Option<StoredWebhook>, S> {
    let cell = read::<WebhookCell, S>(store, &key::webhook(registry, name))?;
    let Some(cell) = cell else {
        return Ok(None);
    };
    let Some(registration) = cell.registration else {
        return Ok(None);
    };
    let failing = read::<Failing, S>(store, &key::failing(registration.id))?;
    Ok(Some(StoredWebhook {
        registry,
        version: cell.version,
        registration,
        failing_since: failing.map(|failing| failing.since),
    }))
}

/// How far a shard is told. Nothing, before a dispatcher took it over.
pub fn assignment<S: Read>(store: &S, shard: u16) -> Result<Option<Assignment>, S> {
    let Some(told) = read::<Told, S>(store, &key::told(shard))? else {
        return Ok(None);
    };
    let damaged = || CatalogError::Damaged("cursor of a webhook");
    let mut lanes = Vec::new();
    for suffix in suffixes(store, &key::lanes(shard), &[], usize::MAX)? {
        let (webhook, _) = key::take_webhook(&suffix).ok_or_else(damaged)?;
        let lane = read::<Lane, S>(store, &key::lane(shard, webhook))?.ok_or_else(damaged)?;
        lanes.push((webhook, lane.settled));
    }
    let mut due = Vec::new();
    let prefix = key::due_again(shard);
    let mut after = Vec::new();
    // From the first of one webhook to the first of the next.
    while let Some(suffix) = suffixes(store, &prefix, &after, 1)?.pop() {
        let (webhook, rest) = key::take_webhook(&suffix).ok_or_else(damaged)?;
        let (millis, _) = key::take_u64(rest).ok_or_else(damaged)?;
        due.push((webhook, millis));
        let last = key::due_again_of(shard, webhook).number(u64::MAX);
        after = last[prefix.len()..].to_vec();
        after.extend([u8::MAX; 17]);
    }
    Ok(Some(Assignment {
        generation: told.generation,
        cursor: told.cursor,
        lanes,
        due,
    }))
}

/// What of a webhook and a shard is due until then, the earliest first.
pub fn due<S: Read>(
    store: &S,
    webhook: WebhookId,
    shard: u16,
    until: u64,
    limit: usize,
) -> Result<DuePage, S> {
    let damaged = || CatalogError::Damaged("what is due again");
    let mut page = DuePage::default();
    let prefix = key::due_again_of(shard, webhook);
    for suffix in suffixes(store, &prefix, &[], limit.saturating_add(1))? {
        let (millis, message) = key::parse_due_again(&suffix).ok_or_else(damaged)?;
        if millis > until || page.rows.len() == limit {
            page.next = Some(millis);
            break;
        }
        let key = key::undelivered(webhook, shard, message);
        page.rows.push(read(store, &key)?.ok_or_else(damaged)?);
    }
    Ok(page)
}

/// What of a webhook was not delivered, at most `limit`, from after one of them on.
pub fn undelivered<S: Read>(
    store: &S,
    webhook: WebhookId,
    after: Option<(u16, MessageId)>,
    limit: usize,
) -> Result<Vec<Undelivered>, S> {
    let damaged = || CatalogError::Damaged("what was not delivered");
    let prefix = key::undelivered_of(webhook);
    let after = after.map_or_else(Vec::new, |(shard, message)| {
        key::undelivered(webhook, shard, message)[prefix.len()..].to_vec()
    });
    let mut rows = Vec::new();
    for suffix in suffixes(store, &prefix, &after, limit)? {
        let (shard, message) = key::parse_undelivered(&suffix).ok_or_else(damaged)?;
        let row = read(store, &key::undelivered(webhook, shard, message))?;
        rows.push(row.ok_or_else(damaged)?);
    }
    Ok(rows)
}

/// Whether anything of a shard was to be kept until then at most.
pub fn is_prunable<S: Read>(store: &S, shard: u16, until: u64) -> Result<bool, S> {
    let damaged = || CatalogError::Damaged("what was not delivered");
    let first = suffixes(store, &key::dropped(shard), &[], 1)?.pop();
    let moment = first.map(|suffix| key::parse_dropped(&suffix).ok_or_else(damaged));
    Ok(moment
        .transpose()?
        .is_some_and(|(moment, ..)| moment <= until))
}
