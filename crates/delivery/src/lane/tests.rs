use meridian_clock::Version;
use meridian_event::EventId;
use meridian_event::webhook::{Action, WebhookId};

use super::*;

fn at(seq: u64) -> Place {
    Place { epoch: 1, seq }
}

fn message(repository: &str, seq: u64, number: u8) -> Message {
    Message {
        id: MessageId::new([number; 16]),
        action: Action::Push,
        position: EventId {
            region: "eu".parse().unwrap(),
            epoch: 1,
            shard: 0,
            seq,
        },
        at: 0,
        repository: Some(repository.parse().unwrap()),
        webhook: None,
        tag: None,
        digest: None,
        size: None,
        media_type: None,
        push: None,
        regions: Vec::new(),
    }
}

fn kept(message: &Message) -> Undelivered {
    let version = Version {
        millis: 1,
        counter: 0,
        region: "eu".parse().unwrap(),
    };
    Undelivered {
        webhook: WebhookId::new(version),
        message: message.clone(),
        attempts: 1,
        due: Some(5),
        until: 9,
    }
}

/// Two messages of `a`, one of `b`, two of one event of `a`.
fn lane() -> Lane {
    let mut lane = Lane::default();
    lane.push(at(3), vec![message("a", 3, 1)]);
    lane.push(at(5), vec![message("b", 5, 2)]);
    lane.push(at(8), vec![message("a", 8, 3), message("a", 8, 4)]);
    lane
}

fn begin(lane: &mut Lane) -> Option<MessageId> {
    lane.begin().map(|message| message.id)
}

fn id(number: u8) -> Option<MessageId> {
    Some(MessageId::new([number; 16]))
}

#[test]
fn a_repository_waits_for_itself_and_for_no_other() {
    let mut lane = lane();
    assert_eq!(begin(&mut lane), id(1));
    assert_eq!(begin(&mut lane), id(2));
    assert_eq!(begin(&mut lane), None);
    lane.settle(id(1).unwrap(), None);
    assert_eq!(begin(&mut lane), id(3));
    assert_eq!(begin(&mut lane), None);
    lane.give_back(id(3).unwrap());
    assert_eq!(begin(&mut lane), id(3));
}

#[test]
fn the_cursor_stays_before_what_is_not_settled_and_takes_along_what_failed() {
    let mut lane = lane();
    let head = at(9);
    assert_eq!(begin(&mut lane), id(1));
    assert_eq!(begin(&mut lane), id(2));
    lane.settle(id(2).unwrap(), Some(kept(&message("b", 5, 2))));
    assert_eq!(lane.pass(), []);
    assert_eq!(lane.settled(head), at(2));
    lane.settle(id(1).unwrap(), None);
    assert_eq!(lane.pass(), [kept(&message("b", 5, 2))]);
    assert_eq!(lane.settled(head), at(7));
    // One tag of the event at 8 is settled, and the other is not.
    assert_eq!(begin(&mut lane), id(3));
    lane.settle(id(3).unwrap(), Some(kept(&message("a", 8, 3))));
    assert_eq!(lane.pass(), []);
    assert_eq!(lane.settled(head), at(7));
    assert_eq!(begin(&mut lane), id(4));
    lane.settle(id(4).unwrap(), None);
    assert_eq!(lane.pass(), [kept(&message("a", 8, 3))]);
    assert_eq!(lane.settled(head), head);
    assert!(lane.is_idle());
}

#[test]
fn what_falls_behind_keeps_its_place_and_what_is_under_way() {
    let mut lane = lane();
    assert_eq!(begin(&mut lane), id(1));
    lane.again.rows.push_back(kept(&message("b", 1, 9)));
    lane.again.out = 1;
    lane.fall_behind();
    assert_eq!((lane.held(), lane.queued()), (1, 1));
    assert_eq!((lane.again.out, lane.again.due), (0, Some(5)));
    assert_eq!(lane.settled(at(9)), at(2));
    lane.settle(id(1).unwrap(), None);
    assert_eq!(lane.pass(), []);
    assert_eq!(lane.settled(at(9)), at(4));
    assert!(!lane.is_quiet());
}
