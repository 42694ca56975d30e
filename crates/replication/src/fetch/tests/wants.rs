//! What is given up, and how much may be wanted.

use super::*;

#[test]
fn what_the_state_wants_no_more_after_a_deletion_is_given_up() {
    let mut fetch = fetch_with(FetchConfig {
        question: 2,
        ..FetchConfig::default()
    });
    let wants: Vec<_> = (0..5).map(|n| blob(n, 1 << 20)).collect();
    for want in &wants {
        fetch.want(want, Class::Backlog);
    }
    assert_eq!(orders(&poll(&mut fetch, at(0))).len(), 5);
    fetch.recheck(registry(1));
    fetch.recheck(registry(2));
    let mut aborted = 0;
    loop {
        let actions = fetch.poll(at(1));
        if actions.is_empty() {
            break;
        }
        for action in actions {
            match action {
                Action::Check { id, bodies } => {
                    let unwanted = |body| (body, absent(false));
                    fetch.known(at(1), id, bodies.into_iter().map(unwanted).collect());
                }
                Action::Abort { .. } => aborted += 1,
                Action::Discard { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((aborted, fetch.wants(), fetch.transfers()), (5, 0, 0));
    assert!(fetch.rechecks.is_empty());
}

#[test]
fn what_a_client_waits_for_is_not_given_up() {
    let mut fetch = fetch();
    let want = blob(1, 1 << 20);
    assert!(fetch.demand(at(0), &want, &[]));
    fetch.recheck(registry(1));
    assert_eq!(orders(&fetch.poll(at(0))).len(), 1);
    assert_eq!(fetch.poll(at(1)), []);
    fetch.release(want.body);
    let actions = fetch.poll(at(2));
    assert!(matches!(actions[..], [Action::Check { .. }]), "{actions:?}");
}

#[test]
fn manifests_are_staged_up_to_a_bound_and_stored_when_their_events_are_merged() {
    let mut fetch = fetch_with(FetchConfig {
        stage_bytes: ByteSize::mib(4),
        ranges: 1,
        ..FetchConfig::default()
    });
    let manifest = |n| Want {
        kind: Kind::Manifest,
        ..blob(n, 3 << 20)
    };
    fetch.prefetch(&manifest(1));
    fetch.prefetch(&manifest(2));
    let order = only(&poll(&mut fetch, at(0)));
    assert_eq!(fetch.staged_bytes(), 3 << 20);
    deliver(&mut fetch, at(1), &order);
    let body = order.parts[0].body;
    let actions = poll(&mut fetch, at(1));
    assert!(matches!(
        actions[..],
        [Action::Finish {
            landing: Landing::Stage,
            ..
        }]
    ));
    fetch.finished(at(2), body, Finished::Stored);
    assert!(fetch.staged_size(&body).is_some());
    fetch.merged(at(3), body, true);
    let actions = poll(&mut fetch, at(3));
    assert!(matches!(
        actions[..],
        [Action::Discard { .. }, Action::Transfer(_)]
    ));
    // The other one is merged before it comes.
    let order = orders(&actions).remove(0);
    fetch.merged(at(4), manifest(2).body, false);
    deliver(&mut fetch, at(5), &order);
    let actions = poll(&mut fetch, at(5));
    assert!(matches!(
        actions[..],
        [Action::Finish {
            landing: Landing::Store,
            ..
        }]
    ));
    fetch.finished(at(6), manifest(2).body, Finished::Stored);
    assert_eq!((fetch.wants(), fetch.staged_bytes()), (0, 0));
}

#[test]
fn what_could_not_be_put_away_is_fetched_again_later() {
    let mut fetch = fetch();
    let want = blob(1, 1_000);
    fetch.want(&want, Class::Backlog);
    let order = only(&poll(&mut fetch, at(0)));
    deliver(&mut fetch, at(1), &order);
    poll(&mut fetch, at(1));
    fetch.finished(at(2), want.body, Finished::Failed);
    assert_eq!(poll(&mut fetch, at(3)), []);
    let order = only(&poll(&mut fetch, at(300)));
    assert_eq!(order.parts[0].start, 0);
}

#[test]
fn one_registry_cannot_fill_the_table() {
    let mut fetch = fetch_with(FetchConfig {
        wants: 1_000,
        ..FetchConfig::default()
    });
    let mut n = 0;
    let mut fill = |fetch: &mut Fetch, registry_number| {
        let before = n;
        while fetch.admits(registry(registry_number)) {
            fetch.want(&want_of(registry_number, n, 10, &["eu"]), Class::Backlog);
            n += 1;
        }
        n - before
    };
    assert_eq!(fill(&mut fetch, 1), 500);
    assert_eq!(fill(&mut fetch, 2), 250);
    assert!(fill(&mut fetch, 3) >= 100);
}

#[test]
fn clients_may_wait_for_so_many_bodies() {
    let mut fetch = fetch_with(FetchConfig {
        demands: 2,
        ..FetchConfig::default()
    });
    assert!(fetch.demand(at(0), &blob(1, 10), &[]));
    assert!(fetch.demand(at(0), &blob(2, 10), &[]));
    assert!(fetch.demand(at(0), &blob(2, 10), &[]));
    assert!(!fetch.demand(at(0), &blob(3, 10), &[]));
    fetch.release(blob(1, 10).body);
    assert!(fetch.demand(at(0), &blob(3, 10), &[]));
}

#[test]
fn a_peer_that_goes_leaves_its_work_to_others() {
    let mut fetch = fetch();
    fetch.want(&want_of(1, 1, 1 << 20, &["eu", "asia"]), Class::Backlog);
    fetch.want(&want_of(1, 2, 1 << 20, &["eu"]), Class::Backlog);
    assert_eq!(orders(&poll(&mut fetch, at(0))).len(), 2);
    fetch.remove_peer(at(1), region("eu"));
    let actions = poll(&mut fetch, at(1));
    assert_eq!(only(&actions).peer, region("asia"));
    let asked = actions.iter().any(|it| matches!(it, Action::Ask { .. }));
    assert!(asked, "{actions:?}");
}

#[test]
fn a_body_without_bytes_needs_no_transfer() {
    let mut fetch = fetch();
    fetch.want(&blob(1, 0), Class::Backlog);
    let actions = poll(&mut fetch, at(0));
    assert!(matches!(actions[..], [Action::Finish { size: 0, .. }]));
}

#[test]
fn what_comes_of_a_transfer_that_was_given_up_counts_for_nothing() {
    let mut fetch = fetch_with(FetchConfig {
        backoff: BackoffConfig {
            first: Duration::from_millis(1),
            most: Duration::from_millis(1),
        },
        ..FetchConfig::default()
    });
    fetch.want(&blob(1, 1_000), Class::Backlog);
    let stalled = only(&poll(&mut fetch, at(0)));
    poll(&mut fetch, at(10_000));
    fetch.received(at(10_000), stalled.id, 0, 1_000);
    fetch.ended(at(10_000), stalled.id, End::Complete);
    let again = only(&poll(&mut fetch, at(10_010)));
    assert_eq!(again.parts[0].start, 0);
}

#[test]
fn a_blob_that_arrived_at_its_origin_is_fetched_before_a_manifest_names_it() {
    let mut fetch = fetch_with(FetchConfig {
        early_grace: Duration::from_secs(2),
        ..FetchConfig::default()
    });
    let want = blob(1, 1 << 20);
    fetch.prefetch(&want);
    let order = only(&poll(&mut fetch, at(0)));
    fetch.merged(at(0), want.body, false);
    fetch.expect(at(0), want.body);
    fetch.recheck(registry(1));
    assert_eq!(fetch.poll(at(1_000)), []);
    // When none has after a while, the state is asked about it as about others.
    fetch.recheck(registry(1));
    let actions = fetch.poll(at(3_000));
    let [Action::Check { id, bodies }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(bodies[..], [want.body]);
    fetch.known(at(3_000), *id, vec![(want.body, absent(true))]);
    // What is all here is stored in a moment.
    deliver(&mut fetch, at(3_000), &order);
    let actions = poll(&mut fetch, at(3_000));
    assert!(
        matches!(actions[..], [Action::Finish { .. }]),
        "{actions:?}"
    );
    fetch.recheck(registry(1));
    assert_eq!(fetch.poll(at(4_000)), []);
}

#[test]
fn what_others_are_to_fetch_is_left_to_them_unless_it_is_begun_or_waited_for() {
    let mut fetch = fetch_with(FetchConfig {
        transfers: 1,
        background_transfers: 1,
        registry_transfers: 1,
        ranges: 1,
        ..FetchConfig::default()
    });
    let [begun, left, ours, waited] = [1, 2, 3, 4].map(|n| Want {
        repository: if n == 3 { "team/ours" } else { "team/app" }
            .parse()
            .unwrap(),
        ..blob(n, 1 << 20)
    });
    for want in [&begun, &left, &ours] {
        fetch.want(want, Class::Backlog);
    }
    assert_eq!(only(&poll(&mut fetch, at(0))).parts[0].body, begun.body);
    assert!(fetch.demand(at(0), &waited, &[]));
    fetch.leave_to_others(|_, repository| repository.as_str() == "team/ours");
    let is_wanted = [&begun, &left, &ours, &waited].map(|it| fetch.entry(&it.body).is_some());
    assert_eq!(is_wanted, [true, false, true, true]);
    let actions = fetch.poll(at(1));
    let is_discarded =
        |action: &Action| matches!(action, Action::Discard { body, .. } if *body == left.body);
    assert!(actions.iter().any(is_discarded), "{actions:?}");
}

#[test]
fn what_a_manifest_names_that_is_on_its_way_is_kept_though_the_state_does_not_want_it_yet() {
    let mut fetch = fetch();
    let (manifest, leaf) = (
        Want {
            kind: Kind::Manifest,
            ..blob(1, 500)
        },
        blob(2, 1 << 20),
    );
    for want in [&manifest, &leaf] {
        fetch.prefetch(want);
    }
    let begun = orders(&poll(&mut fetch, at(0)));
    for want in [&manifest, &leaf] {
        fetch.merged(at(1), want.body, false);
        fetch.expect_with(want.body, manifest.body);
    }
    // Neither after a deletion,
    let asked = |actions: &[Action]| match actions {
        [Action::Check { id, bodies }] => (*id, bodies.clone()),
        _ => panic!("{actions:?}"),
    };
    fetch.recheck(registry(1));
    let (id, bodies) = asked(&fetch.poll(at(1)));
    assert_eq!(bodies.len(), 2);
    let answers = [(leaf.body, absent(false)), (manifest.body, absent(true))];
    fetch.known(at(1), id, answers.into());
    assert_eq!(fetch.wants(), 2);
    // nor when it broke off.
    fetch.ended(at(2), begun[1].id, End::BrokeOff);
    let (id, bodies) = asked(&fetch.poll(at(9_000)));
    assert_eq!(bodies, [leaf.body]);
    fetch.known(at(9_000), id, vec![(leaf.body, absent(false))]);
    let again = only(&poll(&mut fetch, at(9_000)));
    assert_eq!(again.parts[0].body, leaf.body);
    // When the manifest is here, the state knows.
    deliver(&mut fetch, at(9_001), &begun[0]);
    let landed = finishes(&poll(&mut fetch, at(9_001)));
    assert_eq!(landed, [manifest.body]);
    fetch.finished(at(9_002), manifest.body, Finished::Stored);
    fetch.recheck(registry(1));
    let (id, bodies) = asked(&fetch.poll(at(9_003)));
    assert_eq!(bodies, [leaf.body]);
    fetch.known(at(9_003), id, vec![(leaf.body, absent(false))]);
    assert_eq!(fetch.wants(), 0);
}
