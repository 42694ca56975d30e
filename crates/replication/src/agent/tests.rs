use std::sync::Arc;
use std::time::Duration;

use meridian_clock::Version;
use meridian_event::{Event, EventId, Leaf};
use meridian_oci::{Algorithm, Digest, MediaType, RepositoryName};

use super::*;
use crate::fetch::{End, Finished, Kind, Known, Landing, Order};
use crate::stream::{Arrival, Settled};
use crate::{Action, ImageFacts, ImageState, Page};

const MILLIS: u64 = 1_700_000_000_000;

fn eu() -> Region {
    "eu".parse().unwrap()
}

fn stream() -> StreamId {
    StreamId {
        origin: eu(),
        shard: 3,
    }
}

const fn at(elapsed: u64) -> Now {
    Now {
        elapsed: Duration::from_millis(elapsed),
        millis: MILLIS + elapsed,
    }
}

const fn cursor(seq: u64) -> Cursor {
    Cursor { epoch: 1, seq }
}

fn version(millis: u64) -> Version {
    Version {
        millis,
        counter: 0,
        region: eu(),
    }
}

fn registry() -> RegistryId {
    RegistryId::new(version(1))
}

fn repository() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn leaf(n: u64, size: u64) -> Leaf {
    Leaf {
        digest: Digest::of(Algorithm::Sha256, &n.to_le_bytes()),
        size,
    }
}

fn body(leaf: &Leaf) -> Body {
    Body {
        registry: registry(),
        digest: leaf.digest,
    }
}

/// An image whose manifest is leaf `n` and whose blob is leaf `n` + 1000.
fn put(n: u64) -> Event {
    Event::ManifestPut {
        repository: repository(),
        manifest: leaf(n, 500),
        media_type: "application/vnd.oci.image.manifest.v1+json"
            .parse::<MediaType>()
            .unwrap(),
        tags: Vec::new(),
        blobs: vec![leaf(n + 1_000, 10_000)],
        children: Vec::new(),
        subject: None,
    }
}

fn arrival(seq: u64, event: Event) -> Arrival {
    let envelope = Envelope {
        id: EventId {
            region: eu(),
            epoch: 1,
            shard: 3,
            seq,
        },
        version: version(MILLIS),
        registry: registry(),
        event,
    };
    Arrival::Event {
        envelope: Arc::new(envelope),
        bytes: 300,
    }
}

fn agent_with(change: impl FnOnce(&mut Config)) -> Agent {
    let mut config = Config::default();
    // Scans are told of where they matter.
    config.backfill.every = Duration::from_secs(3_600);
    change(&mut config);
    let mut agent = Agent::new("us".parse().unwrap(), config, 1).unwrap();
    agent.add_peer(eu());
    agent.add_peer("us".parse().unwrap());
    agent.follow(at(0), stream(), cursor(0));
    agent
}

fn agent() -> Agent {
    agent_with(|_| {})
}

/// Polls, and answers what the state says: it is missing nothing, and it has nothing.
fn poll(agent: &mut Agent, now: Now) -> Vec<Action> {
    let mut others = Vec::new();
    loop {
        let actions = agent.poll(now);
        if actions.is_empty() {
            return others;
        }
        for action in actions {
            match action {
                Action::Check { id, bodies } => {
                    let absent = |body| {
                        let known = Known::Absent {
                            is_wanted: true,
                            parts: Vec::new(),
                        };
                        (body, known)
                    };
                    agent.known(now, id, bodies.into_iter().map(absent).collect());
                }
                Action::Scan { .. } => {
                    let end = Page {
                        found: Vec::new(),
                        through: None,
                    };
                    agent.scanned(now, Some(&end));
                    others.push(action);
                }
                other => others.push(other),
            }
        }
    }
}

fn orders(actions: &[Action]) -> Vec<Order> {
    let order = |action: &Action| match action {
        Action::Transfer(order) => Some(order.clone()),
        _ => None,
    };
    actions.iter().filter_map(order).collect()
}

