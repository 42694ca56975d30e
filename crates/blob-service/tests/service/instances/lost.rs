//! A cache that forgets, is away, or says what is not so.

use std::sync::Arc;

use bytes::Bytes;
use meridian_blobstore::{Faulty, Operation};
use meridian_clients::{BlobApi, Transfer, UploadError};

use super::Region;
use crate::harness::{content, open, pull, push, ranged, sha256, streamed};

#[tokio::test]
async fn a_cache_that_forgets_costs_a_read_and_nothing_else() {
    for is_away in [false, true] {
        let region = Region::new();
        let counted = Arc::new(Faulty::new(region.store.of_another_process()));
        let a = region.instance_on(Arc::clone(&counted) as _).await;
        let (b, here) = (region.instance().await, &region.here);
        let bytes = content(1, 5000);
        let id = open(&a.service, here).await.upload;
        let chunk = streamed(&bytes.slice(..1000));
        let id = b.service.append(here, &id, chunk).await.unwrap().upload;
        region.cache.forget();
        region.set_cache_away(is_away);
        let chunk = ranged(&bytes.slice(1000..2000), 1000);
        let id = a.service.append(here, &id, chunk).await.unwrap().upload;
        assert_eq!(b.service.status(here, &id).await.unwrap().offset, 2000);
        let (digest, rest) = (sha256(&bytes), streamed(&bytes.slice(2000..)));
        a.service.finish(here, &id, digest, rest).await.unwrap();
        assert_eq!(counted.calls(Operation::Open), 1, "it is hashed once more");
        assert_eq!(pull(&b.service, here, digest, None).await.unwrap(), bytes);
        let repeated = b.service.finish(here, &id, digest, Transfer::empty());
        repeated.await.unwrap();
    }
}

#[tokio::test]
async fn a_session_without_bytes_outlives_the_cache() {
    for is_away in [false, true] {
        let region = Region::new();
        let ((a, b), here) = (region.pair().await, &region.here);
        let bytes = content(2, 5000);
        let id = open(&a.service, here).await.upload;
        region.cache.forget();
        region.set_cache_away(is_away);
        for instance in [&a, &b] {
            assert_eq!(instance.service.status(here, &id).await.unwrap().offset, 0);
        }
        let digest = sha256(&bytes);
        let put = b.service.finish(here, &id, digest, streamed(&bytes));
        put.await.unwrap();
        assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn whole_uploads_and_new_sessions_need_no_cache() {
    let region = Region::new();
    region.set_cache_away(true);
    let (a, here) = (region.instance().await, &region.here);
    let bytes = content(3, 5000);
    let digest = push(&a.service, here, &bytes).await.unwrap();
    assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);
    let id = open(&a.service, here).await.upload;
    let other = content(4, 5000);
    let digest = sha256(&other);
    let put = a.service.finish(here, &id, digest, streamed(&other));
    put.await.unwrap();
    assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), other);
    let wrong = open(&a.service, here).await.upload;
    let put = a
        .service
        .finish(here, &wrong, digest, streamed(&bytes))
        .await;
    assert!(matches!(put, Err(UploadError::DigestDiffers)), "{put:?}");
}

#[tokio::test]
async fn what_is_not_so_is_not_believed() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    let bytes = content(5, 5000);
    let id = open(&a.service, here).await.upload;
    let chunk = streamed(&bytes.slice(..1000));
    let id = a.service.append(here, &id, chunk).await.unwrap().upload;
    let early = region.memos();
    let chunk = ranged(&bytes.slice(1000..2000), 1000);
    a.service.append(here, &id, chunk).await.unwrap();
    let late = region.memos();

    // What was true once, as after a primary that took over without the last writes.
    region.cache.plant(early.clone()).await;
    assert_eq!(b.service.status(here, &id).await.unwrap().offset, 2000);
    let chunk = ranged(&bytes.slice(2000..3000), 2000);
    b.service.append(here, &id, chunk).await.unwrap();
    // What nobody of ours has said.
    let mut forged = late.clone();
    for (_, value) in &mut forged {
        let mut changed = value.to_vec();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        *value = Bytes::from(changed);
    }
    region.cache.plant(forged).await;
    let chunk = ranged(&bytes.slice(3000..4000), 3000);
    a.service.append(here, &id, chunk).await.unwrap();
    region.cache.plant(late).await;
    let digest = sha256(&bytes);
    let rest = ranged(&bytes.slice(4000..), 4000);
    b.service.finish(here, &id, digest, rest).await.unwrap();
    assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);

    // A finished session that is open again has nothing left.
    region.cache.plant(early).await;
    let again = a.service.append(here, &id, streamed(&bytes)).await;
    assert!(matches!(again, Err(UploadError::Unknown)), "{again:?}");
    let repeated = b.service.finish(here, &id, digest, Transfer::empty());
    repeated.await.unwrap();
}

#[tokio::test]
async fn a_hash_of_other_bytes_of_the_same_length_is_not_gone_on_with() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    // Two histories of one session, of which the cache remembers the one that did not come to be.
    let (right, wrong) = (content(6, 2000), content(7, 2000));
    let id = open(&a.service, here).await.upload;
    let id = {
        let begun = a.service.append(here, &id, streamed(&right.slice(..1000)));
        begun.await.unwrap().upload
    };
    let hashed = open(&a.service, here).await.upload;
    let other = a
        .service
        .append(here, &hashed, streamed(&wrong.slice(..1000)));
    other.await.unwrap();
    let memos = region.memos();
    let values: Vec<Bytes> = memos.iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(values.len(), 2);
    let swapped = memos.into_iter().zip(values.into_iter().rev());
    let swapped = swapped.map(|((key, _), value)| (key, value));
    region.cache.plant(swapped.collect()).await;
    let forged = [&wrong[..1000], &right[1000..]].concat();
    let rest = || ranged(&right.slice(1000..), 1000);
    let put = b.service.finish(here, &id, sha256(&forged), rest()).await;
    assert!(matches!(put, Err(UploadError::DigestDiffers)), "{put:?}");
    assert!(pull(&b.service, here, sha256(&forged), None).await.is_err());
}

#[tokio::test]
async fn first_bytes_of_which_nobody_could_be_told_are_not_lost() {
    for at_the_other in [false, true] {
        let region = Region::new();
        let ((a, b), here) = (region.pair().await, &region.here);
        let bytes = content(7, 5000);
        let id = open(&a.service, here).await.upload;
        region.set_cache_away(true);
        let first = if at_the_other { &b } else { &a };
        let chunk = streamed(&bytes.slice(..1000));
        let id = first.service.append(here, &id, chunk).await.unwrap().upload;
        region.set_cache_away(false);
        for instance in [&a, &b] {
            let status = instance.service.status(here, &id).await.unwrap();
            assert_eq!(status.offset, 1000);
        }
        let digest = sha256(&bytes);
        let rest = ranged(&bytes.slice(1000..), 1000);
        b.service.finish(here, &id, digest, rest).await.unwrap();
        assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_lease_of_which_nobody_heard_is_given_back() {
    let region = Region::new();
    let ((a, b), here) = (region.pair().await, &region.here);
    let bytes = content(8, 5000);
    let id = open(&a.service, here).await.upload;
    region.cache.lose_answers(1);
    let chunk = streamed(&bytes.slice(..1000));
    let id = a.service.append(here, &id, chunk).await.unwrap().upload;
    let digest = sha256(&bytes);
    let rest = ranged(&bytes.slice(1000..), 1000);
    b.service.finish(here, &id, digest, rest).await.unwrap();
    assert_eq!(pull(&a.service, here, digest, None).await.unwrap(), bytes);
}
