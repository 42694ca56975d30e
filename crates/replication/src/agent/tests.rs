//! An agent and its world in a few lines; what it does with them stands below, by noun.

mod merging;
mod report;
mod wants;

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
