use meridian_clock::{Region, Version};
use meridian_event::{Event, EventId, RegistryId};

use super::*;

const MILLIS: u64 = 1_700_000_000_000;

fn eu() -> Region {
    "eu".parse().unwrap()
}

fn id() -> StreamId {
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

const fn cursor(epoch: u64, seq: u64) -> Cursor {
    Cursor { epoch, seq }
}

fn envelope_at(epoch: u64, seq: u64, millis: u64) -> Envelope {
    let version = Version {
        millis,
        counter: u32::try_from(seq % 1_000).unwrap(),
        region: eu(),
    };
    Envelope {
        id: EventId {
            region: eu(),
            epoch,
            shard: 3,
            seq,
        },
        version,
        registry: RegistryId::new(version),
        event: Event::RegistryCreated { name: "a".into() },
    }
}

fn event(epoch: u64, seq: u64) -> Arrival {
    arrival(envelope_at(epoch, seq, MILLIS))
}

fn arrival(envelope: Envelope) -> Arrival {
    Arrival::Event {
        envelope: Arc::new(envelope),
        bytes: 100,
    }
}

fn stream() -> Stream {
    Stream::new(id(), cursor(1, 10), StreamConfig::default(), at(0))
}

fn dice() -> Dice {
    Dice::new(1)
}

fn seqs(events: &[Arc<Envelope>]) -> Vec<u64> {
    events.iter().map(|envelope| envelope.id.seq).collect()
}

/// Proposes all that is ready.
fn propose(stream: &mut Stream, now: Now) -> (u64, Vec<u64>) {
    let ready = stream.ready(now);
    let ticket = u64::try_from(now.elapsed.as_nanos()).unwrap();
    let events = stream.propose(now, ready, ticket);
    (ticket, seqs(&events))
}

#[test]
fn what_is_proposed_continues_the_cursor() {
    let mut stream = stream();
    for seq in [12, 11, 14, 9, 11] {
        stream.offer(at(1), event(1, seq));
    }
    let (ticket, proposed) = propose(&mut stream, at(2));
    assert_eq!(proposed, [11, 12]);
    assert_eq!(stream.ready(at(2)), 0, "one proposal at a time");
    let settled = Settled::Applied(cursor(1, 12));
    let merged = stream.settle(at(3), ticket, settled, &mut dice());
    assert_eq!(seqs(&merged), [11, 12]);
    assert_eq!(stream.cursor(), cursor(1, 12));
    assert_eq!(stream.ready(at(3)), 0, "13 is missing");
}

#[test]
fn records_are_known_that_were_here_before() {
    let mut stream = stream();
    assert_eq!(stream.offer(at(1), event(1, 10)), Offered::Known);
    assert_eq!(stream.offer(at(1), event(1, 12)), Offered::Taken);
    assert_eq!(stream.offer(at(1), event(1, 12)), Offered::Known);
    assert_eq!(stream.offer(at(1), event(0, 999)), Offered::Known);
    assert_eq!(stream.condition(at(1)), Condition::Following);
}

#[test]
fn batches_are_bounded_in_events_and_in_bytes() {
    let config = StreamConfig {
        batch_events: 3,
        batch_bytes: bytesize::ByteSize::b(250),
        ..StreamConfig::default()
    };
    let mut stream = Stream::new(id(), cursor(1, 0), config, at(0));
    for seq in 1..10 {
        stream.offer(at(1), event(1, seq));
    }
    assert_eq!(stream.ready(at(1)), 2);
    let config = StreamConfig {
        batch_bytes: bytesize::ByteSize::b(1),
        ..config
    };
    stream.config = config;
    assert_eq!(stream.ready(at(1)), 1, "one event goes, however large");
    stream.config.batch_bytes = bytesize::ByteSize::mib(1);
    assert_eq!(stream.ready(at(1)), 3);
}

#[test]
fn a_full_window_takes_no_more_until_it_is_merged() {
    let config = StreamConfig {
        window_events: 4,
        ..StreamConfig::default()
    };
    let mut stream = Stream::new(id(), cursor(1, 0), config, at(0));
    for seq in 1..5 {
        assert_eq!(stream.offer(at(1), event(1, seq)), Offered::Taken);
    }
    assert_eq!(stream.room().events, 0);
    assert_eq!(stream.offer(at(1), event(1, 5)), Offered::Full);
    let (ticket, _) = propose(&mut stream, at(2));
    stream.settle(at(3), ticket, Settled::Applied(cursor(1, 4)), &mut dice());
    assert_eq!(stream.offer(at(3), event(1, 5)), Offered::Taken);
}

#[test]
fn a_gap_waits_for_a_late_duplicate_and_then_asks_the_origin() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 14));
    assert_eq!(stream.refill(at(1_999)), None);
    assert_eq!(stream.wake(at(1)), Some(Duration::from_secs(2)));
    let refill = stream.refill(at(2_000)).unwrap();
    assert_eq!((refill.epoch, refill.from, refill.to), (1, 11, 13));
    assert_eq!(stream.refill(at(2_001)), None, "one question at a time");
    let gap = Condition::Gap { from: 11, to: 13 };
    assert_eq!(stream.condition(at(2_001)), gap);
    let part = Refilled::Events(vec![event(1, 11), event(1, 12)]);
    let new = stream.refilled(at(2_100), part, &mut dice());
    assert_eq!(new, [cursor(1, 11), cursor(1, 12)]);
    let (ticket, proposed) = propose(&mut stream, at(2_100));
    assert_eq!(proposed, [11, 12]);
    stream.settle(
        at(2_200),
        ticket,
        Settled::Applied(cursor(1, 12)),
        &mut dice(),
    );
    // The rest has waited long enough.
    let refill = stream.refill(at(2_200)).unwrap();
    assert_eq!((refill.from, refill.to), (13, 13));
    // A late duplicate closes it first.
    stream.offer(at(2_201), event(1, 13));
    assert_eq!(propose(&mut stream, at(2_201)).1, [13, 14]);
}

