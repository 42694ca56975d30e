//! What is fetched, in which pieces and in which order.

use super::*;

#[test]
fn a_body_is_checked_fetched_verified_and_forgotten() {
    let mut fetch = fetch();
    let want = blob(1, 1_000);
    fetch.want(&want, Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    assert_eq!(order.peer, region("eu"));
    deliver(&mut fetch, at(1), &order);
    assert_eq!(finishes(&poll(&mut fetch, at(1))), [want.body]);
    fetch.finished(at(2), want.body, Finished::Stored);
    assert_eq!((fetch.wants(), fetch.transfers()), (0, 0));
    assert_eq!(fetch.wake(at(2)), None);
}

#[test]
fn one_transfer_serves_all_who_want_a_body() {
    let mut fetch = fetch();
    let want = blob(1, 1_000);
    fetch.want(&want, Class::Backlog);
    assert_eq!(orders(&poll(&mut fetch, at(0))).len(), 1);
    fetch.want(&want, Class::Next);
    assert!(fetch.demand(at(1), &want, &[]));
    assert!(fetch.demand(at(1), &want, &[]));
    assert_eq!(orders(&poll(&mut fetch, at(1))).len(), 0);
}

#[test]
fn what_the_state_has_is_not_fetched() {
    let mut fetch = fetch();
    let wants = [blob(1, 10), blob(2, 10), blob(3, 10)];
    for want in &wants {
        fetch.want(want, Class::Backlog);
    }
    let actions = fetch.poll(at(0));
    let [Action::Check { id, bodies }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(bodies.len(), 3, "one question for all");
    let answers = vec![
        (wants[0].body, Known::Here),
        (wants[1].body, absent(false)),
        (wants[2].body, Known::Unplaced),
    ];
    fetch.known(at(1), *id, answers);
    let mut discarded = Vec::new();
    for action in poll(&mut fetch, at(1)) {
        match action {
            Action::Discard { body, .. } => discarded.push(body),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(discarded, wants.map(|want| want.body));
    assert_eq!(fetch.wants(), 0);
}

#[test]
fn what_an_unmerged_event_names_is_fetched_though_the_state_does_not_know_it() {
    let mut fetch = fetch();
    let want = blob(1, 10);
    fetch.prefetch(&want);
    let actions = fetch.poll(at(0));
    let [Action::Check { id, .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    fetch.known(at(1), *id, vec![(want.body, absent(false))]);
    assert_eq!(orders(&poll(&mut fetch, at(1))).len(), 1);
}

#[test]
fn large_bodies_come_in_parallel_ranges() {
    let mut fetch = fetch();
    let mib = 1 << 20;
    fetch.want(&blob(1, 100 * mib), Class::Backlog);
    let orders = orders(&poll(&mut fetch, at(0)));
    assert_eq!(orders.len(), 8);
    let starts: Vec<_> = orders.iter().map(|order| order.parts[0].start).collect();
    assert_eq!(starts, (0..8).map(|n| n * 8 * mib).collect::<Vec<_>>());
    deliver(&mut fetch, at(1), &orders[3]);
    let next = only(&poll(&mut fetch, at(1)));
    assert_eq!(next.parts[0].start, 64 * mib);
}

#[test]
fn a_body_that_is_alone_takes_all_connections() {
    let mib = 1 << 20;
    for (size, ranges) in [(mib, 1), (mib + 1, 2), (8 * mib, 8), (16 * mib, 8)] {
        let mut fetch = fetch();
        fetch.want(&blob(1, size), Class::Backlog);
        let orders = orders(&poll(&mut fetch, at(0)));
        assert_eq!(orders.len(), ranges, "{size}");
        assert_eq!(orders.iter().map(|it| it.parts[0].end).max(), Some(size));
    }
}

#[test]
fn small_bodies_travel_together() {
    let mut fetch = fetch();
    for n in 0..100 {
        fetch.want(&blob(n, 1_000), Class::Backlog);
    }
    fetch.want(&blob(200, 10 << 20), Class::Backlog);
    let orders = orders(&poll(&mut fetch, at(0)));
    let parts: Vec<_> = orders.iter().map(|order| order.parts.len()).collect();
    assert_eq!(parts, [64, 36, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn a_range_that_broke_off_goes_on_at_its_offset_from_another_holder() {
    let mut fetch = fetch();
    fetch.want(&want_of(1, 1, 1_000, &["eu", "asia"]), Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    assert_eq!(order.peer, region("eu"));
    fetch.received(at(1), order.id, 0, 400);
    fetch.ended(at(2), order.id, End::BrokeOff);
    let order = only(&poll(&mut fetch, at(2)));
    assert_eq!((order.parts[0].start, order.parts[0].end), (400, 1_000));
    // A link that carries something is used on; one that carries nothing is not.
    assert_eq!(order.peer, region("eu"));
    fetch.ended(at(3), order.id, End::BrokeOff);
    let order = only(&poll(&mut fetch, at(3)));
    assert_eq!(order.peer, region("asia"));
    assert_eq!(order.parts[0].start, 400);
    deliver(&mut fetch, at(4), &order);
    assert_eq!(finishes(&poll(&mut fetch, at(4))).len(), 1);
}

#[test]
fn what_was_here_before_a_restart_is_not_fetched_again() {
    let mut fetch = fetch();
    let want = blob(1, 1_000);
    fetch.want(&want, Class::Backlog);
    let actions = fetch.poll(at(0));
    let [Action::Check { id, .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    let known = Known::Absent {
        is_wanted: true,
        parts: std::iter::once(0..600).collect(),
    };
    fetch.known(at(0), *id, vec![(want.body, known)]);
    let order = only(&poll(&mut fetch, at(0)));
    assert_eq!((order.parts[0].start, order.parts[0].end), (600, 1_000));
}

#[test]
fn what_a_client_waits_for_goes_before_the_next_batch_and_that_before_the_rest() {
    let mut fetch = fetch_with(FetchConfig {
        transfers: 1,
        background_transfers: 1,
        registry_transfers: 1,
        ranges: 1,
        small_bytes: ByteSize::b(0),
        ..FetchConfig::default()
    });
    fetch.want(&blob(0, 10), Class::Backlog);
    let mut running = only(&poll(&mut fetch, at(0)));
    for n in 1..4 {
        fetch.want(&blob(n, 10), Class::Backlog);
    }
    poll(&mut fetch, at(0));
    fetch.promote(blob(2, 10).body, Class::Next);
    assert!(fetch.demand(at(0), &blob(3, 10), &[]));
    let mut order = Vec::new();
    for _ in 0..3 {
        deliver(&mut fetch, at(1), &running);
        running = only(
            &poll(&mut fetch, at(1))
                .into_iter()
                .filter(|action| matches!(action, Action::Transfer(_)))
                .collect::<Vec<_>>(),
        );
        order.push(running.parts[0].body);
    }
    assert_eq!(order, [3, 2, 1].map(|n| blob(n, 10).body));
}

#[test]
fn some_transfers_are_kept_for_clients_and_for_other_registries() {
    let mut fetch = fetch();
    for n in 0..100 {
        fetch.want(&want_of(1, n, 1 << 20, &["eu"]), Class::Backlog);
    }
    assert_eq!(orders(&poll(&mut fetch, at(0))).len(), 10);
    for n in 0..100 {
        fetch.want(&want_of(2, n, 1 << 20, &["eu"]), Class::Backlog);
    }
    assert_eq!(orders(&poll(&mut fetch, at(0))).len(), 4);
    assert!(fetch.demand(at(0), &want_of(1, 1_000, 1 << 20, &["eu"]), &[]));
    assert_eq!(orders(&poll(&mut fetch, at(0))).len(), 1);
}

#[test]
fn a_manifest_does_not_wait_behind_large_blobs() {
    let mut fetch = fetch();
    for registry in 1..4 {
        for n in 0..2 {
            let large = want_of(registry, 10 * registry + n, 100 << 20, &["eu"]);
            fetch.want(&large, Class::Next);
        }
    }
    assert_eq!(orders(&poll(&mut fetch, at(0))).len(), 14);
    let manifest = Want {
        kind: Kind::Manifest,
        ..blob(1, 500)
    };
    fetch.want(&manifest, Class::Backlog);
    let order = only(&poll(&mut fetch, at(1)));
    assert_eq!(order.parts[0].body, manifest.body);
}

#[test]
fn where_transfers_stall_a_body_comes_in_fewer_ranges() {
    let mut fetch = fetch();
    fetch.want(&blob(1, 100 << 20), Class::Backlog);
    let begun = orders(&poll(&mut fetch, at(0)));
    assert_eq!(begun.len(), 8);
    // One of them carries nothing.
    for order in &begun[1..] {
        fetch.received(at(9_000), order.id, 0, 1 << 20);
    }
    let again = orders(&poll(&mut fetch, at(10_000)));
    assert_eq!(again, []);
    for order in &begun[1..4] {
        deliver(&mut fetch, at(10_001), order);
        let next = orders(&poll(&mut fetch, at(10_001)));
        assert!(next.len() <= 1, "{next:?}");
    }
}
