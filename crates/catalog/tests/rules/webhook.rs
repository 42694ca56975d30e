//! Webhooks: what a name stands for, and how far each is told.

use meridian_catalog::{Command, Deliver, NewWebhook, Refusal, Reply, query};
use meridian_clock::Version;
use meridian_event::webhook::{
    Action, Change, DisableReason, Format, Message, MessageId, Place, Record, Scope, Sealed,
    Status, StoredWebhook, Undelivered, Webhook, WebhookId, WebhookName,
};
use meridian_event::{Event, EventId, shard_of};

use crate::peer::{Peer, merge};
use crate::stage::{SETTINGS, Stage, region, registry, repository};

fn name(text: &str) -> WebhookName {
    text.parse().unwrap()
}

fn webhook(text: &str, status: Status) -> Webhook {
    Webhook {
        name: name(text),
        region: None,
        actions: [Action::Push].into(),
        scope: Scope::default(),
        status,
        format: Format::Acr,
        available_in: [].into(),
    }
}

fn new(text: &str, expected: Option<Version>) -> NewWebhook {
    NewWebhook {
        registry: registry(),
        webhook: webhook(text, Status::Enabled),
        sealed: Sealed(vec![1]),
        expected,
        most: 2,
    }
}

fn put(stage: &mut Stage, new: NewWebhook) -> Reply {
    stage.now += 10;
    stage.say(Command::PutWebhook(Box::new(new)))
}

fn delete(stage: &mut Stage, text: &str) -> Reply {
    stage.now += 10;
    stage.say(Command::DeleteWebhook {
        registry: registry(),
        name: name(text),
    })
}

fn stored(stage: &Stage, text: &str) -> Option<StoredWebhook> {
    query::webhook(&stage.store, stage.id(), &name(text)).unwrap()
}

fn created(stage: &mut Stage, text: &str) -> WebhookId {
    assert!(matches!(put(stage, new(text, None)), Reply::Done { .. }));
    stored(stage, text).unwrap().registration.id
}

fn refused(refusal: Refusal) -> Reply {
    Reply::Refused(refusal)
}

#[test]
fn a_webhook_is_created_changed_as_it_was_read_and_deleted() {
    let mut stage = Stage::new(SETTINGS);
    let id = created(&mut stage, "deploys");
    let one = stored(&stage, "deploys").unwrap();
    assert_eq!(one.registration.since, id.version());
    assert_eq!(
        put(&mut stage, new("deploys", None)),
        refused(Refusal::WebhookExists)
    );
    let changed = query::webhooks_changed(&stage.store).unwrap();
    // What is as it is makes no event.
    assert_eq!(
        put(&mut stage, new("deploys", Some(one.version))),
        Reply::Nothing
    );
    let mut other = new("deploys", Some(one.version));
    other.webhook.scope = "team/*:*".parse().unwrap();
    assert!(matches!(put(&mut stage, other.clone()), Reply::Done { .. }));
    assert!(query::webhooks_changed(&stage.store).unwrap() > changed);
    assert_eq!(put(&mut stage, other), refused(Refusal::WebhookChanged));
    let two = stored(&stage, "deploys").unwrap();
    assert_eq!(
        (two.registration.id, two.registration.since),
        (id, id.version())
    );
    assert!(matches!(delete(&mut stage, "deploys"), Reply::Done { .. }));
    assert_eq!(stored(&stage, "deploys"), None);
    let gone = refused(Refusal::WebhookUnknown);
    assert_eq!(delete(&mut stage, "deploys"), gone);
    assert_eq!(put(&mut stage, new("deploys", Some(two.version))), gone);
    assert_ne!(created(&mut stage, "deploys"), id);
}

#[test]
fn a_registry_has_as_many_as_it_may() {
    let mut stage = Stage::new(SETTINGS);
    created(&mut stage, "first");
    created(&mut stage, "second");
    let too_many = refused(Refusal::TooManyWebhooks { most: 2 });
    assert_eq!(put(&mut stage, new("third", None)), too_many);
    delete(&mut stage, "first");
    created(&mut stage, "third");
    let all = query::webhooks(&stage.store, stage.id()).unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|it| it.registration.webhook.name.as_str())
        .collect();
    assert_eq!(names, ["second", "third"]);
    assert_eq!(query::all_webhooks(&stage.store).unwrap(), all);
}

