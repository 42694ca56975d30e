#![expect(
    clippy::single_range_in_vec_init,
    reason = "what a spool has is a list of ranges, often of one"
)]

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use meridian_event::RegistryId;
use meridian_oci::Digest;

use super::*;

const WANT: WantId = WantId(7);

fn body(byte: u8) -> Body {
    Body {
        registry: RegistryId::first(),
        digest: Digest::Sha256([byte; 32]),
    }
}

fn spool(most: u64) -> (tempfile::TempDir, Spool) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(&dir.path().join("spool"), most).unwrap();
    (dir, spool)
}

async fn read(slot: &Arc<Slot>, range: Range<u64>) -> io::Result<Vec<u8>> {
    let pieces = Arc::clone(slot).read(range);
    let pieces: Vec<Bytes> = pieces.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn bytes_are_read_as_they_come_in_memory_and_in_files() {
    for size in [SMALL_BLOB, SMALL_BLOB + 7] {
        let (_dir, spool) = spool(SMALL_BLOB * 2);
        let slot = spool
            .slot(body(1), WANT, Kind::Blob, size, Haste::Demand)
            .unwrap();
        let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let half = usize::try_from(size / 2).unwrap();
        let (front, back) = content.split_at(half);
        let reading = read(&slot, 5..size);
        let writing = async {
            let at = half as u64;
            slot.write(at, Bytes::copy_from_slice(back)).await.unwrap();
            assert_eq!(slot.bytes(), None);
            slot.write(0, Bytes::copy_from_slice(front)).await.unwrap();
        };
        let (bytes, ()) = tokio::join!(reading, writing);
        assert!(bytes.unwrap() == content[5..], "{size}");
    }
}

#[tokio::test]
async fn whoever_reads_what_is_thrown_away_is_told() {
    let (_dir, spool) = spool(0);
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    slot.write(0, Bytes::from_static(b"ab")).await.unwrap();
    spool.forget(&body(1), WANT, Fate::Lost);
    assert!(read(&slot, 0..4).await.is_err());
    // A later attempt has nothing to do with it.
    let next = spool
        .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    slot.write(2, Bytes::from_static(b"cd")).await.unwrap();
    assert_eq!(next.bytes(), None);
}

#[tokio::test]
async fn what_a_later_want_has_outlives_what_is_said_of_an_earlier_one() {
    let (_dir, spool) = spool(0);
    let former = spool
        .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    let later = WantId(WANT.0 + 1);
    let slot = spool
        .slot(body(1), later, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    assert_eq!(former.begun(0).await, Err(Hitch::Lost));
    for fate in [Fate::Lost, Fate::Stored] {
        spool.forget(&body(1), WANT, fate);
    }
    former.write(0, Bytes::from_static(b"xxxx")).await.unwrap();
    assert!(
        spool
            .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
            .is_err()
    );
    slot.write(0, Bytes::from_static(b"abcd")).await.unwrap();
    assert_eq!(read(&slot, 0..4).await.unwrap(), b"abcd");
}

#[tokio::test]
async fn what_is_stored_is_read_to_its_end() {
    let (_dir, spool) = spool(0);
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    slot.write(0, Bytes::from_static(b"abcd")).await.unwrap();
    spool.forget(&body(1), WANT, Fate::Stored);
    assert_eq!(read(&slot, 1..3).await.unwrap(), b"bc");
    assert_eq!(slot.stored().await, Ok(()));
}

#[tokio::test]
async fn who_waits_for_what_came_by_another_way_is_told() {
    let (_dir, spool) = spool(0);
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    let waiting = async { tokio::join!(slot.begun(0), slot.stored()) };
    let (told, ()) = tokio::join!(waiting, async {
        spool.forget(&body(1), WANT, Fate::Stored);
    });
    assert_eq!(told, (Err(Hitch::Here), Ok(())));
}

#[test]
fn files_take_no_more_room_than_they_may() {
    let (_dir, spool) = spool(SMALL_BLOB * 2 + 2);
    let first = spool
        .slot(body(1), WANT, Kind::Blob, SMALL_BLOB + 1, Haste::Demand)
        .unwrap();
    let second = spool
        .slot(body(2), WANT, Kind::Blob, SMALL_BLOB + 1, Haste::Demand)
        .unwrap();
    assert!(
        spool
            .slot(body(3), WANT, Kind::Blob, SMALL_BLOB + 1, Haste::Demand)
            .is_err()
    );
    spool.forget(&body(1), WANT, Fate::Stored);
    assert!(
        spool
            .slot(body(3), WANT, Kind::Blob, SMALL_BLOB + 1, Haste::Demand)
            .is_err(),
        "somebody reads it"
    );
    drop(first);
    assert!(
        spool
            .slot(body(3), WANT, Kind::Blob, SMALL_BLOB + 1, Haste::Demand)
            .is_ok()
    );
    drop(second);
}

#[test]
fn a_manifest_that_is_too_long_has_no_slot() {
    let (_dir, spool) = spool(u64::MAX);
    for size in [LONGEST_MANIFEST + 1, u64::MAX] {
        assert!(
            spool
                .slot(body(1), WANT, Kind::Manifest, size, Haste::Demand)
                .is_err()
        );
    }
}

#[tokio::test]
async fn bytes_beyond_the_end_are_refused() {
    let (_dir, spool) = spool(0);
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    for offset in [3, u64::MAX] {
        assert!(slot.write(offset, Bytes::from_static(b"ab")).await.is_err());
    }
}

#[tokio::test]
async fn who_waits_is_told_that_nobody_has_it_and_who_comes_later_waits() {
    let (_dir, spool) = spool(0);
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, 4, Haste::Demand)
        .unwrap();
    let (begun, ()) = tokio::join!(slot.begun(0), async { slot.miss(true) });
    assert_eq!(begun, Err(Hitch::Absent(true)));
    let reading = read(&slot, 0..4);
    let writing = slot.write(0, Bytes::from_static(b"abcd"));
    let (read, written) = tokio::join!(reading, writing);
    written.unwrap();
    assert_eq!(read.unwrap(), b"abcd");
}

const LARGE: u64 = SMALL_BLOB + 4_000;

fn content() -> Bytes {
    let bytes = (0..LARGE).map(|at| (at % 251) as u8);
    bytes.collect()
}

/// A spool that has got these parts of a blob, and ended.
async fn ended_with(parts: &[Range<usize>]) -> tempfile::TempDir {
    let (dir, spool) = spool(u64::MAX);
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, LARGE, Haste::Demand)
        .unwrap();
    for part in parts {
        let bytes = content().slice(part.clone());
        slot.write(part.start as u64, bytes).await.unwrap();
    }
    dir
}

