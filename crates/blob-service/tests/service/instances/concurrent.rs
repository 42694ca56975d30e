//! Two requests at one session, and an instance that dies with a session in hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt, stream};
use meridian_clients::{BlobApi, Transfer, UploadError, UploadStatus};
use meridian_oci::UploadId;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::runtime::Runtime;
use tokio::task::{JoinSet, yield_now};

use super::{LEASE, Region};
use crate::harness::{Life, content, open, pull, ranged, sha256, streamed};

/// A body that a test sends piece by piece.
fn fed() -> (mpsc::Sender<Bytes>, Transfer) {
    let (send, pieces) = mpsc::channel(0);
    let transfer = Transfer {
        range: None,
        length: None,
        body: Box::pin(pieces.map(Ok)),
    };
    (send, transfer)
}

/// A PATCH that is under way: its instance has taken the first bytes.
async fn under_way(
    life: &Life,
    region: &Region,
    id: &UploadId,
    first: &Bytes,
) -> (
    mpsc::Sender<Bytes>,
    JoinSet<Result<UploadStatus, UploadError>>,
) {
    let (mut send, body) = fed();
    let (service, here, id) = (Arc::clone(&life.service), region.here.clone(), id.clone());
    let mut request = JoinSet::new();
    request.spawn(async move { service.append(&here, &id, body).await });
    send.send(first.clone()).await.unwrap();
    // It is taken when the next one can be given.
    send.send(Bytes::new()).await.unwrap();
    send.flush().await.unwrap();
    (send, request)
}

#[tokio::test]
async fn a_session_in_another_instances_hand_is_busy() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    let bytes = content(1, 5000);
    let id = open(&a.service, here).await.upload;
    let chunk = streamed(&bytes.slice(..1000));
    let id = b.service.append(here, &id, chunk).await.unwrap().upload;
    let (send, mut request) = under_way(&a, &region, &id, &bytes.slice(1000..2000)).await;
    for instance in [&a, &b] {
        let second = instance.service.append(here, &id, streamed(&bytes)).await;
        assert!(matches!(second, Err(UploadError::Busy)), "{second:?}");
        let put = instance
            .service
            .finish(here, &id, sha256(&bytes), Transfer::empty());
        assert!(matches!(put.await, Err(UploadError::Busy)));
        let status = instance.service.status(here, &id).await.unwrap();
        assert_eq!(status.offset, 1000, "what is acknowledged");
    }
    drop(send);
    assert_eq!(
        request.join_next().await.unwrap().unwrap().unwrap().offset,
        2000
    );
    let rest = ranged(&bytes.slice(2000..), 2000);
    let digest = sha256(&bytes);
    b.service.finish(here, &id, digest, rest).await.unwrap();
    assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn of_two_that_do_not_know_of_each_other_one_is_told_and_harms_nothing() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    let bytes = content(2, 5000);
    let id = open(&a.service, here).await.upload;
    let chunk = streamed(&bytes.slice(..1000));
    let id = a.service.append(here, &id, chunk).await.unwrap().upload;
    region.set_cache_away(true);
    let (send, mut request) = under_way(&a, &region, &id, &content(99, 500)).await;
    let chunk = ranged(&bytes.slice(1000..3000), 1000);
    let status = b.service.append(here, &id, chunk).await.unwrap();
    assert_eq!(status.offset, 3000);
    drop(send);
    let late = request.join_next().await.unwrap().unwrap();
    assert!(matches!(late, Err(UploadError::Busy)), "{late:?}");
    region.set_cache_away(false);
    for instance in [&a, &b] {
        let status = instance.service.status(here, &id).await.unwrap();
        assert_eq!(status.offset, 3000);
    }
    let rest = ranged(&bytes.slice(3000..), 3000);
    let digest = sha256(&bytes);
    a.service.finish(here, &id, digest, rest).await.unwrap();
    assert_eq!(pull(&b.service, here, digest, None).await.unwrap(), bytes);
    assert_eq!(region.objects().await, 1);
}

