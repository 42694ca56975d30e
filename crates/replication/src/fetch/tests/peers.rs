//! Peers: their budgets, their lies and their silence.

use super::*;

#[test]
fn a_budget_is_kept_within_a_tenth() {
    let rate = 1_000_000;
    let mut fetch = fetch_with(FetchConfig {
        budget: Some(ByteSize::b(rate)),
        ..FetchConfig::default()
    });
    fetch.want(&blob(1, 100_000_000), Class::Backlog);
    for n in 2..1_000 {
        fetch.want(&blob(n, 5_000), Class::Backlog);
    }
    let mut seconds = [0; 10];
    let mut now = at(0);
    while now.elapsed < Duration::from_secs(10) {
        for order in orders(&poll(&mut fetch, now)) {
            let bytes: u64 = order.parts.iter().map(|part| part.end - part.start).sum();
            seconds[usize::try_from(now.elapsed.as_secs()).unwrap()] += bytes;
            deliver(&mut fetch, now, &order);
        }
        let wake = fetch.wake(now).unwrap();
        assert!(wake > now.elapsed);
        now.elapsed = wake;
    }
    for bytes in seconds {
        assert!((900_000..=1_100_000).contains(&bytes), "{seconds:?}");
    }
}

#[test]
fn a_body_that_is_not_what_it_should_be_comes_from_somebody_else() {
    let mut fetch = fetch();
    let want = want_of(1, 1, 1_000, &["eu", "asia"]);
    fetch.want(&want, Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    deliver(&mut fetch, at(1), &order);
    poll(&mut fetch, at(1));
    fetch.finished(at(2), want.body, Finished::Corrupt);
    let actions = poll(&mut fetch, at(2));
    let [Action::Corrupt { peer, .. }, Action::Transfer(order)] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!((*peer, order.peer), (region("eu"), region("asia")));
    assert_eq!((order.parts[0].start, order.parts[0].end), (0, 1_000));
    assert_eq!(fetch.peers()[&region("eu")].lies, 1);
}

#[test]
fn who_of_several_lied_is_found_out() {
    let mut fetch = fetch();
    let want = want_of(1, 1, 1_000, &["eu", "asia"]);
    fetch.want(&want, Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    fetch.received(at(1), order.id, 0, 400);
    fetch.ended(at(1), order.id, End::BrokeOff);
    let order = only(&poll(&mut fetch, at(1)));
    fetch.ended(at(1), order.id, End::BrokeOff);
    let order = only(&poll(&mut fetch, at(1)));
    assert_eq!(order.peer, region("asia"));
    deliver(&mut fetch, at(1), &order);
    poll(&mut fetch, at(1));
    fetch.finished(at(2), want.body, Finished::Corrupt);
    assert!(
        poll(&mut fetch, at(2))
            .iter()
            .all(|it| !matches!(it, Action::Corrupt { .. }))
    );
    // All of it comes from one of them now.
    let order = only(&poll(&mut fetch, at(1_000)));
    assert_eq!((order.parts[0].start, order.parts[0].end), (0, 1_000));
}

#[test]
fn a_body_that_its_holder_has_no_more_is_looked_for_and_rests_if_nobody_has_it() {
    let mut fetch = fetch();
    let want = blob(1, 1_000);
    fetch.want(&want, Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    fetch.gone(at(1), order.id, 0);
    fetch.ended(at(1), order.id, End::Complete);
    let actions = poll(&mut fetch, at(1));
    let [Action::Ask { peer, bodies }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!((*peer, bodies.len()), (region("asia"), 1));
    fetch.answered(at(2), region("asia"), Some(&BTreeSet::new()));
    assert_eq!(poll(&mut fetch, at(2)), []);
    let entry = fetch.entry(&want.body).unwrap();
    assert_eq!(entry.trouble, Some(Trouble::Missing));
    let until = fetch.rests_until(&want.body).unwrap();
    assert!(until > Duration::from_secs(30) && until <= Duration::from_secs(61));
    assert_eq!(fetch.wake(at(2)), Some(until));
    // A peer that has it says so: it need not be asked.
    fetch.learn_holder(at(3), want.body, region("asia"));
    assert_eq!(only(&poll(&mut fetch, at(3))).peer, region("asia"));
}

#[test]
fn a_client_learns_that_nobody_has_what_it_waits_for() {
    let mut fetch = fetch();
    let want = want_of(1, 1, 10, &[]);
    assert!(fetch.demand(at(0), &want, &[]));
    let asked = fetch.poll(at(0));
    assert_eq!(asked.len(), 2, "both peers at once: {asked:?}");
    fetch.answered(at(1), region("asia"), Some(&BTreeSet::new()));
    assert_eq!(fetch.poll(at(1)), []);
    fetch.answered(at(1), region("eu"), Some(&BTreeSet::new()));
    let absent = Action::Absent {
        body: want.body,
        is_certain: true,
    };
    assert_eq!(fetch.poll(at(1)), [absent]);
}

#[test]
fn who_waits_for_its_turn_on_a_thin_link_is_not_taken_for_stalled() {
    const SIZE: u64 = 1 << 20;
    let mut fetch = fetch();
    let wants: Vec<_> = (0..6)
        .map(|n| want_of(1, n, SIZE, &["eu", "asia"]))
        .collect();
    for want in &wants {
        assert!(fetch.demand(at(0), want, &[]));
    }
    let begun = orders(&poll(&mut fetch, at(0)));
    assert_eq!(begun.len(), wants.len());
    // One after the other gets something, each less often than one alone would be waited for.
    for turn in 1..=8 {
        let now = at(turn * 1_000);
        let order = &begun[0];
        fetch.received(now, order.id, 0, 1_000);
        let aborted = poll(&mut fetch, now);
        assert!(
            aborted.iter().all(|it| !matches!(it, Action::Abort { .. })),
            "{turn}: {aborted:?}"
        );
    }
    // Whoever gets nothing for very long is begun anew, and nobody is blamed.
    fetch.received(at(10_000), begun[0].id, 0, 1_000);
    let actions = poll(&mut fetch, at(10_000));
    let aborts = actions
        .iter()
        .filter(|it| matches!(it, Action::Abort { .. }));
    assert_eq!(aborts.count(), wants.len() - 1, "{actions:?}");
    assert!(!fetch.peers()[&region("eu")].is_open());
    // Where nothing comes at all, it is the peer that says nothing.
    let actions = poll(&mut fetch, at(30_000));
    assert!(actions.iter().any(|it| matches!(it, Action::Abort { .. })));
    assert_eq!(
        fetch.peers()[&region("eu")].failure,
        Some(PeerFailure::Stalled)
    );
}

#[test]
fn each_client_that_waits_has_something_under_way() {
    let config = FetchConfig::default();
    let large = config.range_bytes.as_u64() * 64;
    let mut fetch = fetch();
    let first = want_of(1, 1, large, &["eu"]);
    assert!(fetch.demand(at(0), &first, &[]));
    let mut under_way = orders(&poll(&mut fetch, at(0)));
    assert_eq!(under_way.len(), config.ranges);
    let others: Vec<_> = (2..=8).map(|n| want_of(1, n, large, &["eu"])).collect();
    for want in &others {
        assert!(fetch.demand(at(1), want, &[]));
    }
    // As ranges of the first end, it goes on with fewer.
    let mut now = 2;
    while under_way
        .iter()
        .any(|order| order.parts[0].body == first.body)
        && now < 20
    {
        under_way.extend(orders(&poll(&mut fetch, at(now))));
        let at_it = under_way
            .iter()
            .position(|it| it.parts[0].body == first.body);
        let order = under_way.remove(at_it.unwrap());
        deliver(&mut fetch, at(now), &order);
        now += 1;
    }
    under_way.extend(orders(&poll(&mut fetch, at(now))));
    for want in others.iter().chain([&first]) {
        let count = under_way.iter().filter(|it| it.parts[0].body == want.body);
        assert!(count.count() <= 2, "{under_way:?}");
    }
    let waiting: BTreeSet<_> = under_way.iter().map(|it| it.parts[0].body).collect();
    assert!(others.iter().all(|want| waiting.contains(&want.body)));
}

#[test]
fn what_has_no_room_is_tried_again_and_is_not_taken_for_lost() {
    let mut fetch = fetch();
    let want = blob(1, 1_000);
    fetch.want(&want, Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    fetch.no_room(at(1), order.id, 0);
    fetch.ended(at(1), order.id, End::Complete);
    assert_eq!(poll(&mut fetch, at(1)), []);
    let entry = fetch.entry(&want.body).unwrap();
    assert_eq!(entry.trouble, Some(Trouble::NoRoom));
    let until = fetch.rests_until(&want.body).unwrap();
    assert!(until < Duration::from_secs(10), "{until:?}");
    let again = only(&poll(&mut fetch, at(10_000)));
    assert_eq!(again.peer, region("eu"));
    assert!(!fetch.peers()[&region("eu")].is_open());
}

#[test]
fn a_dead_peer_is_left_alone_and_asked_before_it_is_used_again() {
    let mut fetch = fetch();
    for n in 0..20 {
        fetch.want(&want_of(1, n, 1 << 20, &["eu"]), Class::Backlog);
    }
    for n in 20..25 {
        fetch.want(&want_of(1, n, 1 << 20, &["asia"]), Class::Backlog);
    }
    let begun = orders(&poll(&mut fetch, at(0)));
    assert_eq!(begun.len(), 15);
    let (asia, eu): (Vec<_>, Vec<_>) = begun.into_iter().partition(|it| it.peer == region("asia"));
    for order in &asia {
        deliver(&mut fetch, at(100), order);
    }
    let actions = poll(&mut fetch, at(10_000));
    let aborted = actions
        .iter()
        .filter(|it| matches!(it, Action::Abort { .. }));
    assert_eq!(aborted.count(), eu.len());
    assert!(fetch.peers()[&region("eu")].is_open());
    // The other peer may have it.
    let asked = actions.iter().find_map(|action| match action {
        Action::Ask { peer, bodies } => Some((*peer, bodies.len())),
        _ => None,
    });
    assert_eq!(asked.map(|it| it.0), Some(region("asia")));
    fetch.answered(at(10_100), region("asia"), Some(&BTreeSet::new()));
    poll(&mut fetch, at(10_100));
    assert_eq!(fetch.transfers(), 0);
    // Later it is asked, and it is back.
    let actions = poll(&mut fetch, at(10_300));
    let [Action::Ask { peer, bodies }, ..] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(*peer, region("eu"));
    let held: BTreeSet<_> = bodies.iter().map(|(body, _)| *body).collect();
    fetch.answered(at(10_400), region("eu"), Some(&held));
    assert!(!orders(&poll(&mut fetch, at(11_000))).is_empty());
}

#[test]
fn a_peer_that_asks_for_a_pause_gets_it() {
    let mut fetch = fetch();
    fetch.want(&blob(1, 1_000), Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    fetch.ended(at(1), order.id, End::Busy(Duration::from_secs(3)));
    assert_eq!(poll(&mut fetch, at(2)), []);
    assert_eq!(fetch.wake(at(2)), Some(Duration::from_millis(3_001)));
    assert_eq!(orders(&poll(&mut fetch, at(3_001))).len(), 1);
}

/// A link was cut for so long that nobody is asked again for half a minute.
#[test]
fn a_client_has_what_a_peer_says_that_it_has_however_long_that_is_left_alone() {
    let mut fetch = fetch();
    let want = blob(1, 1_000);
    fetch.want(&want, Class::Backlog);
    let mut now = at(0);
    while fetch.peers()[&region("eu")].rest(now) < Duration::from_secs(20) {
        for action in poll(&mut fetch, now) {
            match action {
                Action::Transfer(order) => fetch.ended(now, order.id, End::BrokeOff),
                Action::Ask { peer, .. } => fetch.answered(now, peer, None),
                _ => {}
            }
        }
        now.elapsed += Duration::from_millis(100);
    }
    assert_eq!(orders(&poll(&mut fetch, now)), []);
    assert!(fetch.demand(now, &want, &[]));
    let actions = poll(&mut fetch, now);
    assert_eq!(only(&actions).peer, region("eu"));
    let is_absent = |action: &Action| matches!(action, Action::Absent { .. });
    assert!(!actions.iter().any(is_absent), "{actions:?}");
}

/// It was looked for before it was pushed there.
#[test]
fn a_client_has_what_a_peer_says_that_it_has_though_it_had_it_not() {
    let mut fetch = fetch();
    fetch.want(&want_of(1, 1, 1_000, &[]), Class::Backlog);
    for action in poll(&mut fetch, at(0)) {
        if let Action::Ask { peer, .. } = action {
            fetch.answered(at(1), peer, Some(&BTreeSet::new()));
        }
    }
    assert_eq!(poll(&mut fetch, at(2)), []);
    assert!(fetch.demand(at(3), &blob(1, 1_000), &[]));
    assert_eq!(only(&poll(&mut fetch, at(3))).peer, region("eu"));
}