fn again(dir: &tempfile::TempDir, most: u64) -> Spool {
    Spool::open(&dir.path().join("spool"), most).unwrap()
}

/// The files of a spool, but for its lock.
fn files(dir: &tempfile::TempDir) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.path().join("spool")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.ends_with("lock"));
    files.sort_unstable();
    files
}

#[tokio::test]
async fn what_came_before_the_end_of_the_process_is_gone_on_with() {
    let dir = ended_with(&[0..1_000, 3_000..5_000, 1_000..2_000]).await;
    let spool = again(&dir, LARGE);
    assert_eq!(spool.left(&body(2), LARGE).await, []);
    assert_eq!(spool.left(&body(1), LARGE + 1).await, []);
    let left = spool.left(&body(1), LARGE).await;
    assert_eq!(left, [0..2_000, 3_000..5_000]);
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, LARGE, Haste::Demand)
        .unwrap();
    assert_eq!(read(&slot, 0..2_000).await.unwrap(), content()[..2_000]);
    for part in [2_000..3_000, 5_000..content().len()] {
        let bytes = content().slice(part.clone());
        slot.write(part.start as u64, bytes).await.unwrap();
    }
    assert!(read(&slot, 0..LARGE).await.unwrap() == content());
    spool.forget(&body(1), WANT, Fate::Stored);
    assert_eq!(files(&dir), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_blob_that_was_all_here_is_complete_at_once() {
    let dir = ended_with(&[0..content().len()]).await;
    let spool = again(&dir, LARGE);
    spool.left(&body(1), LARGE).await;
    let slot = spool
        .slot(body(1), WANT, Kind::Blob, LARGE, Haste::Demand)
        .unwrap();
    assert!(slot.is_complete());
}

#[tokio::test]
async fn a_piece_that_is_not_what_came_does_not_count() {
    let dir = ended_with(&[0..1_000, 1_000..2_000]).await;
    let [bytes, parts] = files(&dir).try_into().unwrap();
    let mut damaged = std::fs::read(&bytes).unwrap();
    damaged[1_500] ^= 1;
    std::fs::write(&bytes, damaged).unwrap();
    // And a record that was being written.
    let mut torn = std::fs::read(&parts).unwrap();
    torn.extend([0; 7]);
    std::fs::write(&parts, torn).unwrap();
    let spool = again(&dir, LARGE);
    assert_eq!(spool.left(&body(1), LARGE).await, [0..1_000]);
}

#[tokio::test]
async fn what_means_nothing_is_thrown_away_and_what_is_larger_than_the_room_is_kept_alone() {
    let dir = ended_with(&[0..1_000]).await;
    drop(again(&dir, LARGE - 1));
    assert_eq!(files(&dir).len(), 2);
    for file in files(&dir) {
        std::fs::remove_file(file).unwrap();
    }
    for text in ["", "1 no line", "2 of another program\n", "1 x y 5\n"] {
        std::fs::write(dir.path().join("spool/a.parts"), text).unwrap();
        std::fs::write(dir.path().join("spool/a.bytes"), "").unwrap();
        drop(again(&dir, LARGE));
        assert_eq!(files(&dir), Vec::<PathBuf>::new(), "{text:?}");
    }
}

#[test]
fn what_nobody_waits_for_leaves_room_for_what_clients_wait_for() {
    const PART: u64 = SMALL_BLOB + 1;
    let (_dir, spool) = spool(PART * 4);
    let take = |number, haste| spool.slot(body(number), WANT, Kind::Blob, PART, haste);
    let others: Vec<_> = (1..=3).map(|it| take(it, Haste::None).unwrap()).collect();
    assert!(take(4, Haste::None).is_err());
    let waited_for = take(5, Haste::Demand).unwrap();
    assert!(take(6, Haste::Demand).is_err());
    drop((others, waited_for));
}

#[test]
fn a_blob_that_is_larger_than_all_the_room_comes_alone() {
    const LARGER: u64 = SMALL_BLOB * 8;
    let (_dir, spool) = spool(SMALL_BLOB * 4);
    let take = |number, size, haste| spool.slot(body(number), WANT, Kind::Blob, size, haste);
    let first = take(1, LARGER, Haste::None).unwrap();
    assert!(take(2, LARGER, Haste::None).is_err());
    assert!(take(2, SMALL_BLOB + 1, Haste::None).is_err());
    let waited_for = take(3, LARGER, Haste::Demand).unwrap();
    assert!(take(4, LARGER, Haste::Demand).is_err());
    spool.forget(&body(1), WANT, Fate::Stored);
    spool.forget(&body(3), WANT, Fate::Stored);
    drop((first, waited_for));
    assert!(take(2, LARGER, Haste::None).is_ok());
}

#[tokio::test]
async fn what_nobody_asks_for_is_thrown_away_sooner_if_there_is_no_room() {
    let dir = ended_with(&[0..1_000]).await;
    let spool = again(&dir, LARGE);
    spool.left(&body(1), LARGE).await;
    spool.forget_unasked();
    assert_eq!(files(&dir).len(), 2, "somebody did");
    assert!(
        spool
            .slot(body(2), WANT, Kind::Blob, LARGE, Haste::None)
            .is_err()
    );
    drop(spool);
    let spool = again(&dir, LARGE);
    spool
        .slot(body(2), WANT, Kind::Blob, LARGE, Haste::None)
        .unwrap();
    assert_eq!(spool.left(&body(1), LARGE).await, []);
    assert_eq!(files(&dir).len(), 2, "those of the other one");
}

#[test]
fn a_folder_is_used_by_one_process_which_is_known_again() {
    let (dir, first) = spool(0);
    let owner = first.owner();
    drop(first);
    let spool = again(&dir, 0);
    assert_eq!(spool.owner(), owner);
    assert_ne!(self::spool(0).1.owner(), owner);
    let error = Spool::open(&dir.path().join("spool"), 0).err().unwrap();
    assert!(
        error.to_string().contains("replication.spool_dir"),
        "{error}"
    );
}
