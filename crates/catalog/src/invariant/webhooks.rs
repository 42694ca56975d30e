//! Webhooks, and what is kept of their delivery: rows that say the same thing twice agree.

use super::Findings;
use super::census::Census;

pub(super) fn check(census: &Census, findings: &mut Findings) {
    let hooks = &census.webhooks;
    for ((registry, name), cell) in &hooks.cells {
        let place = (*registry, name.clone());
        let is_live = cell.registration.is_some();
        findings.demand(
            "a webhook that is there is listed, and no other",
            hooks.live.contains(&place) == is_live,
            &(&place, cell),
        );
        let Some(registration) = &cell.registration else {
            continue;
        };
        let at = hooks.whereabouts.get(&registration.id);
        findings.demand(
            "a webhook is found by its id",
            at.is_some_and(|at| (at.registry, at.name.clone()) == place),
            &(&place, at),
        );
        findings.demand(
            "a webhook is called what its name says",
            registration.webhook.name == *name,
            &(&place, registration),
        );
        findings.demand(
            "a webhook is told of nothing older than itself",
            registration.since >= registration.id.version() && registration.since <= cell.version,
            &(&place, registration),
        );
    }
    findings.demand(
        "every name that is listed stands for something",
        hooks
            .live
            .iter()
            .all(|place| hooks.cells.contains_key(place)),
        &hooks.live,
    );
    for (id, at) in &hooks.whereabouts {
        let cell = hooks.cells.get(&(at.registry, at.name.clone()));
        let registration = cell.and_then(|cell| cell.registration.as_ref());
        findings.demand(
            "who is found by an id has it",
            registration.is_some_and(|registration| registration.id == *id),
            &(id, at),
        );
    }
    findings.demand(
        "a change of webhooks is noted",
        hooks.changed.is_some() || hooks.cells.is_empty(),
        &hooks.cells.len(),
    );
    for (webhook, failing) in &hooks.failing {
        findings.demand(
            "who fails is there",
            hooks.whereabouts.contains_key(webhook),
            &(webhook, failing),
        );
    }
    for (shard, webhook) in hooks.lanes.keys() {
        findings.demand(
            "who is behind is told of a shard that somebody took",
            hooks.told.contains_key(shard),
            &(shard, webhook),
        );
    }
    for ((webhook, shard, message), row) in &hooks.undelivered {
        findings.demand(
            "what was not delivered is where its key says",
            row.webhook == *webhook
                && row.message.id == *message
                && row.message.position.shard == *shard,
            &(webhook, shard, message),
        );
        let is_due = row.due.is_none_or(|due| {
            let key = (*shard, *webhook, due, *message);
            hooks.due.contains(&key)
        });
        let dropped = (*shard, row.until, *webhook, *message);
        findings.demand(
            "what was not delivered is found by its moments",
            is_due && hooks.dropped.contains(&dropped),
            &(webhook, message),
        );
    }
    let undelivered = |webhook, shard, message| hooks.undelivered.get(&(webhook, shard, message));
    for (shard, webhook, due, message) in &hooks.due {
        let row = undelivered(*webhook, *shard, *message);
        findings.demand(
            "what is due again was not delivered",
            row.is_some_and(|row| row.due == Some(*due)),
            &(webhook, message),
        );
    }
    for (shard, until, webhook, message) in &hooks.dropped {
        let row = undelivered(*webhook, *shard, *message);
        findings.demand(
            "what is dropped was not delivered",
            row.is_some_and(|row| row.until == *until),
            &(webhook, message),
        );
    }
}
