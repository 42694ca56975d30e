//! What an agent says of itself, and which settings it takes.

use super::*;

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
