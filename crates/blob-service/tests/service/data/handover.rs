//! Who is sent to a data endpoint, or to the store.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use meridian_blobstore::{BlobStore, MemoryBlobStore};
use meridian_clients::{
    BlobApi, BlobRead, Delivery, Handover, MetadataApi, ReadBlobError, ReadError, RequestId,
};
use meridian_error::{Classify, Code};
use meridian_oci::Digest;

use super::{MINUTE, object};
use crate::harness::{Life, World, content, push, repository};
use crate::turns::Turns;

/// Where a reader is sent: `here`, `link`, or the URL.
async fn sent(
    world: &World,
    life: &Life,
    digest: Digest,
    range: Option<&str>,
    wish: Handover,
) -> String {
    let here = repository("a");
    let delivery = life.service.deliver(&here, digest, range, wish).await;
    match delivery.unwrap().delivery {
        Delivery::Here(BlobRead::Unsatisfiable { .. }) => "nothing".to_owned(),
        Delivery::Here(BlobRead::Whole { size, body } | BlobRead::Part { size, body, .. }) => {
            let pieces: Vec<_> = body.collect().await;
            assert!(size > 0 && pieces.iter().all(Result::is_ok));
            "here".to_owned()
        }
        Delivery::Link { .. } => "link".to_owned(),
        Delivery::Presigned { url, .. } => {
            let key = object(world, digest).to_string();
            url.expose().replace(&key, "it")
        }
    }
}

#[tokio::test]
async fn a_reader_is_sent_where_its_blob_is_if_that_is_worth_it() {
    let store = Arc::new(MemoryBlobStore::new());
    let mut signing = World::with(Arc::clone(&store) as _, Turns::default(), None);
    signing.presign = Some(store);
    let (signing_life, plain) = (signing.start().await, World::new());
    let plain_life = plain.start().await;
    let wish = |by_link, seconds: Option<u64>| Handover {
        at_least: 100,
        by_link,
        presigned: seconds.map(Duration::from_secs),
    };
    let url = "https://store.example/it?expires=60";
    let longest = "https://store.example/it?expires=300";
    for (len, range, wish, of_signing, of_plain) in [
        (1000, None, wish(true, None), "link", "link"),
        (1000, None, wish(false, None), "here", "here"),
        (1000, None, wish(true, Some(60)), url, "link"),
        (1000, None, wish(false, Some(60)), url, "here"),
        (1000, None, wish(false, Some(6000)), longest, "here"),
        (1000, None, wish(true, Some(0)), "link", "link"),
        (1000, Some("bytes=5-6"), wish(true, Some(60)), url, "link"),
        (
            1000,
            Some("bytes=1000-"),
            wish(true, Some(60)),
            "nothing",
            "nothing",
        ),
        (99, None, wish(true, Some(60)), "here", "here"),
        // With its record, whatever is asked for.
        (
            64,
            None,
            Handover {
                at_least: 0,
                ..wish(true, Some(60))
            },
            "here",
            "here",
        ),
    ] {
        for (world, life, expected) in [
            (&signing, &signing_life, of_signing),
            (&plain, &plain_life, of_plain),
        ] {
            let digest = push(&life.service, &repository("a"), &content(len as u64, len)).await;
            let found = sent(world, life, digest.unwrap(), range, wish).await;
            assert_eq!(found, expected, "{len} {range:?} {wish:?}");
        }
    }
    signing_life.stop().await;
    plain_life.stop().await;
}

#[tokio::test]
async fn nobody_is_sent_to_the_store_for_what_it_lost() {
    let store = Arc::new(MemoryBlobStore::new());
    let mut world = World::with(Arc::clone(&store) as _, Turns::default(), None);
    world.presign = Some(store);
    let life = world.start().await;
    let (here, bytes) = (repository("a"), content(7, 100_000));
    let digest = push(&life.service, &here, &bytes).await.unwrap();
    world.store.delete(&object(&world, digest)).await.unwrap();
    let wish = Handover {
        at_least: 1,
        by_link: true,
        presigned: Some(MINUTE),
    };
    let lost = life.service.deliver(&here, digest, None, wish).await;
    let error = lost.map(drop).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    // It was noticed, so a push that asks is told to upload.
    let stat = life.service.stat(&here, digest, true).await;
    assert!(matches!(
        stat.unwrap_err(),
        ReadBlobError::Metadata(ReadError::BlobUnknown)
    ));
    push(&life.service, &here, &bytes).await.unwrap();
    let found = sent(&world, &life, digest, None, wish).await;
    assert_eq!(found, "https://store.example/it?expires=60");
    // What is deleted is absent, wherever it would have been sent from.
    let deleted = world
        .metadata
        .delete_blob(&here, digest, RequestId([7; 16]));
    deleted.await.unwrap();
    let absent = life.service.deliver(&here, digest, None, wish).await;
    let error = absent.map(drop).unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    life.stop().await;
}