#[test]
fn what_the_event_log_does_not_deliver_comes_from_the_origin() {
    let mut stream = stream();
    stream.learn_head(at(1_000), cursor(1, 3_000));
    assert_eq!(stream.refill(at(5_999)), None);
    let refill = stream.refill(at(6_000)).unwrap();
    assert_eq!((refill.from, refill.to), (11, 1_010));
    let events = Refilled::Events((11..=1_010).map(|seq| event(1, seq)).collect());
    stream.refilled(at(6_100), events, &mut dice());
    stream.adopt(at(6_200), cursor(1, 1_010));
    // It goes on so without another wait, as long as the log is silent.
    assert_eq!(stream.refill(at(6_200)).unwrap().from, 1_011);
    stream.refilled(at(6_300), Refilled::Failed, &mut dice());
    stream.offer(at(6_400), event(1, 5));
    assert_eq!(stream.refill(at(11_399)), None, "the log delivers");
}

#[test]
fn an_origin_that_fails_is_asked_again_later() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 14));
    assert!(stream.refill(at(2_000)).is_some());
    stream.refilled(at(2_000), Refilled::Failed, &mut dice());
    assert_eq!(stream.refill(at(2_001)), None);
    assert!(stream.refill(at(2_100)).is_some());
    stream.refilled(at(2_100), Refilled::Events(Vec::new()), &mut dice());
    assert_eq!(stream.refill(at(2_101)), None, "nothing is no answer");
}

#[test]
fn what_the_origin_has_lost_is_resynced() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 14));
    stream.refill(at(2_000));
    stream.refilled(at(2_100), Refilled::Gone, &mut dice());
    assert_eq!(stream.resync(at(2_100)), Some(ResyncReason::Lost));
    assert_eq!(stream.resync(at(2_101)), None);
    assert_eq!(stream.refill(at(60_000)), None);
    stream.resynced(at(3_000), Some(cursor(1, 13)), &mut dice());
    assert_eq!(stream.resync(at(60_000)), None);
    assert_eq!(propose(&mut stream, at(3_000)).1, [14]);
}

#[test]
fn a_new_epoch_is_resynced_when_the_old_one_is_merged_as_far_as_it_is_here() {
    let mut stream = stream();
    for (epoch, seq) in [(1, 11), (2, 4), (2, 5)] {
        assert_eq!(stream.offer(at(0), event(epoch, seq)), Offered::Taken);
    }
    assert_eq!(stream.resync(at(0)), None);
    let (ticket, proposed) = propose(&mut stream, at(0));
    assert_eq!(proposed, [11]);
    stream.settle(at(1), ticket, Settled::Applied(cursor(1, 11)), &mut dice());
    assert_eq!(stream.resync(at(1)), Some(ResyncReason::Epoch(2)));
    stream.resynced(at(2), None, &mut dice());
    assert_eq!(stream.resync(at(3)), None);
    assert_eq!(stream.resync(at(103)), Some(ResyncReason::Epoch(2)));
    stream.resynced(at(200), Some(cursor(2, 3)), &mut dice());
    assert_eq!(stream.condition(at(200)), Condition::Following);
    assert_eq!(propose(&mut stream, at(200)).1, [4, 5]);
}

#[test]
fn the_epoch_never_goes_back() {
    let mut stream = stream();
    stream.adopt(at(1), cursor(2, 1));
    stream.adopt(at(2), cursor(1, 500));
    assert_eq!(stream.cursor(), cursor(2, 1));
    stream.offer(at(3), event(2, 2));
    let (ticket, _) = propose(&mut stream, at(3));
    stream.settle(at(4), ticket, Settled::Refused(cursor(1, 700)), &mut dice());
    assert_eq!(stream.cursor(), cursor(2, 1));
}