#[test]
fn one_that_is_enabled_again_is_told_of_nothing_that_happened_meanwhile() {
    let mut stage = Stage::new(SETTINGS);
    created(&mut stage, "deploys");
    let set = |stage: &mut Stage, status| {
        let mut new = new("deploys", stored(stage, "deploys").map(|it| it.version));
        new.webhook.status = status;
        put(stage, new);
        stored(stage, "deploys").unwrap().registration.since
    };
    let begin = stored(&stage, "deploys").unwrap().registration.since;
    assert_eq!(set(&mut stage, Status::Disabled), begin);
    let since = set(&mut stage, Status::Enabled);
    assert!(since > begin);
    assert_eq!(stored(&stage, "deploys").unwrap().version, since);
}

#[test]
fn of_two_regions_that_set_one_the_later_wins_and_a_copy_of_before_changes_nothing() {
    let mut stage = Stage::new(SETTINGS);
    let mut peer = Peer::of(&stage, "us");
    created(&mut stage, "deploys");
    let here = stored(&stage, "deploys").unwrap();
    let found = query::copied_webhooks(&stage.store, None, 10).unwrap();
    peer.now = stage.now + 50;
    let mut theirs = here.registration;
    theirs.id = WebhookId::new(Version {
        millis: peer.now,
        ..peer_version()
    });
    theirs.since = theirs.id.version();
    let set = |registration| Event::WebhookSet {
        name: name("deploys"),
        registration,
    };
    let event = peer.says(set(Some(Box::new(theirs.clone()))));
    stage.now += 100;
    stage.say(merge(event));
    assert_eq!(stored(&stage, "deploys").unwrap().registration, theirs);
    assert_eq!(stage.say(Command::MergeFound(found)), Reply::Nothing);
    let event = peer.says(set(None));
    stage.say(merge(event));
    assert_eq!(stored(&stage, "deploys"), None);
    assert_eq!(query::all_webhooks(&stage.store).unwrap(), []);
}

fn peer_version() -> Version {
    Version {
        millis: 0,
        counter: 0,
        region: "us".parse().unwrap(),
    }
}

fn take(stage: &mut Stage) -> u64 {
    match stage.say(Command::Deliver(Deliver::Take { shard: 3 })) {
        Reply::Taken { generation } => generation,
        reply => panic!("{reply:?}"),
    }
}

fn message(number: u8) -> MessageId {
    MessageId::new([number; 16])
}

fn row(webhook: WebhookId, number: u8, due: Option<u64>, until: u64) -> Change {
    let message = Message {
        id: message(number),
        action: Action::Push,
        position: EventId {
            region: region(),
            epoch: 1,
            shard: 3,
            seq: u64::from(number),
        },
        at: 0,
        repository: Some("a".parse().unwrap()),
        webhook: None,
        tag: None,
        digest: None,
        size: None,
        media_type: None,
        push: None,
        regions: Vec::new(),
    };
    Change::Put(Box::new(Undelivered {
        webhook,
        message,
        attempts: 1,
        due,
        until,
    }))
}

fn record(generation: u64, number: u64, seq: u64) -> Record {
    Record {
        shard: 3,
        generation,
        number,
        cursor: at(seq),
        lanes: Vec::new(),
        rows: Vec::new(),
        failing: Vec::new(),
    }
}

const fn at(seq: u64) -> Place {
    Place { epoch: 1, seq }
}

fn keep(stage: &mut Stage, record: Record) -> Reply {
    stage.say(Command::Deliver(Deliver::Record(Box::new(record))))
}

#[test]
fn a_shard_begins_where_the_first_webhook_does() {
    let mut stage = Stage::new(SETTINGS);
    assert_eq!(query::assignment(&stage.store, 3).unwrap(), None);
    take(&mut stage);
    let assignment = query::assignment(&stage.store, 3).unwrap().unwrap();
    assert_eq!((assignment.generation, assignment.cursor), (1, at(0)));
    created(&mut stage, "deploys");
    // One that nobody had taken yet, though somebody is to be told.
    let reply = stage.say(Command::Deliver(Deliver::Take { shard: 4 }));
    assert_eq!(reply, Reply::Taken { generation: 1 });
    let assignment = query::assignment(&stage.store, 4).unwrap().unwrap();
    assert_eq!(assignment.cursor, Place::default());
}

