//! Where a read may start, what it brings, and when it waits.

use std::time::Duration;

use super::{NO_WAIT, WAIT, append, read_all, record, start, stored, topic};
use crate::{EventLog, ReadError, ReadLimits, Record};

pub(super) async fn an_empty_shard_has_no_head(log: &dyn EventLog) {
    let topic = topic(log, "head", 2).await;
    let start = start(log, &topic, 0).await;
    assert_eq!(log.last(&topic, 0).await.expect("the shard exists"), None);
    append(log, &topic, 1, vec![record(0), record(1)]).await;
    assert_eq!(log.last(&topic, 0).await.expect("the shard exists"), None);
    let last = log.last(&topic, 1).await.expect("the shard exists");
    assert_eq!(last, stored([record(1)], start + 1).pop());
}

pub(super) async fn limits_are_kept_but_one_record_always_comes(log: &dyn EventLog) {
    let topic = topic(log, "limits", 1).await;
    let start = start(log, &topic, 0).await;
    let records: Vec<Record> = (0..50)
        .map(|n| Record::new(format!("{n}"), vec![7; 1_000]))
        .collect();
    append(log, &topic, 0, records.clone()).await;
    let all = stored(records, start);
    let size = all[0].record.size();

    let read = |from, records, bytes| {
        let limits = ReadLimits {
            records,
            bytes,
            ..NO_WAIT
        };
        let topic = &topic;
        async move { log.read(topic, 0, from, limits).await.expect("in range") }
    };
    assert_eq!(read(start, 1, usize::MAX).await, all[..1]);
    assert_eq!(read(start + 49, 9, usize::MAX).await, all[49..]);
    for (records, bytes) in [(0, usize::MAX), (9, 0), (9, size - 1)] {
        assert_eq!(read(start + 5, records, bytes).await, all[5..6]);
    }
    for (records, bytes, most) in [(7, usize::MAX, 7), (50, 10 * size + size / 2, 10)] {
        let read = read(start + 3, records, bytes).await;
        assert!((1..=most).contains(&read.len()), "{}", read.len());
        assert_eq!(read, all[3..3 + read.len()]);
    }
    for from in [0, 1, 25, 49] {
        let rest = read_all(log, &topic, 0, start + from as u64).await;
        assert_eq!(rest, all[from..]);
    }
}

pub(super) async fn an_offset_beyond_the_end_is_out_of_range(log: &dyn EventLog) {
    let topic = topic(log, "beyond", 1).await;
    let start = start(log, &topic, 0).await;
    append(log, &topic, 0, vec![record(0), record(1)]).await;
    let end = log.read(&topic, 0, start + 2, NO_WAIT).await;
    assert!(matches!(end.as_deref(), Ok([])), "{end:?}");
    for from in [start + 3, start + 1_000] {
        // It is an error at once: what lies there will never be what the reader takes it for.
        let beyond = log.read(&topic, 0, from, WAIT).await;
        let Err(ReadError::OutOfRange { low, high }) = beyond else {
            panic!("a read at {from} gave {beyond:?}");
        };
        assert_eq!((low, high), (start, start + 2));
    }
}

pub(super) async fn a_waiting_read_wakes_for_its_shard_only(log: &dyn EventLog) {
    let topic = topic(log, "waiting", 2).await;
    let start = start(log, &topic, 0).await;

    let (read, _) = tokio::join!(
        log.read(&topic, 0, start, WAIT),
        append(log, &topic, 0, vec![record(0)])
    );
    assert_eq!(read.expect("in range"), stored([record(0)], start));

    let short = ReadLimits {
        wait: Duration::from_millis(200),
        ..NO_WAIT
    };
    let (read, _) = tokio::join!(
        log.read(&topic, 0, start + 1, short),
        append(log, &topic, 1, vec![record(1)])
    );
    assert_eq!(read.expect("in range"), []);
}
