//! A fetch table and its world in a few lines; what it does with them stands below, by noun.

mod order;
mod peers;
mod wants;

use std::collections::BTreeSet;

use bytesize::ByteSize;
use meridian_clock::Version;
use meridian_oci::{Algorithm, Digest};

use super::*;
use crate::BackoffConfig;

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn registry(n: u64) -> RegistryId {
    RegistryId::new(Version {
        millis: n,
        counter: 0,
        region: region("eu"),
    })
}

const fn at(millis: u64) -> Now {
    Now {
        elapsed: Duration::from_millis(millis),
        millis,
    }
}

fn want_of(registry_number: u64, n: u64, size: u64, holders: &[&str]) -> Want {
    Want {
        body: Body {
            registry: registry(registry_number),
            digest: Digest::of(Algorithm::Sha256, &n.to_le_bytes()),
        },
        kind: Kind::Blob,
        size,
        repository: "team/app".parse().unwrap(),
        holders: holders.iter().map(|name| region(name)).collect(),
    }
}

fn blob(n: u64, size: u64) -> Want {
    want_of(1, n, size, &["eu"])
}

/// A table with peers `eu` and `asia`.
fn fetch_with(config: FetchConfig) -> Fetch {
    let mut fetch = Fetch::new(config, 1);
    fetch.add_peer(region("eu"));
    fetch.add_peer(region("asia"));
    fetch
}

fn fetch() -> Fetch {
    fetch_with(FetchConfig::default())
}

/// Polls, and answers that nothing is here. Returns what else is to be done.
fn poll(fetch: &mut Fetch, now: Now) -> Vec<Action> {
    let mut others = Vec::new();
    loop {
        let actions = fetch.poll(now);
        if actions.is_empty() {
            return others;
        }
        for action in actions {
            match action {
                Action::Check { id, bodies } => {
                    let absent = |body| (body, absent(true));
                    fetch.known(now, id, bodies.into_iter().map(absent).collect());
                }
                other => others.push(other),
            }
        }
    }
}

const fn absent(is_wanted: bool) -> Known {
    Known::Absent {
        is_wanted,
        parts: Vec::new(),
    }
}

fn orders(actions: &[Action]) -> Vec<Order> {
    let order = |action: &Action| match action {
        Action::Transfer(order) => Some(order.clone()),
        _ => None,
    };
    actions.iter().filter_map(order).collect()
}

fn only(actions: &[Action]) -> Order {
    let orders = orders(actions);
    assert_eq!(orders.len(), 1, "{actions:?}");
    orders.into_iter().next().unwrap()
}

/// Delivers all of an order.
fn deliver(fetch: &mut Fetch, now: Now, order: &Order) {
    for (n, part) in order.parts.iter().enumerate() {
        fetch.received(now, order.id, n, part.end - part.start);
    }
    fetch.ended(now, order.id, End::Complete);
}

fn finishes(actions: &[Action]) -> Vec<Body> {
    let finish = |action: &Action| match action {
        Action::Finish { body, .. } => Some(*body),
        _ => None,
    };
    actions.iter().filter_map(finish).collect()
}
