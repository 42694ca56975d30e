//! What the state is asked, and searched for.

use super::*;

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
    for moment in [at(1), at(1_100)] {
        for action in agent.poll(moment) {
            if let Action::Check { id, bodies } = action {
                asked.extend(bodies.iter().copied());
                // The state knows what a manifest names when that is here.
                let is_wanted = |body: &Body| *body == kept;
                let known = |body: &Body| Known::Absent {
                    is_wanted: is_wanted(body),
                    parts: Vec::new(),
                };
                let answers = bodies.iter().map(|body| (*body, known(body)));
                agent.known(moment, id, answers.collect());
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