/// The ticket of the proposal, the sequence numbers of its events, and what it carries.
fn proposal(actions: &[Action]) -> Option<(u64, Vec<u64>, Vec<Body>)> {
    let proposal = |action: &Action| match action {
        Action::Propose {
            ticket,
            events,
            bodies,
            ..
        } => {
            let seqs = events.iter().map(|it| it.id.seq).collect();
            Some((*ticket, seqs, bodies.clone()))
        }
        _ => None,
    };
    actions.iter().find_map(proposal)
}

fn deliver(agent: &mut Agent, now: Now, order: &Order) {
    for (n, part) in order.parts.iter().enumerate() {
        agent.received(now, order.id, n, part.end - part.start);
    }
    agent.ended(now, order.id, End::Complete);
}

/// Puts away all that is complete. Says where to.
fn finish(agent: &mut Agent, now: Now, actions: &[Action]) -> Vec<(Body, Landing)> {
    let finish = |action: &Action| match action {
        Action::Finish { body, landing, .. } => Some((*body, *landing)),
        _ => None,
    };
    let finished: Vec<_> = actions.iter().filter_map(finish).collect();
    for (body, _) in &finished {
        agent.finished(now, *body, Finished::Stored);
    }
    finished
}

#[test]
fn bodies_are_fetched_before_their_event_is_merged_and_the_manifest_goes_along() {
    let mut agent = agent();
    agent.offer(at(0), stream(), arrival(1, put(1)));
    let actions = poll(&mut agent, at(0));
    assert_eq!(
        proposal(&actions),
        None,
        "it waits a moment for the manifest"
    );
    let orders = orders(&actions);
    assert_eq!(orders.len(), 1);
    let kinds: Vec<_> = orders[0].parts.iter().map(|part| part.size).collect();
    assert_eq!(kinds, [500, 10_000], "the manifest first");
    deliver(&mut agent, at(10), &orders[0]);
    let actions = poll(&mut agent, at(10));
    let landed = finish(&mut agent, at(11), &actions);
    let (manifest, blob) = (leaf(1, 500), leaf(1_001, 10_000));
    assert_eq!(landed.len(), 2);
    assert!(landed.contains(&(body(&manifest), Landing::Stage)));
    assert!(landed.contains(&(body(&blob), Landing::Store)));
    let (ticket, seqs, bodies) = proposal(&poll(&mut agent, at(11))).unwrap();
    assert_eq!((seqs, bodies), (vec![1], vec![body(&manifest)]));
    agent.settled(at(15), stream(), ticket, Settled::Applied(cursor(1)));
    let actions = poll(&mut agent, at(15));
    let [
        Action::Discard {
            body: discarded, ..
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}");
    };
    assert_eq!(*discarded, body(&manifest));
    assert_eq!(agent.load(), Load::default());
}

#[test]
fn merging_waits_for_no_body() {
    let mut agent = agent();
    agent.offer(at(0), stream(), arrival(1, put(1)));
    let order = orders(&poll(&mut agent, at(0))).remove(0);
    assert_eq!(agent.wake(at(0)), Some(Duration::from_millis(50)));
    let (ticket, seqs, bodies) = proposal(&poll(&mut agent, at(50))).unwrap();
    assert_eq!((seqs, bodies), (vec![1], Vec::new()));
    agent.settled(at(55), stream(), ticket, Settled::Applied(cursor(1)));
    // What is merged and not here stays wanted, and goes where it belongs by itself.
    assert_eq!(agent.load().wants, 2);
    deliver(&mut agent, at(60), &order);
    let actions = poll(&mut agent, at(60));
    let landed = finish(&mut agent, at(61), &actions);
    assert!(landed.contains(&(body(&leaf(1, 500)), Landing::Store)));
    assert_eq!(agent.load().wants, 0);
}

