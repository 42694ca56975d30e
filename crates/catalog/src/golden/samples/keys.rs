//! Every kind of key.

use meridian_event::webhook::WebhookId;
use meridian_oci::RepositoryName;
use serde_json::{Value, json};

use super::events::notice;
use super::{digest, long_leaf, name, registry, request, version};
use crate::key;

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The kinds of key that came with other regions, in hexadecimal digits.
pub(in crate::golden) fn later_keys() -> Value {
    let (id, place) = (registry(), name::<RepositoryName>("team/app"));
    json!({
        "claim of a name": hex(&key::claim(id)),
        "wanted manifest": hex(&key::wanted(id, digest(1)).text("team/app")),
        "waiting tag": hex(&key::tags_waiting_for(id, &place).digest(digest(1)).text("v1")),
        "waiting for a child": hex(
            &key::waiting_for_child(id, &place).digest(digest(1)).digest(digest(2)),
        ),
        "waiting for a blob": hex(&key::waiter(id, long_leaf().digest, &place, digest(2))),
        "sweep of waiting tags": hex(&key::waiting_sweeps(id, &place).digest(digest(1))),
        "exposed and untold": hex(&key::exposed(id, &place).digest(digest(1))),
        "recorded and untold": hex(&key::recorded(id, digest(1))),
        "perhaps unneeded": hex(&key::unneeded(id, &place).digest(digest(1))),
        "cursor": hex(&key::cursor(name("us-east"), 15)),
    })
}

/// The kinds of key that came with what regions tell each other, in hexadecimal digits.
pub(in crate::golden) fn notice_keys() -> Value {
    let (id, place) = (registry(), name::<RepositoryName>("team/app"));
    let push = notice().push;
    let waiting = key::pushes_waiting_for(id, &place).digest(digest(1));
    json!({
        "peers": hex(key::PEERS),
        "heartbeat": hex(&key::heard(name("us-east"), 15)),
        "heartbeat to look through": hex(&key::unheard(name("us-east"), 15)),
        "pushes that waited for removed regions": hex(key::REMOVED),
        "shard to tell of": hex(&key::to_tell(15)),
        "copied shard": hex(&key::copied(name("us-east"), 15)),
        "push here": hex(&key::awaited(15, 3).number(7)),
        "push elsewhere": hex(&key::incomplete(name("us-east"), 15, 3).number(7)),
        "push that waits": hex(&waiting.event(push)),
        "manifest with untold pushes": hex(&key::untold(id, &place).digest(digest(1))),
    })
}

/// The kind of key that came with draining, in hexadecimal digits.
pub(in crate::golden) fn drain_keys() -> Value {
    json!({ "drained": hex(key::DRAINED) })
}

/// The kinds of key of tombstones, in hexadecimal digits.
pub(in crate::golden) fn tombstone_keys() -> Value {
    let (id, place) = (registry(), name::<RepositoryName>("team/app"));
    let of_shard = key::tombstones(15);
    let tombstones = of_shard.written_at(version(1));
    let tag = name("v1");
    json!({
        "tombstone of a tag": hex(&tombstones.clone().tag_in(id, &place, &tag)),
        "tombstone of a manifest": hex(&tombstones.manifest_in(id, &place, digest(1))),
        "floor": hex(&key::floor(15)),
        "shard with tombstones to drop": hex(&key::unburied(15)),
        "own birth": hex(key::OWN),
        "joining": hex(key::JOINING),
        "region to be copied": hex(&key::uncopied(name("us-east"))),
        "met region": hex(&key::met(name("us-east"))),
        "removed region": hex(&key::removal(name("ap"), name("us-east"))),
    })
}

/// The kinds of key that came with attributes and the deletion of repositories, in hexadecimal digits.
pub(in crate::golden) fn repository_keys() -> Value {
    let (id, place) = (registry(), name::<RepositoryName>("team/app"));
    json!({
        "repository cell": hex(&key::repository_cell(id, &place)),
        "attributes of a tag": hex(&key::tag_attributes(id, &place).text("v1")),
        "attributes of a manifest": hex(&key::manifest_attributes(id, &place).digest(digest(1))),
        "link that ended": hex(&key::ended(id, digest(1)).text(place.as_str())),
        "locked tag": hex(&key::locked(id, &place).text("lv1")),
        "repository to sweep": hex(&key::covered(id, &place)),
    })
}

/// Keys of webhooks, and of their delivery.
pub(in crate::golden) fn webhook_keys() -> Value {
    let (id, hook) = (registry(), WebhookId::new(version(1)));
    let message = super::webhooks::message_id();
    json!({
        "webhook cell": hex(&key::webhook(id, &name("deploys1"))),
        "live webhook": hex(&key::live_webhook(id, &name("deploys1"))),
        "whereabouts": hex(&key::whereabouts(hook)),
        "changed": hex(key::WEBHOOKS_CHANGED),
        "told": hex(&key::told(15)),
        "lane": hex(&key::lane(15, hook)),
        "undelivered": hex(&key::undelivered(hook, 15, message)),
        "due again": hex(&key::due_again_of(15, hook).number(1_760_000_300_000).message(message)),
        "dropped": hex(&key::dropped(15).number(1_762_592_000_000).webhook(hook).message(message)),
        "failing": hex(&key::failing(hook)),
    })
}

/// Every other kind of key, in hexadecimal digits.
pub(in crate::golden) fn keys() -> Value {
    let (id, place) = (registry(), name::<RepositoryName>("team/app"));
    json!({
        "system": hex(key::SYSTEM),
        "registry name": hex(&key::registry_name("default")),
        "usage": hex(&key::usage(id)),
        "repository": hex(&key::repository(id, &place)),
        "manifest": hex(&key::manifests(id, &place).digest(digest(1))),
        "body": hex(&key::bodies(id, &place).digest(digest(1))),
        "needs": hex(&key::needs(id, &place).digest(digest(1))),
        "tag cell": hex(&key::tag_cell(id, &place, &name("v1"))),
        "tag": hex(&key::tag(id, &place, &name("v1"))),
        "tag of a manifest": hex(&key::tags_of(id, &place).digest(digest(1)).text("v1")),
        "referrer": hex(&key::referrers(id, &place).digest(digest(1)).digest(digest(2))),
        "holder": hex(&key::holders(id, &place).digest(digest(1)).digest(digest(2))),
        "link": hex(&key::links(id, &place).digest(long_leaf().digest)),
        "repository of a blob": hex(&key::repositories_of(id, digest(1)).text("team/app")),
        "blob": hex(&key::blob(id, digest(1))),
        "turn": hex(&key::due(1_760_000_000_000, id, digest(1))),
        "object": hex(&key::object(3, 5)),
        "doomed object": hex(&key::doomed(3, 5)),
        "spent generations": hex(&key::spent(3, 5)),
        "sweep": hex(&key::sweeps(id, &place).digest(digest(1))),
        "request": hex(&key::request(request())),
        "request in order": hex(&key::request_at(version(2))),
        "stream": hex(&key::stream(15)),
        "event": hex(&key::outbox(15, (1 << 63) + 1)),
    })
}