#[test]
fn only_who_took_a_shard_last_says_how_far_it_is_told() {
    let mut stage = Stage::new(SETTINGS);
    let id = created(&mut stage, "deploys");
    let first = take(&mut stage);
    let mut one = record(first, 1, 5);
    one.lanes = vec![(id, Some(at(2)))];
    one.rows = vec![row(id, 2, Some(500), 900), row(id, 1, Some(700), 900)];
    assert!(matches!(keep(&mut stage, one.clone()), Reply::Done { .. }));
    // Nobody knows whether it was kept: it is said again, and late once more.
    assert_eq!(keep(&mut stage, one.clone()), Reply::Nothing);
    let mut next = record(first, 2, 6);
    next.lanes = vec![(id, None)];
    assert!(matches!(keep(&mut stage, next), Reply::Done { .. }));
    assert_eq!(keep(&mut stage, one), Reply::Nothing);
    let assignment = query::assignment(&stage.store, 3).unwrap().unwrap();
    assert_eq!((assignment.cursor, assignment.lanes), (at(6), Vec::new()));
    let mut back = record(first, 3, 6);
    back.lanes = vec![(id, Some(at(2)))];
    assert!(matches!(keep(&mut stage, back), Reply::Done { .. }));
    let second = take(&mut stage);
    assert_eq!(
        keep(&mut stage, record(first, 4, 9)),
        refused(Refusal::Superseded)
    );
    let assignment = query::assignment(&stage.store, 3).unwrap().unwrap();
    assert_eq!((assignment.generation, assignment.cursor), (second, at(6)));
    assert_eq!(assignment.lanes, [(id, at(2))]);
    assert_eq!(assignment.due, [(id, 500)]);
    let mut two = record(second, 1, 9);
    two.lanes = vec![(id, None)];
    keep(&mut stage, two);
    let assignment = query::assignment(&stage.store, 3).unwrap().unwrap();
    assert_eq!((assignment.lanes, assignment.cursor), (Vec::new(), at(9)));
}

#[test]
fn events_stay_in_the_outbox_until_the_last_webhook_is_told_of_them() {
    let mut stage = Stage::new(SETTINGS);
    let id = created(&mut stage, "deploys");
    for number in 1..=5 {
        stage.upload("a", number);
    }
    let shard = shard_of(stage.id(), Some(&repository("a")));
    let left = |stage: &mut Stage| {
        let through = vec![(shard, 5)];
        stage.say(Command::Acknowledge { epoch: 1, through });
        let rows = query::outbox(&stage.store, shard, 0, 100).unwrap();
        let seqs = rows.iter().map(|row| row.envelope.id.seq);
        seqs.collect::<Vec<_>>()
    };
    stage.say(Command::Deliver(Deliver::Take { shard }));
    assert_eq!(left(&mut stage), [1, 2, 3, 4, 5]);
    let mut one = record(1, 1, 4);
    one.shard = shard;
    one.lanes = vec![(id, Some(at(2)))];
    keep(&mut stage, one.clone());
    assert_eq!(left(&mut stage), [3, 4, 5]);
    one.number = 2;
    one.lanes = vec![(id, None)];
    keep(&mut stage, one);
    assert_eq!(left(&mut stage), [5]);
}