#[test]
fn a_manifest_that_comes_while_its_event_is_proposed_is_stored_by_itself() {
    let mut agent = agent();
    agent.offer(at(0), stream(), arrival(1, put(1)));
    let order = orders(&poll(&mut agent, at(0))).remove(0);
    let (ticket, ..) = proposal(&poll(&mut agent, at(50))).unwrap();
    deliver(&mut agent, at(51), &order);
    let actions = poll(&mut agent, at(51));
    finish(&mut agent, at(52), &actions);
    agent.settled(at(55), stream(), ticket, Settled::Applied(cursor(1)));
    let manifest = body(&leaf(1, 500));
    assert_eq!(poll(&mut agent, at(55)), [Action::Store { body: manifest }]);
    agent.finished(at(56), manifest, Finished::Stored);
    assert_eq!(agent.load(), Load::default());
}

#[test]
fn without_a_wait_events_are_proposed_as_they_come() {
    let mut agent = agent_with(|config| config.stream.body_wait = Duration::ZERO);
    agent.offer(at(0), stream(), arrival(1, put(1)));
    assert!(proposal(&poll(&mut agent, at(0))).is_some());
}

#[test]
fn events_without_manifests_wait_for_nothing() {
    let mut agent = agent();
    let created = Event::RegistryCreated { name: "a".into() };
    agent.offer(at(0), stream(), arrival(1, created));
    agent.offer(at(0), stream(), arrival(2, put(1)));
    let (_, seqs, _) = proposal(&poll(&mut agent, at(0))).unwrap();
    assert_eq!(seqs, [1]);
}

#[test]
fn a_carried_manifest_of_a_lost_proposal_is_carried_again() {
    let mut agent = agent();
    agent.offer(at(0), stream(), arrival(1, put(1)));
    let order = orders(&poll(&mut agent, at(0))).remove(0);
    deliver(&mut agent, at(1), &order);
    let actions = poll(&mut agent, at(1));
    finish(&mut agent, at(1), &actions);
    let (ticket, _, bodies) = proposal(&poll(&mut agent, at(1))).unwrap();
    assert_eq!(bodies.len(), 1);
    agent.settled(at(2), stream(), ticket, Settled::Unknown);
    let (_, _, bodies) = proposal(&poll(&mut agent, at(1_000))).unwrap();
    assert_eq!(bodies.len(), 1);
}

#[test]
fn what_another_agent_merged_is_stored_from_here() {
    let mut agent = agent();
    agent.offer(at(0), stream(), arrival(1, put(1)));
    let order = orders(&poll(&mut agent, at(0))).remove(0);
    deliver(&mut agent, at(1), &order);
    let actions = poll(&mut agent, at(1));
    finish(&mut agent, at(1), &actions);
    agent.learn_cursor(at(2), stream(), cursor(1));
    let manifest = body(&leaf(1, 500));
    assert_eq!(poll(&mut agent, at(2)), [Action::Store { body: manifest }]);
}

