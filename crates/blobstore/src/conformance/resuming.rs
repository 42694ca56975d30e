//! Continuing what a dead process left, and going back.

use super::{append, content, get, key, put, resume};
use crate::{BlobStore, ResumeError, WriteError, WriterState};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

pub(super) async fn a_dropped_writer_keeps_what_was_synced(store: impl BlobStore) {
    for (generation, synced, lost) in [
        (1, 0, 0),
        (2, 0, 5),
        (3, 100, 0),
        (4, 5_000, 3 * MIB),
        (5, 3 * MIB + 1, 7),
    ] {
        let key = key(generation);
        let bytes = content(generation, synced + lost + 10);
        let mut writer = store.create(&key).await.unwrap();
        append(&mut writer, &bytes.slice(..synced), 90_000).await;
        assert_eq!(writer.sync().await.unwrap(), synced as u64);
        append(&mut writer, &bytes.slice(synced..synced + lost), 90_000).await;
        drop(writer);

        let mut writer = resume(&store, &key, None).await;
        let kept = usize::try_from(writer.len()).unwrap();
        assert!((synced..=synced + lost).contains(&kept), "kept {kept}");
        append(&mut writer, &bytes.slice(kept..), 90_000).await;
        writer.commit().await.unwrap();
        assert!(get(&store, &key).await == bytes, "object {generation}");
    }
}

pub(super) async fn an_exported_state_is_returned_to_exactly(store: impl BlobStore) {
    let bytes = content(1, 4 * MIB);
    let mut writer = store.create(&key(1)).await.unwrap();
    let begin = writer.state();
    assert_eq!(begin.len, 0);
    append(&mut writer, &bytes.slice(..MIB + 3), 60_000).await;
    assert_eq!(writer.state().len, 0, "not synced yet");
    writer.sync().await.unwrap();
    let state = writer.state();
    assert_eq!(state.len, MIB as u64 + 3);
    append(&mut writer, &content(2, 2 * MIB), 60_000).await;
    writer.sync().await.unwrap();
    drop(writer);

    let mut writer = resume(&store, &key(1), Some(&state)).await;
    assert_eq!((writer.len(), writer.state().len), (state.len, state.len));
    append(&mut writer, &bytes.slice(MIB + 3..), 60_000).await;
    writer.commit().await.unwrap();
    assert!(get(&store, &key(1)).await == bytes);
}

pub(super) async fn the_last_two_states_are_returned_to_exactly(store: impl BlobStore) {
    let mut generation = 0;
    for (first, second) in [
        (0, 10),
        (1_000, 2_000),
        (MIB, 7 * MIB),
        (6 * MIB, 11 * MIB + 1),
    ] {
        for goes_back in [false, true] {
            generation += 1;
            let (key, bytes) = (key(generation), content(generation, 12 * MIB));
            let mut writer = store.create(&key).await.unwrap();
            append(&mut writer, &bytes.slice(..first), 90_000).await;
            writer.sync().await.unwrap();
            let early = (writer.state(), first);
            append(&mut writer, &bytes.slice(first..second), 90_000).await;
            writer.sync().await.unwrap();
            let late = (writer.state(), second);
            append(&mut writer, &content(99, 100), 90_000).await;
            drop(writer);

            let (state, at) = if goes_back { early } else { late };
            let mut writer = resume(&store, &key, Some(&state)).await;
            assert_eq!((writer.len(), writer.state().len), (at as u64, at as u64));
            append(&mut writer, &bytes.slice(at..), 90_000).await;
            writer.commit().await.unwrap();
            assert!(get(&store, &key).await == bytes, "{first} {second}");
        }
    }
}

pub(super) async fn an_upload_survives_many_crashes(store: impl BlobStore) {
    let bytes = content(1, 2 * MIB);
    drop(store.create(&key(1)).await.unwrap());
    let mut state = WriterState::default();
    let mut step = 1;
    while state.len < bytes.len() as u64 {
        let mut writer = resume(&store, &key(1), Some(&state)).await;
        let from = usize::try_from(state.len).unwrap();
        assert_eq!(writer.len(), state.len);
        let to = bytes.len().min(from + step);
        append(&mut writer, &bytes.slice(from..to), 50_000).await;
        writer.sync().await.unwrap();
        state = writer.state();
        append(&mut writer, &content(9, 100_000), 50_000).await;
        drop(writer);
        step = step * 3 + 1;
    }
    let writer = resume(&store, &key(1), Some(&state)).await;
    writer.commit().await.unwrap();
    assert!(get(&store, &key(1)).await == bytes);
}

