//! When events are proposed, and what becomes of their manifests.

use super::*;

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
