//! What every [`BlobStore`] must do, as a suite that each body and each decorator runs.
//!
//! Owns the cases, one function each, which are the contract in executable form. Leaves to each body
//! what only it can test: power cuts, failing disks, remote faults. A writer that is dropped stands
//! for a process that was killed.
#![allow(
    clippy::unwrap_used,
    reason = "a suite for tests: its failures are panics"
)]

mod listing;
mod reading;
mod resuming;
mod writing;

use bytes::Bytes;

use crate::{BlobKey, BlobStore, BlobWriter, WriterState};

/// Runs every case, each against a new, empty store from `fresh`.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn run<S: BlobStore>(fresh: impl AsyncFn() -> S) {
    writing::nothing_is_visible_before_the_commit(fresh().await).await;
    writing::objects_of_all_sizes_round_trip(fresh().await).await;
    writing::chunks_may_be_cut_anyhow(fresh().await).await;
    writing::a_key_is_used_once(fresh().await).await;
    writing::writers_of_different_keys_do_not_mix(fresh().await).await;
    writing::many_commits_at_once_all_succeed(fresh().await).await;
    writing::an_abort_leaves_nothing(fresh().await).await;
    writing::a_commit_after_a_delete_fails(fresh().await).await;
    writing::registries_do_not_share_objects(fresh().await).await;

    reading::a_range_yields_exactly_its_bytes(fresh().await).await;
    reading::a_range_beyond_the_end_is_refused(fresh().await).await;
    reading::what_does_not_exist_is_not_found(fresh().await).await;
    reading::an_open_reader_survives_a_delete(fresh().await).await;
    reading::many_ranges_are_read_at_once(fresh().await).await;
    reading::a_delete_is_idempotent_and_hits_one_object(fresh().await).await;

    resuming::a_dropped_writer_keeps_what_was_synced(fresh().await).await;
    resuming::an_exported_state_is_returned_to_exactly(fresh().await).await;
    resuming::the_last_two_states_are_returned_to_exactly(fresh().await).await;
    resuming::an_upload_survives_many_crashes(fresh().await).await;
    resuming::only_unfinished_objects_are_resumed(fresh().await).await;
    resuming::a_living_writer_keeps_others_out(fresh().await).await;
    resuming::a_state_that_promises_more_than_is_there_is_refused(fresh().await).await;
    resuming::a_truncated_object_goes_on_from_there(fresh().await).await;
    resuming::a_truncation_is_as_durable_as_the_next_sync(fresh().await).await;
    resuming::a_sync_tells_what_is_durable(fresh().await).await;

    listing::objects_are_listed_in_order_and_once(fresh().await).await;
    listing::a_page_begins_after_any_key(fresh().await).await;
    listing::what_was_deleted_is_not_listed(fresh().await).await;
    listing::there_is_less_free_than_in_all(fresh().await).await;
}

/// A key of the registry `a`.
///
/// # Panics
///
/// Never: the registry is valid.
pub fn key(generation: u64) -> BlobKey {
    key_in("a", 1, generation)
}

fn key_in(registry: &str, epoch: u64, generation: u64) -> BlobKey {
    BlobKey {
        registry: registry.parse().unwrap(),
        epoch,
        generation,
    }
}

/// Bytes in which each place can be told from its neighbours, different for each seed.
#[must_use]
pub fn content(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// Appends `bytes` in chunks of `chunk`.
async fn append(writer: &mut Box<dyn BlobWriter>, bytes: &Bytes, chunk: usize) {
    let mut rest = bytes.clone();
    let from = writer.len();
    while !rest.is_empty() {
        let next = rest.split_to(rest.len().min(chunk));
        writer.append(next).await.unwrap();
    }
    assert_eq!(writer.len(), from + bytes.len() as u64);
}

/// Writes a whole object.
async fn put(store: &impl BlobStore, key: &BlobKey, bytes: &Bytes) {
    let mut writer = store.create(key).await.unwrap();
    append(&mut writer, bytes, 100_000).await;
    assert_eq!(writer.commit().await.unwrap(), bytes.len() as u64);
}

/// Reads a whole object and checks what its reader says of it.
async fn get(store: &impl BlobStore, key: &BlobKey) -> Bytes {
    let reader = store.open(key, None).await.unwrap();
    let (size, len) = (reader.size(), reader.len());
    assert_eq!(store.stat(key).await.unwrap(), Some(size));
    let bytes = reader.into_bytes().await.unwrap();
    assert_eq!((bytes.len() as u64, len), (size, size));
    bytes
}

/// A writer of what an earlier one left.
async fn resume(
    store: &impl BlobStore,
    key: &BlobKey,
    state: Option<&WriterState>,
) -> Box<dyn BlobWriter> {
    let writer = store.resume(key, state).await.unwrap();
    writer.unwrap_or_else(|| panic!("object {key} has vanished"))
}

/// Whether neither a finished nor an unfinished object is there.
async fn is_empty(store: &impl BlobStore) -> bool {
    store.list(None, 10).await.unwrap().is_empty()
}