pub(super) async fn only_unfinished_objects_are_resumed(store: impl BlobStore) {
    assert!(store.resume(&key(1), None).await.unwrap().is_none());
    put(&store, &key(1), &content(1, 10)).await;
    assert!(store.resume(&key(1), None).await.unwrap().is_none());
    let state = WriterState {
        len: 10,
        ..WriterState::default()
    };
    assert!(store.resume(&key(1), Some(&state)).await.unwrap().is_none());
    assert_eq!(get(&store, &key(1)).await, content(1, 10));
}

pub(super) async fn a_living_writer_keeps_others_out(store: impl BlobStore) {
    let mut writer = store.create(&key(1)).await.unwrap();
    let second = store.resume(&key(1), None).await;
    assert!(matches!(second, Err(ResumeError::Busy(_))));
    append(&mut writer, &content(1, 3 * MIB), MIB).await;
    drop(writer);
    let first = resume(&store, &key(1), None).await;
    let second = store.resume(&key(1), None).await;
    assert!(matches!(second, Err(ResumeError::Busy(_))));
    drop(first);
    resume(&store, &key(1), None).await.abort().await;
}

pub(super) async fn a_state_that_promises_more_than_is_there_is_refused(store: impl BlobStore) {
    let mut writer = store.create(&key(1)).await.unwrap();
    writer.append(content(1, 10)).await.unwrap();
    writer.sync().await.unwrap();
    let mut state = writer.state();
    drop(writer);
    state.len += 1;
    let resumed = store.resume(&key(1), Some(&state)).await;
    let lost = matches!(
        resumed,
        Err(ResumeError::Lost {
            kept: 10,
            promised: 11,
            ..
        })
    );
    assert!(lost);
    assert_eq!(resume(&store, &key(1), None).await.len(), 10);
}

pub(super) async fn a_truncated_object_goes_on_from_there(store: impl BlobStore) {
    for (generation, synced, wrong) in [
        (1, 0, 10),
        (2, 10, 0),
        (3, 100, 200),
        (4, 100 * KIB + 1, 2 * MIB),
        (5, 2 * MIB + 5, 64 * KIB),
        (6, 3 * MIB, 5 * MIB),
    ] {
        let key = key(generation);
        let bytes = content(generation, synced + 3 * MIB);
        let mut writer = store.create(&key).await.unwrap();
        append(&mut writer, &bytes.slice(..synced), 80_000).await;
        let mark = writer.sync().await.unwrap();
        append(&mut writer, &content(99, wrong), 80_000).await;

        let beyond = writer.len() + 1;
        let refused = writer.truncate(beyond).await;
        assert!(matches!(refused, Err(WriteError::Offset { to, .. }) if to == beyond));

        writer.truncate(mark).await.unwrap();
        assert_eq!((writer.len(), writer.state().len), (mark, mark));
        append(&mut writer, &bytes.slice(synced..), 80_000).await;
        assert_eq!(writer.commit().await.unwrap(), bytes.len() as u64);
        assert!(get(&store, &key).await == bytes, "object {generation}");
    }
}

pub(super) async fn a_truncation_is_as_durable_as_the_next_sync(store: impl BlobStore) {
    let mut writer = store.create(&key(1)).await.unwrap();
    let bytes = content(1, 200 * KIB);
    append(&mut writer, &bytes.slice(..100 * KIB), 30_000).await;
    let mark = writer.sync().await.unwrap();
    append(&mut writer, &content(2, MIB), 30_000).await;
    writer.sync().await.unwrap();
    writer.truncate(mark).await.unwrap();
    append(&mut writer, &bytes.slice(100 * KIB..), 30_000).await;
    writer.sync().await.unwrap();
    drop(writer);
    let writer = resume(&store, &key(1), None).await;
    assert_eq!(writer.len(), 200 * KIB as u64);
    writer.commit().await.unwrap();
    assert!(get(&store, &key(1)).await == bytes);
}

pub(super) async fn a_sync_tells_what_is_durable(store: impl BlobStore) {
    let mut writer = store.create(&key(1)).await.unwrap();
    assert_eq!(writer.sync().await.unwrap(), 0);
    let mut len = 0;
    for step in [1, 4_095, 4_096, 0, 300_000] {
        append(&mut writer, &content(len, step), 10_000).await;
        len += step as u64;
        for _ in 0..2 {
            assert_eq!(writer.sync().await.unwrap(), len);
            assert_eq!(writer.state().len, len);
        }
    }
    assert_eq!(writer.commit().await.unwrap(), len);
}