#[test]
fn an_undecodable_record_stops_the_stream_and_nothing_is_skipped() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 11));
    assert_eq!(stream.offer(at(0), Arrival::Undecodable), Offered::Stopped);
    assert_eq!(stream.offer(at(0), event(1, 13)), Offered::Stopped);
    assert_eq!(stream.room(), Room::default());
    assert_eq!(
        stream.condition(at(0)),
        Condition::Halted(Halt::Undecodable)
    );
    assert!(stream.condition(at(0)).is_alarming());
    // What came before it is merged all the same.
    assert_eq!(propose(&mut stream, at(0)).1, [11]);
    assert_eq!(stream.refill(at(60_000)), None);
    stream.retry();
    assert_eq!(stream.offer(at(1), event(1, 12)), Offered::Taken);
}

#[test]
fn an_event_of_another_stream_stops_it() {
    let mut other = envelope_at(1, 11, MILLIS);
    other.id.shard = 4;
    let mut stamped = envelope_at(1, 11, MILLIS);
    stamped.version.region = "us".parse().unwrap();
    let mut zeroth = envelope_at(2, 1, MILLIS);
    zeroth.id.seq = 0;
    for wrong in [other, stamped, zeroth] {
        let mut stream = stream();
        let id = wrong.id;
        assert_eq!(stream.offer(at(0), arrival(wrong)), Offered::Stopped);
        assert_eq!(
            stream.condition(at(0)),
            Condition::Halted(Halt::Misplaced(id))
        );
    }
}

#[test]
fn two_events_of_one_id_stop_it() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 12));
    let twin = envelope_at(1, 12, MILLIS + 1);
    let id = twin.id;
    assert_eq!(stream.offer(at(0), arrival(twin)), Offered::Stopped);
    assert_eq!(
        stream.condition(at(0)),
        Condition::Halted(Halt::Diverged(id))
    );
}

#[test]
fn an_event_from_the_future_waits_for_our_clock() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 11));
    stream.offer(at(0), arrival(envelope_at(1, 12, MILLIS + 61_500)));
    stream.offer(at(0), event(1, 13));
    let (ticket, proposed) = propose(&mut stream, at(0));
    assert_eq!(proposed, [11]);
    stream.settle(at(1), ticket, Settled::Applied(cursor(1, 11)), &mut dice());
    assert!(matches!(stream.condition(at(1)), Condition::Ahead { .. }));
    assert_eq!(stream.ready(at(1)), 0);
    assert_eq!(stream.wake(at(1)), Some(Duration::from_millis(1_001)));
    assert_eq!(stream.ready(at(1_499)), 0);
    assert_eq!(stream.ready(at(1_500)), 2);
}

#[test]
fn a_proposal_of_unknown_fate_is_made_again() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 11));
    let (ticket, _) = propose(&mut stream, at(0));
    stream.settle(at(1), ticket, Settled::Unknown, &mut dice());
    assert_eq!(stream.ready(at(1)), 0, "not at once");
    let wake = stream.wake(at(1)).unwrap();
    assert!(wake > Duration::from_millis(1) && wake <= Duration::from_millis(101));
    assert_eq!(propose(&mut stream, at(102)).1, [11]);
}

#[test]
fn a_cursor_that_somebody_else_moved_is_adopted() {
    let mut stream = stream();
    for seq in 11..20 {
        stream.offer(at(0), event(1, seq));
    }
    let (ticket, _) = propose(&mut stream, at(0));
    let merged = stream.adopt(at(1), cursor(1, 13));
    assert_eq!(seqs(&merged), [11, 12, 13]);
    // Its answer is about an entry before that.
    let settled = Settled::Refused(cursor(1, 13));
    stream.settle(at(2), ticket, settled, &mut dice());
    assert_eq!(stream.cursor(), cursor(1, 13));
    assert_eq!(propose(&mut stream, at(200)).1[0], 14);
}

#[test]
fn a_state_that_was_restored_is_caught_up_from_the_origin() {
    let mut stream = stream();
    stream.offer(at(0), event(1, 11));
    let (ticket, _) = propose(&mut stream, at(0));
    stream.settle(at(1), ticket, Settled::Refused(cursor(1, 7)), &mut dice());
    assert_eq!(stream.cursor(), cursor(1, 7));
    let refill = stream.refill(at(2_000)).unwrap();
    assert_eq!((refill.from, refill.to), (8, 10));
}

#[test]
fn counters_near_their_end_do_no_harm() {
    let last = u64::MAX;
    let mut stream = Stream::new(id(), cursor(last, last - 2), StreamConfig::default(), at(0));
    for seq in [last - 1, last] {
        stream.offer(at(0), event(last, seq));
    }
    let (ticket, proposed) = propose(&mut stream, at(0));
    assert_eq!(proposed, [last - 1, last]);
    stream.settle(
        at(1),
        ticket,
        Settled::Applied(cursor(last, last)),
        &mut dice(),
    );
    assert_eq!(stream.offer(at(1), event(last, last)), Offered::Known);
    assert_eq!(stream.wake(at(1)), None);
    assert_eq!(stream.refill(at(60_000)), None);
}