#[test]
fn what_was_not_delivered_is_due_in_its_order_until_it_is_or_is_dropped() {
    let mut stage = Stage::new(SETTINGS);
    let id = created(&mut stage, "deploys");
    let generation = take(&mut stage);
    let mut one = record(generation, 1, 5);
    one.rows = vec![
        row(id, 1, Some(300), 900),
        row(id, 2, Some(100), 800),
        row(id, 3, None, 700),
    ];
    keep(&mut stage, one);
    let due = |stage: &Stage, until, limit| {
        let page = query::due_again(&stage.store, id, 3, until, limit).unwrap();
        let ids: Vec<_> = page.rows.iter().map(|row| row.message.id).collect();
        (ids, page.next)
    };
    assert_eq!(due(&stage, 200, 5), (vec![message(2)], Some(300)));
    assert_eq!(due(&stage, 400, 1), (vec![message(2)], Some(300)));
    assert_eq!(due(&stage, 400, 2), (vec![message(2), message(1)], None));
    // A dead letter is not due, and may be asked for.
    let retry = |stage: &mut Stage, number| {
        stage.say(Command::Deliver(Deliver::Retry {
            webhook: id,
            messages: vec![(3, message(number))],
            due: 50,
        }))
    };
    assert!(matches!(
        retry(&mut stage, 3),
        Reply::Collected { objects: 1, .. }
    ));
    assert_eq!(retry(&mut stage, 9), Reply::Nothing);
    assert_eq!(due(&stage, 60, 5), (vec![message(3)], Some(100)));
    let mut two = record(generation, 2, 5);
    two.rows = vec![
        Change::Remove {
            webhook: id,
            message: message(3),
        },
        row(id, 2, Some(600), 800),
    ];
    keep(&mut stage, two);
    assert_eq!(due(&stage, 700, 5), (vec![message(1), message(2)], None));
    let prune =
        |stage: &mut Stage, until| stage.say(Command::Deliver(Deliver::Prune { shard: 3, until }));
    assert_eq!(prune(&mut stage, 799), Reply::Nothing);
    assert!(matches!(
        prune(&mut stage, 800),
        Reply::Collected { objects: 1, .. }
    ));
    let left = query::undelivered(&stage.store, id, None, 10).unwrap();
    assert_eq!(left.len(), 1);
    let after = (3, left[0].message.id);
    assert_eq!(
        query::undelivered(&stage.store, id, Some(after), 10).unwrap(),
        []
    );
}

#[test]
fn nothing_is_kept_of_a_webhook_that_is_gone() {
    let mut stage = Stage::new(SETTINGS);
    let id = created(&mut stage, "deploys");
    let generation = take(&mut stage);
    let mut one = record(generation, 1, 1);
    one.failing = vec![(id, Some(7))];
    keep(&mut stage, one);
    assert_eq!(stored(&stage, "deploys").unwrap().failing_since, Some(7));
    delete(&mut stage, "deploys");
    let mut two = record(generation, 2, 2);
    two.failing = vec![(id, Some(7))];
    two.rows = vec![row(id, 1, Some(300), 900)];
    two.lanes = vec![(id, Some(at(1)))];
    keep(&mut stage, two);
    let assignment = query::assignment(&stage.store, 3).unwrap().unwrap();
    assert_eq!((assignment.lanes, assignment.due), (Vec::new(), Vec::new()));
    assert_eq!(query::undelivered(&stage.store, id, None, 10).unwrap(), []);
}

#[test]
fn one_whose_receiver_failed_is_disabled_unless_it_had_success_since() {
    let mut stage = Stage::new(SETTINGS);
    let id = created(&mut stage, "deploys");
    let generation = take(&mut stage);
    let mut number = 0;
    let mut failing = |stage: &mut Stage, since| {
        number += 1;
        let mut one = record(generation, number, 1);
        one.failing = vec![(id, since)];
        keep(stage, one)
    };
    let since = stored(&stage, "deploys").unwrap().registration.since;
    let disable = |stage: &mut Stage, reason| {
        stage.now += 10;
        stage.say(Command::Deliver(Deliver::Disable {
            webhook: id,
            since,
            reason,
        }))
    };
    let reason = DisableReason::Failing { since: 7 };
    assert_eq!(
        disable(&mut stage, reason),
        refused(Refusal::WebhookChanged)
    );
    failing(&mut stage, Some(9));
    assert_eq!(
        disable(&mut stage, reason),
        refused(Refusal::WebhookChanged)
    );
    failing(&mut stage, Some(7));
    // Another dispatcher saw it fail only later.
    failing(&mut stage, Some(8));
    let Reply::Done { version } = disable(&mut stage, reason) else {
        panic!("it is not disabled");
    };
    let it = stored(&stage, "deploys").unwrap();
    assert_eq!(it.registration.webhook.status, Status::Disabled);
    let disabled = it.registration.disabled.unwrap();
    assert_eq!((disabled.at, disabled.reason), (version, reason));
    assert_eq!(it.failing_since, None);
    assert_eq!(disable(&mut stage, DisableReason::Gone), Reply::Nothing);
    // Whoever enables it again says that this is over: what is said of before counts no more.
    put(&mut stage, new("deploys", Some(version)));
    assert_eq!(
        disable(&mut stage, DisableReason::Gone),
        refused(Refusal::WebhookChanged)
    );
    assert_eq!(
        stored(&stage, "deploys").unwrap().registration.disabled,
        None
    );
}