#[tokio::test]
async fn a_session_goes_on_elsewhere_when_the_instance_that_had_it_is_gone() {
    let region = Region::new();
    let (b, here) = (region.instance().await, &region.here);
    let bytes = content(3, 5000);
    // Of its own, so that its end is the end of everything it does.
    let process = Runtime::new().unwrap();
    let store = Arc::new(region.store.of_another_process());
    let cache = Arc::clone(&region.cache) as _;
    let a = process.block_on_outside(region.world.start_on(store, cache, true));
    let id = open(&b.service, here).await.upload;
    let chunk = streamed(&bytes.slice(..1000));
    let id = b.service.append(here, &id, chunk).await.unwrap().upload;
    let (mut send, body) = fed();
    let (service, path, session) = (Arc::clone(&a.service), here.clone(), id.clone());
    process.spawn(async move { drop(service.append(&path, &session, body).await) });
    send.send(bytes.slice(1000..3000)).await.unwrap();
    send.send(Bytes::new()).await.unwrap();
    send.flush().await.unwrap();
    process.shutdown_background();
    drop((send, a));

    let chunk = || ranged(&bytes.slice(1000..2000), 1000);
    let early = b.service.append(here, &id, chunk()).await;
    assert!(matches!(early, Err(UploadError::Busy)), "{early:?}");
    let status = b.service.status(here, &id).await.unwrap();
    assert_eq!(status.offset, 1000);
    region.world.pass(LEASE);
    let status = b.service.append(here, &id, chunk()).await.unwrap();
    assert_eq!(status.offset, 2000);
    let (digest, rest) = (sha256(&bytes), streamed(&bytes.slice(2000..)));
    b.service.finish(here, &id, digest, rest).await.unwrap();
    assert_eq!(pull(&b.service, here, digest, None).await.unwrap(), bytes);
}

/// Drives a future to its end while other runtimes go on.
trait Outside {
    fn block_on_outside<T: Send>(&self, work: impl Future<Output = T> + Send) -> T;
}

impl Outside for Runtime {
    fn block_on_outside<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        std::thread::scope(|scope| scope.spawn(|| self.block_on(work)).join().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_wins_over_a_writer_of_another_instance() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    let bytes = content(4, 5000);
    let id = open(&a.service, here).await.upload;
    let chunk = streamed(&bytes.slice(..1000));
    let id = a.service.append(here, &id, chunk).await.unwrap().upload;
    let (_send, mut request) = under_way(&a, &region, &id, &bytes.slice(1000..2000)).await;
    b.service.cancel(here, &id).await.unwrap();
    // Its client sends nothing more: it is told all the same.
    assert!(request.join_next().await.unwrap().unwrap().is_err());
    for instance in [&a, &b] {
        let status = instance.service.status(here, &id).await;
        assert!(matches!(status, Err(UploadError::Unknown)), "{status:?}");
        let again = instance.service.cancel(here, &id).await;
        assert!(matches!(again, Err(UploadError::Unknown)), "{again:?}");
        assert_eq!(instance.service.open_sessions(), 0);
    }
    assert_eq!(region.objects().await, 0);
}

/// A body that lets others go first between its pieces.
fn slow(bytes: &Bytes, start: u64, mut dice: ChaCha8Rng) -> Transfer {
    let transfer = ranged(bytes, start);
    let pieces = transfer.body.then(move |piece| {
        let pauses = dice.next_u64() % 8;
        async move {
            for _ in 0..pauses {
                yield_now().await;
            }
            piece
        }
    });
    Transfer {
        body: Box::pin(pieces),
        ..transfer
    }
}

/// A client that believes itself alone, and what it was told to be there: from where, and what.
async fn insist(region: &Region, lives: &[Life], id: UploadId, seed: u64) -> Vec<(u64, Bytes)> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let roll = dice.next_u64();
        let life = &lives[usize::try_from(roll % lives.len() as u64).unwrap()];
        match roll / 8 % 8 {
            0 => region.set_cache_away(true),
            1 => region.cache.forget(),
            _ => region.set_cache_away(false),
        }
        let here = &region.here;
        let Ok(status) = life.service.status(here, &id).await else {
            continue;
        };
        let len = usize::try_from(1 + roll / 64 % 3000).unwrap();
        let bytes = content(seed * 1000 + round, len);
        let chunk = slow(&bytes, status.offset, dice.clone());
        match life.service.append(here, &id, chunk).await {
            Ok(_) => acknowledged.push((status.offset, bytes)),
            Err(UploadError::Busy | UploadError::OutOfOrder(_)) => {}
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
        yield_now().await;
    }
    acknowledged
}

