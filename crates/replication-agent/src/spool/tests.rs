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

async fn read(slot: &Arc<Slot>, range: std::ops::Range<u64>) -> io::Result<Vec<u8>> {
    let pieces = Arc::clone(slot).read(range);
    let pieces: Vec<Bytes> = pieces.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn bytes_are_read_as_they_come_in_memory_and_in_files() {
    for size in [SMALL_BLOB, SMALL_BLOB + 7] {
        let (_dir, spool) = spool(SMALL_BLOB * 2);
        let slot = spool.slot(body(1), WANT, Kind::Blob, size).unwrap();
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
    let slot = spool.slot(body(1), WANT, Kind::Blob, 4).unwrap();
    slot.write(0, Bytes::from_static(b"ab")).await.unwrap();
    spool.forget(&body(1), WANT, Fate::Lost);
    assert!(read(&slot, 0..4).await.is_err());
    // A later attempt has nothing to do with it.
    let next = spool.slot(body(1), WANT, Kind::Blob, 4).unwrap();
    slot.write(2, Bytes::from_static(b"cd")).await.unwrap();
    assert_eq!(next.bytes(), None);
}

#[tokio::test]
async fn what_a_later_want_has_outlives_what_is_said_of_an_earlier_one() {
    let (_dir, spool) = spool(0);
    let former = spool.slot(body(1), WANT, Kind::Blob, 4).unwrap();
    let later = WantId(WANT.0 + 1);
    let slot = spool.slot(body(1), later, Kind::Blob, 4).unwrap();
    assert_eq!(former.begun(0).await, Err(Hitch::Lost));
    for fate in [Fate::Lost, Fate::Stored] {
        spool.forget(&body(1), WANT, fate);
    }
    former.write(0, Bytes::from_static(b"xxxx")).await.unwrap();
    assert!(spool.slot(body(1), WANT, Kind::Blob, 4).is_err());
    slot.write(0, Bytes::from_static(b"abcd")).await.unwrap();
    assert_eq!(read(&slot, 0..4).await.unwrap(), b"abcd");
}

#[tokio::test]
async fn what_is_stored_is_read_to_its_end() {
    let (_dir, spool) = spool(0);
    let slot = spool.slot(body(1), WANT, Kind::Blob, 4).unwrap();
    slot.write(0, Bytes::from_static(b"abcd")).await.unwrap();
    spool.forget(&body(1), WANT, Fate::Stored);
    assert_eq!(read(&slot, 1..3).await.unwrap(), b"bc");
    assert_eq!(slot.stored().await, Ok(()));
}

#[tokio::test]
async fn who_waits_for_what_came_by_another_way_is_told() {
    let (_dir, spool) = spool(0);
    let slot = spool.slot(body(1), WANT, Kind::Blob, 4).unwrap();
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
        .slot(body(1), WANT, Kind::Blob, SMALL_BLOB + 1)
        .unwrap();
    let second = spool
        .slot(body(2), WANT, Kind::Blob, SMALL_BLOB + 1)
        .unwrap();
    assert!(
        spool
            .slot(body(3), WANT, Kind::Blob, SMALL_BLOB + 1)
            .is_err()
    );
    spool.forget(&body(1), WANT, Fate::Stored);
    assert!(
        spool
            .slot(body(3), WANT, Kind::Blob, SMALL_BLOB + 1)
            .is_err(),
        "somebody reads it"
    );
    drop(first);
    assert!(
        spool
            .slot(body(3), WANT, Kind::Blob, SMALL_BLOB + 1)
            .is_ok()
    );
    drop(second);
}

#[test]
fn a_manifest_that_is_too_long_has_no_slot() {
    let (_dir, spool) = spool(u64::MAX);
    for size in [LONGEST_MANIFEST + 1, u64::MAX] {
        assert!(spool.slot(body(1), WANT, Kind::Manifest, size).is_err());
    }
}

#[tokio::test]
async fn bytes_beyond_the_end_are_refused() {
    let (_dir, spool) = spool(0);
    let slot = spool.slot(body(1), WANT, Kind::Blob, 4).unwrap();
    for offset in [3, u64::MAX] {
        assert!(slot.write(offset, Bytes::from_static(b"ab")).await.is_err());
    }
}

#[tokio::test]
async fn who_waits_is_told_that_nobody_has_it_and_who_comes_later_waits() {
    let (_dir, spool) = spool(0);
    let slot = spool.slot(body(1), WANT, Kind::Blob, 4).unwrap();
    let (begun, ()) = tokio::join!(slot.begun(0), async { slot.miss(true) });
    assert_eq!(begun, Err(Hitch::Absent(true)));
    let reading = read(&slot, 0..4);
    let writing = slot.write(0, Bytes::from_static(b"abcd"));
    let (read, written) = tokio::join!(reading, writing);
    written.unwrap();
    assert_eq!(read.unwrap(), b"abcd");
}