#[test]
fn a_merged_deletion_has_the_state_asked_what_is_wanted_still() {
    let mut agent = agent_with(|config| config.stream.body_wait = Duration::ZERO);
    agent.offer(at(0), stream(), arrival(1, put(1)));
    let deleted = Event::ManifestDeleted {
        repository: repository(),
        digest: leaf(1, 500).digest,
    };
    agent.offer(at(0), stream(), arrival(2, deleted));
    let (ticket, ..) = proposal(&poll(&mut agent, at(0))).unwrap();
    agent.settled(at(1), stream(), ticket, Settled::Applied(cursor(2)));
    let actions = agent.poll(at(1));
    let [Action::Check { id, bodies }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(bodies.len(), 2);
    let unwanted = |body: &Body| {
        let known = Known::Absent {
            is_wanted: false,
            parts: Vec::new(),
        };
        (*body, known)
    };
    agent.known(at(2), *id, bodies.iter().map(unwanted).collect());
    assert_eq!(agent.load().wants, 0);
    assert!(poll(&mut agent, at(2)).contains(&Action::Abort {
        transfer: crate::TransferId(1)
    }));
}

#[test]
fn what_was_given_up_before_a_manifest_came_is_searched_in_the_state() {
    let mut agent = agent_with(|config| config.stream.body_wait = Duration::ZERO);
    let deleted = Event::ManifestDeleted {
        repository: repository(),
        digest: leaf(9, 500).digest,
    };
    for (seq, event) in (1..).zip([put(1), put(2), deleted]) {
        agent.offer(at(0), stream(), arrival(seq, event));
    }
    let actions = poll(&mut agent, at(0));
    let order = orders(&actions).remove(0);
    let (ticket, ..) = proposal(&actions).unwrap();
    agent.settled(at(1), stream(), ticket, Settled::Applied(cursor(3)));
    let [kept, gone] = [1, 2].map(|n| body(&leaf(n, 500)));
    let [kept_blob, gone_blob] = [1_001, 1_002].map(|n| body(&leaf(n, 10_000)));
    let mut asked = Vec::new();
    for now in [at(1), at(1_100)] {
        for action in agent.poll(now) {
            if let Action::Check { id, bodies } = action {
                asked.extend(bodies.iter().copied());
                // The state knows what a manifest names when that is here.
                let is_wanted = |body: &Body| *body == kept;
                let known = |body: &Body| Known::Absent {
                    is_wanted: is_wanted(body),
                    parts: Vec::new(),
                };
                let answers = bodies.iter().map(|body| (*body, known(body)));
                agent.known(now, id, answers.collect());
            }
        }
    }
    asked.sort();
    asked.dedup();
    let mut expected = [kept, gone, kept_blob, gone_blob];
    expected.sort();
    assert_eq!(asked, expected);
    assert!(agent.wanted(&kept_blob).is_some());
    assert!(agent.wanted(&gone_blob).is_none());
    deliver(&mut agent, at(1_200), &order);
    let actions = poll(&mut agent, at(1_200));
    finish(&mut agent, at(1_200), &actions);
    let later = poll(&mut agent, at(2_500));
    let scans = |action: &Action| matches!(action, Action::Scan { .. });
    assert!(later.iter().any(scans), "{later:?}");
}

#[test]
fn what_did_not_fit_is_searched_in_the_state_soon() {
    let mut agent = agent_with(|config| {
        config.fetch.wants = 16;
        config.stream.body_wait = Duration::ZERO;
    });
    poll(&mut agent, at(0));
    for n in 1..=40 {
        agent.offer(at(1), stream(), arrival(n, put(n)));
    }
    let actions = poll(&mut agent, at(1));
    let (ticket, seqs, _) = proposal(&actions).unwrap();
    assert_eq!(seqs.len(), 40, "merging needs no room");
    let mut running = orders(&actions);
    assert!(agent.load().wants <= 10, "{:?}", agent.load());
    agent.settled(at(2), stream(), ticket, Settled::Applied(cursor(40)));
    let mut now = 2;
    while agent.load().wants > 0 {
        now += 1;
        for order in running {
            deliver(&mut agent, at(now), &order);
        }
        let actions = poll(&mut agent, at(now));
        finish(&mut agent, at(now), &actions);
        running = orders(&actions);
        assert!(now < 100, "{:?}", agent.load());
    }
    let is_scan = |action: &Action| matches!(action, Action::Scan { after: None, .. });
    assert!(!poll(&mut agent, at(1_001)).iter().any(is_scan));
    assert!(poll(&mut agent, at(1_002)).iter().any(is_scan));
}

#[test]
fn what_a_manifest_needs_that_a_search_has_found_is_searched_for_soon() {
    let mut agent = agent();
    poll(&mut agent, at(0));
    agent.search(at(1));
    let actions = agent.poll(at(1_001));
    assert!(matches!(actions[..], [Action::Scan { .. }]), "{actions:?}");
    let manifest = leaf(1, 500);
    let want = Want {
        body: body(&manifest),
        kind: Kind::Manifest,
        size: manifest.size,
        repository: repository(),
        holders: vec![eu()],
    };
    let page = Page {
        found: vec![want],
        through: None,
    };
    agent.scanned(at(1_002), Some(&page));
    let orders = orders(&poll(&mut agent, at(1_002)));
    let is_scan = |action: &Action| matches!(action, Action::Scan { after: None, .. });
    assert!(poll(&mut agent, at(2_002)).iter().any(is_scan), "once more");
    deliver(&mut agent, at(3_000), &orders[0]);
    let actions = poll(&mut agent, at(3_000));
    assert_eq!(finish(&mut agent, at(3_010), &actions).len(), 1);
    assert!(!poll(&mut agent, at(4_009)).iter().any(is_scan));
    assert!(poll(&mut agent, at(4_010)).iter().any(is_scan));
}

#[test]
fn a_stream_that_another_agent_consumes_leaves_nothing_behind() {
    let mut agent = agent();
    agent.offer(at(0), stream(), arrival(1, put(1)));
    agent.offer(at(0), stream(), arrival(3, put(3)));
    agent.unfollow(stream());
    let actions = agent.poll(at(1));
    let checks = actions.iter().filter_map(|action| match action {
        Action::Check { id, bodies } => Some((*id, bodies.clone())),
        _ => None,
    });
    for (id, bodies) in checks {
        let unwanted = |body| {
            let known = Known::Absent {
                is_wanted: false,
                parts: Vec::new(),
            };
            (body, known)
        };
        agent.known(at(2), id, bodies.into_iter().map(unwanted).collect());
    }
    assert_eq!(agent.load(), Load::default());
    assert_eq!(agent.room(stream()), crate::Room::default());
}

#[test]
fn alarms_are_told_once_and_so_is_their_end() {
    let mut agent = agent();
    agent.offer(at(0), stream(), Arrival::Undecodable);
    let reports = |actions: &[Action]| {
        let is_report = |action: &&Action| matches!(action, Action::Report { .. });
        actions.iter().filter(is_report).count()
    };
    assert_eq!(reports(&poll(&mut agent, at(0))), 1);
    assert_eq!(reports(&poll(&mut agent, at(1))), 0);
    agent.retry(stream());
    assert_eq!(reports(&poll(&mut agent, at(2))), 1);
    assert_eq!(reports(&poll(&mut agent, at(3))), 0);
}

#[test]
fn the_status_says_how_far_streams_registries_and_images_are() {
    let mut agent = agent_with(|config| config.stream.body_wait = Duration::ZERO);
    agent.learn_head(at(0), stream(), cursor(7));
    agent.offer(at(0), stream(), arrival(1, put(1)));
    let first = poll(&mut agent, at(0));
    let order = orders(&first).remove(0);
    let status = agent.streams(at(4_000))[0];
    assert_eq!(
        (status.cursor, status.behind, status.held),
        (cursor(0), 7, 1)
    );
    assert_eq!(status.age, Some(Duration::from_secs(4)));
    let row = agent.registries(at(4_000))[0];
    assert_eq!((row.registry, row.origin), (registry(), Some(eu())));
    assert_eq!((row.events, row.bodies, row.bytes), (1, 2, 10_500));
    let missing = [leaf(1, 500), leaf(1_001, 10_000)];
    let facts = |is_merged, missing| ImageFacts {
        registry: registry(),
        is_merged,
        bytes: 10_500,
        missing,
    };
    assert_eq!(agent.image(&facts(false, &[])), ImageState::Pending);
    let (ticket, ..) = proposal(&first).unwrap();
    agent.settled(at(4_000), stream(), ticket, Settled::Applied(cursor(1)));
    let copying = |here| ImageState::Copying { here, of: 10_500 };
    assert_eq!(agent.image(&facts(true, &missing)), copying(0));
    agent.received(at(4_100), order.id, 0, 500);
    agent.received(at(4_100), order.id, 1, 4_000);
    assert_eq!(agent.image(&facts(true, &missing)), copying(4_500));
    assert_eq!(agent.image(&facts(true, &[])), ImageState::Complete);
    agent.gone(at(4_200), order.id, 1);
    agent.ended(at(4_200), order.id, End::Complete);
    let failed = ImageState::Failed(crate::Trouble::Missing);
    assert_eq!(agent.image(&facts(true, &missing[1..])), failed);
    let peer = agent.peers(at(4_300))[0];
    assert!(!peer.is_left_alone && peer.bytes_per_second > 0.0);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let mut config = Config::default();
    config.fetch.transfers = 0;
    let faults = Agent::new(eu(), config, 1).unwrap_err();
    assert!(faults[0].starts_with("fetch.transfers"), "{faults:?}");
}
