use meridian_event::webhook::Assignment;

use super::*;
use crate::stage::{SHARD, Stage, at, damaged, record};

/// What a webhook that fell behind finds behind a place, and where it reads on.
async fn read(stage: &Stage, after: u64) -> (Vec<u64>, Place, u64) {
    let read = page(&stage.shell, SHARD, at(after), None, RECORDS).await;
    let (page, (_, next)) = read.unwrap();
    let events = page.events.iter().map(|event| event.id.seq);
    (events.collect(), page.upto, next)
}

fn lost(stage: &Stage) -> u64 {
    stage.shell.meters.lost.load(Ordering::Relaxed)
}

/// Offers a record to an engine that stands before it.
async fn offered(stage: &Stage, record: meridian_eventlog::Record, before: u64) -> Option<End> {
    let mut cursor = at(before);
    let assignment = Assignment {
        generation: 1,
        cursor,
        lanes: Vec::new(),
        due: Vec::new(),
    };
    let engine = &stage.shell.engine;
    engine.tell(|engine, now| engine.assign(now, SHARD, assignment));
    let stored = StoredRecord { offset: 0, record };
    offer(&stage.shell, SHARD, &stored, &mut cursor).await
}

fn head(stage: &Stage) -> Place {
    stage
        .shell
        .engine
        .look(|engine| engine.head(SHARD))
        .unwrap()
}

#[tokio::test]
async fn what_the_log_lacks_the_metadata_have() {
    let stage = Stage::new([1, 2, 5].map(record).into()).await;
    stage.metadata.keep(3..=5);
    let expected = (vec![1, 2, 3, 4, 5], at(5), 3);
    assert_eq!(read(&stage, 0).await, expected);
    assert!(offered(&stage, record(5), 2).await.is_none());
    assert_eq!((head(&stage), lost(&stage)), (at(5), 0));
}

#[tokio::test]
async fn what_nobody_has_any_more_is_passed_over_and_counted() {
    let stage = Stage::new([1, 2, 9].map(record).into()).await;
    stage.metadata.keep(7..=8);
    assert_eq!(read(&stage, 0).await, (vec![1, 2, 7, 8, 9], at(9), 3));
    assert_eq!(lost(&stage), 4);
    assert!(offered(&stage, record(9), 2).await.is_none());
    assert_eq!((head(&stage), lost(&stage)), (at(9), 8));
}

#[tokio::test]
async fn a_page_ends_where_the_metadata_do_not_answer() {
    let stage = Stage::new([1, 2, 5].map(record).into()).await;
    stage.metadata.fail(MetadataError::DeadlineExceeded);
    assert_eq!(read(&stage, 0).await, (vec![1, 2], at(2), 2));
}

#[tokio::test]
async fn a_damaged_record_is_read_from_the_metadata() {
    let records = vec![record(1), damaged(2), record(3)];
    let stage = Stage::new(records).await;
    stage.metadata.keep(1..=3);
    assert_eq!(read(&stage, 0).await, (vec![1, 2, 3], at(3), 3));
    assert!(offered(&stage, damaged(2), 1).await.is_none());
    let unreadable = stage.shell.meters.unreadable.load(Ordering::Relaxed);
    assert_eq!((head(&stage), unreadable), (at(2), 0));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_here_can_read_is_passed_over_and_counted() {
    let stage = Stage::new(vec![record(1), damaged(2), record(3)]).await;
    let reason = "the answer means nothing".to_owned();
    stage.metadata.fail(MetadataError::Internal { reason });
    assert_eq!(read(&stage, 0).await, (vec![1, 3], at(3), 3));
    assert!(offered(&stage, damaged(2), 1).await.is_none());
    let unreadable = stage.shell.meters.unreadable.load(Ordering::Relaxed);
    assert_eq!((head(&stage), unreadable), (at(2), 1));
}

#[tokio::test]
async fn whether_it_can_be_read_is_waited_for() {
    let stage = Stage::new(Vec::new()).await;
    stage.metadata.fail(MetadataError::DeadlineExceeded);
    let end = offered(&stage, damaged(2), 1).await;
    assert!(matches!(end, Some(End::Metadata(_))));
    assert_eq!(head(&stage), at(1));
}