#[tokio::test]
async fn two_writers_never_mix_with_the_cache_or_without() {
    let mut both = 0;
    for seed in 0..60 {
        let region = Region::new();
        let lives = [region.instance().await, region.instance().await];
        let here = &region.here;
        let id = open(&lives[0].service, here).await.upload;
        let begin = content(seed, 100);
        let begun = lives[0].service.append(here, &id, streamed(&begin)).await;
        let id = begun.unwrap().upload;
        let (first, second) = futures::join!(
            insist(&region, &lives, id.clone(), 2 * seed + 1),
            insist(&region, &lives, id.clone(), 2 * seed + 2),
        );
        both += u64::from(!first.is_empty() && !second.is_empty());
        let mut all = begin.to_vec();
        let mut acknowledged = [first, second].concat();
        acknowledged.sort_by_key(|(start, _)| *start);
        for (start, bytes) in acknowledged {
            assert_eq!(start, all.len() as u64, "seed {seed}");
            all.extend_from_slice(&bytes);
        }
        region.set_cache_away(false);
        // A lease that could not be given back ends by itself.
        region.world.pass(LEASE);
        let digest = sha256(&all);
        let put = lives[1]
            .service
            .finish(here, &id, digest, Transfer::empty());
        put.await
            .unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let pulled = pull(&lives[0].service, here, digest, None).await.unwrap();
        assert_eq!(pulled, all, "seed {seed}");
    }
    assert!(both > 30, "only {both} of 60 had two writers");
}

#[tokio::test]
async fn a_sweep_leaves_what_another_instance_has_in_hand() {
    let mut region = Region::new();
    region.world.config.uploads.idle_expiry = Duration::from_secs(100);
    let here = region.here.clone();
    let a = region.instance().await;
    let old = region.store.of_another_process().aged();
    let b = region.instance_on(Arc::new(old)).await;
    let bytes = content(5, 5000);
    let id = open(&a.service, &here).await.upload;
    let (send, mut request) = under_way(&a, &region, &id, &bytes.slice(..2000)).await;
    let report = b.service.collect().await.unwrap();
    assert_eq!(report.abandoned.count, 0, "it is in hand");
    drop(send);
    let id = request.join_next().await.unwrap().unwrap().unwrap().upload;
    region.set_cache_away(true);
    let report = b.service.collect().await.unwrap();
    assert_eq!(report.abandoned.count, 0, "it may be in hand");
    region.set_cache_away(false);
    let report = b.service.collect().await.unwrap();
    assert_eq!(report.abandoned.count, 1);
    let put = a
        .service
        .finish(&here, &id, sha256(&bytes), streamed(&bytes.slice(2000..)));
    assert!(put.await.is_err());
    let nothing = stream::iter([]);
    let transfer = Transfer {
        body: Box::pin(nothing),
        ..Transfer::empty()
    };
    let again = a.service.append(&here, &id, transfer).await;
    assert!(matches!(again, Err(UploadError::Unknown)), "{again:?}");
}
