//! Faults one by one, each at the place where it hurts (rows F1 to F6).

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use harness::s3::{Call, Fault, S3Proxy, S3Server};
use meridian_blobstore::{BlobStore, ReadError, S3BlobStore, StorageError, WriteError};
use meridian_error::{Classify, Code, Retry};

use crate::{MIB, append, begun, content, get, key, put};

/// A server, and a store behind a way on which things go wrong. The store does not wait long.
struct World {
    server: S3Server,
    proxy: S3Proxy,
    store: S3BlobStore,
    prefix: String,
}

impl World {
    async fn new() -> Self {
        let server = S3Server::start().await;
        let proxy = S3Proxy::to(server.address()).await;
        let mut config = server.config();
        config.endpoint = Some(proxy.endpoint());
        config.attempt_timeout = Duration::from_secs(2);
        config.deadline = Duration::from_secs(8);
        let prefix = config.prefix.clone();
        Self {
            store: S3BlobStore::open(config).await.unwrap(),
            server,
            proxy,
            prefix,
        }
    }

    fn is_empty(&self) -> bool {
        self.server.objects().is_empty() && self.server.parts() == 0 && self.server.uploads() == 0
    }
}

fn is_transient(error: &impl Classify) -> bool {
    matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_slows_us_down_for_a_while_is_waited_for() {
    let world = World::new().await;
    let bytes = content(1, 12 * MIB);
    for call in [
        Call::Put,
        Call::Begin,
        Call::Part,
        Call::Complete,
        Call::Head,
        Call::Get,
    ] {
        world.proxy.script(call, 2, Fault::SlowDown(None));
    }
    put(&world.store, &key(1), &bytes).await;
    assert!(get(&world.store, &key(1)).await == bytes);
    assert_eq!(world.proxy.met(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_slows_us_down_for_good_is_unavailable_and_says_until_when() {
    let world = World::new().await;
    world
        .proxy
        .script(Call::Head, 1000, Fault::SlowDown(Some(7)));
    let error: StorageError = world.store.stat(&key(1)).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    let after = Some(Duration::from_secs(7));
    assert_eq!(error.retry(), Retry::Yes { after });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_to_have_happened() {
    let world = World::new().await;
    let mut generation = 0;
    for (size, call) in [(100, Call::Put), (12 * MIB, Call::Complete)] {
        for fault in [
            Fault::ErrorAfter,
            Fault::ResetAfter,
            Fault::SilenceAfter,
            Fault::ErrorInSuccess { done: true },
        ] {
            generation += 1;
            let (key, bytes) = (key(generation), content(generation, size));
            let writer = begun(&world.store, &key, &bytes).await;
            world.proxy.script(call, 1, fault);
            assert_eq!(writer.commit().await.unwrap(), size as u64);
            assert!(get(&world.store, &key).await == bytes);
        }
    }
    let objects = world.server.objects().len();
    assert_eq!(objects, 8, "nothing twice, and no note");
    assert_eq!((world.server.parts(), world.server.uploads()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_carries_an_error_is_not_believed() {
    let world = World::new().await;
    let bytes = content(1, 12 * MIB);
    let writer = begun(&world.store, &key(1), &bytes).await;
    let fault = Fault::ErrorInSuccess { done: false };
    world.proxy.script(Call::Complete, 1, fault.clone());
    writer.commit().await.unwrap();
    assert!(get(&world.store, &key(1)).await == bytes);

    let writer = begun(&world.store, &key(2), &bytes).await;
    world.proxy.script(Call::Complete, 1000, fault);
    let error = writer.commit().await.unwrap_err();
    assert!(is_transient(&error), "{error:?}");
    world.proxy.heal();
    assert_eq!(world.store.stat(&key(2)).await.unwrap(), None);
    world.store.delete(&key(2)).await.unwrap();
    assert_eq!(world.server.objects().len(), 1);
    assert_eq!((world.server.parts(), world.server.uploads()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_lost_is_found_at_the_commit() {
    let world = World::new().await;
    let writer = world.store.create(&key(1)).await.unwrap();
    world.proxy.script_nth(Call::Part, 1, Fault::Lose);
    let mut writer = writer;
    append(&mut writer, &content(1, 17 * MIB)).await;
    let error = writer.commit().await.unwrap_err();
    assert_eq!(error.code(), Code::Internal, "{error:?}");
    assert!(matches!(error, WriteError::Storage(_)));
    assert_eq!(world.store.stat(&key(1)).await.unwrap(), None);
    assert!(world.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_came_out_short_is_not_acknowledged() {
    let world = World::new().await;
    for (size, call) in [(100, Call::Put), (12 * MIB, Call::Complete)] {
        let writer = begun(&world.store, &key(1), &content(1, size)).await;
        let name = format!("{}{}", world.prefix, key(1));
        let file = world.server.folder().join(name);
        let shorten = move || {
            let file = std::fs::File::options().write(true).open(&file).unwrap();
            file.set_len(99).unwrap();
        };
        world.proxy.script(call, 1, Fault::Then(Arc::new(shorten)));
        let error = writer.commit().await.unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{error:?}");
        assert!(world.is_empty(), "{:?}", world.server.objects());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_change_on_their_way_up_are_refused_by_their_checksum() {
    let world = World::new().await;
    // Nothing changes bytes here; what a wrong checksum is answered with, is what counts.
    let writer = begun(&world.store, &key(1), &content(1, 100)).await;
    world
        .proxy
        .script(Call::Put, 1, Fault::Refused(400, "BadDigest"));
    let error = writer.commit().await.unwrap_err();
    assert_eq!(error.code(), Code::Internal, "{error:?}");
    assert!(world.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_goes_on_where_it_was() {
    let world = World::new().await;
    let bytes = content(1, 12 * MIB);
    put(&world.store, &key(1), &bytes).await;
    for at in [0, 1, 70_000, 3 * MIB] {
        world.proxy.script(Call::Get, 1, Fault::BreakOff(at));
    }
    assert!(get(&world.store, &key(1)).await == bytes);
    world.proxy.script(Call::Get, 1, Fault::BreakOff(1_000));
    let reader = world.store.open(&key(1), Some(5..2_000_000)).await.unwrap();
    assert!(reader.into_bytes().await.unwrap() == bytes[5..2_000_000]);
    assert_eq!(world.proxy.met(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_again_and_again_fails_visibly() {
    let world = World::new().await;
    put(&world.store, &key(1), &content(1, 12 * MIB)).await;
    world.proxy.script(Call::Get, 1000, Fault::BreakOff(1_000));
    let mut reader = world.store.open(&key(1), None).await.unwrap();
    let mut read = 0;
    let failure = loop {
        match reader.next().await.unwrap() {
            Ok(chunk) => read += chunk.len(),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind(), ErrorKind::UnexpectedEof);
    assert!(read < 12 * MIB && world.proxy.met() < 20);
    assert!(reader.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_shorter_than_its_range_is_never_a_short_object() {
    let world = World::new().await;
    for (generation, size) in [(1, 100_000), (2, 12 * MIB)] {
        let (key, bytes) = (key(generation), content(generation, size));
        put(&world.store, &key, &bytes).await;
        for range in [None, Some(0..size as u64), Some(7..99_000)] {
            world.proxy.script(Call::Get, 1, Fault::Shorten(500));
            let opened = world.store.open(&key, range).await;
            assert!(opened.is_err(), "{opened:?}");
        }
        assert!(get(&world.store, &key).await == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_of_a_whole_object_are_not_yielded_to_the_end() {
    let world = World::new().await;
    put(&world.store, &key(1), &content(1, 100_000)).await;
    for range in [None, Some(0..100_000)] {
        world.proxy.script(Call::Get, 1, Fault::Flip);
        let reader = world.store.open(&key(1), range).await.unwrap();
        let failure = reader.into_bytes().await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::InvalidData);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_absent_only_when_the_store_says_so_of_the_object() {
    let world = World::new().await;
    put(&world.store, &key(1), &content(1, 10)).await;
    let not_found =
        |opened: Result<_, ReadError>| matches!(opened.map(|_| ()), Err(ReadError::NotFound(_)));
    for (status, code) in [
        (403, "AccessDenied"),
        (403, "InvalidAccessKeyId"),
        (403, "RequestTimeTooSkewed"),
        (404, "NoSuchBucket"),
        (410, "Gone"),
    ] {
        let refused = Fault::Refused(status, code);
        world.proxy.script(Call::Head, 1000, refused.clone());
        world.proxy.script(Call::Get, 1000, refused);
        let stat = world.store.stat(&key(1)).await;
        assert!(stat.is_err(), "{code}: {stat:?}");
        for range in [None, Some(0..10), Some(3..3)] {
            let opened = world.store.open(&key(1), range).await;
            assert!(!not_found(opened), "{code}");
        }
        let resumed = world.store.resume(&key(1), None).await;
        assert!(resumed.is_err() || status == 404, "{code}");
        world.proxy.heal();
    }
    assert_eq!(world.store.stat(&key(1)).await.unwrap(), Some(10));
    assert_eq!(world.store.stat(&key(2)).await.unwrap(), None);
    assert!(not_found(world.store.open(&key(2), None).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_whose_answer_is_lost_is_known_to_have_happened() {
    let world = World::new().await;
    let bytes = content(1, 9 * MIB);
    for (generation, fault) in [
        (1, Fault::ErrorAfter),
        (2, Fault::ResetAfter),
        (3, Fault::SilenceAfter),
    ] {
        let key = key(generation);
        let mut writer = begun(&world.store, &key, &bytes.slice(..7 * MIB)).await;
        world.proxy.script(Call::Put, 1, fault);
        assert_eq!(writer.sync().await.unwrap(), 7 << 20);
        append(&mut writer, &bytes.slice(7 * MIB..)).await;
        writer.sync().await.unwrap();
        drop(writer);
        let writer = world.store.resume(&key, None).await.unwrap().unwrap();
        writer.commit().await.unwrap();
        assert!(get(&world.store, &key).await == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_is_the_last_and_what_was_synced_stays() {
    let world = World::new().await;
    let bytes = content(1, 20 * MIB);
    let mut writer = begun(&world.store, &key(1), &bytes.slice(..7 * MIB)).await;
    writer.sync().await.unwrap();
    let state = writer.state();
    world.proxy.script(Call::Part, 1000, Fault::SlowDown(None));
    let mut failure = None;
    for chunk in bytes[7 * MIB..].chunks(MIB) {
        let chunk = bytes::Bytes::copy_from_slice(chunk);
        failure = writer.append(chunk).await.err();
        if failure.is_some() {
            break;
        }
    }
    if failure.is_none() {
        failure = writer.sync().await.err();
    }
    let failure = failure.expect("no part was stored");
    assert!(is_transient(&failure), "{failure:?}");
    assert!(matches!(writer.sync().await, Err(WriteError::Poisoned)));
    drop(writer);
    world.proxy.heal();
    let writer = world.store.resume(&key(1), Some(&state)).await.unwrap();
    let mut writer = writer.unwrap();
    append(&mut writer, &bytes.slice(7 * MIB..)).await;
    writer.commit().await.unwrap();
    assert!(get(&world.store, &key(1)).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_with_another_request_is_tried_again() {
    let world = World::new().await;
    let conflict = Fault::Refused(409, "ConditionalRequestConflict");
    for (generation, size, call) in [(1, 100, Call::Put), (2, 12 * MIB, Call::Complete)] {
        let bytes = content(generation, size);
        let writer = begun(&world.store, &key(generation), &bytes).await;
        world.proxy.script(call, 1, conflict.clone());
        writer.commit().await.unwrap();
        assert!(get(&world.store, &key(generation)).await == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_a_fault_of_the_settings() {
    let server = S3Server::start().await;
    let mut config = server.config();
    config.bucket = "elsewhere".to_owned();
    let error = S3BlobStore::open(config).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(meridian_error::chain(&error).contains("elsewhere"));
    let mut config = server.config();
    config.secret_access_key = meridian_secret::Secret::new("guessed");
    let error = S3BlobStore::open(config).await.unwrap_err();
    assert_eq!(error.code(), Code::Denied);
    // One that is away may come back.
    let mut config = server.config();
    config.endpoint = Some("http://127.0.0.1:9".to_owned());
    config.deadline = Duration::from_millis(500);
    let store = S3BlobStore::open(config).await.unwrap();
    assert!(is_transient(&store.stat(&key(1)).await.unwrap_err()));
}
