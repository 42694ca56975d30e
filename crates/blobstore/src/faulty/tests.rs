//! Scripted and seeded faults over the memory body.

use std::io::ErrorKind;

use bytes::Bytes;
use futures::StreamExt;
use meridian_error::{Classify, Code};

use super::{Fault, Faulty};
use crate::{BlobKey, BlobStore, BlobWriter, MemoryBlobStore, Operation, WriteError};

fn key(generation: u64) -> BlobKey {
    BlobKey {
        registry: "a".parse().unwrap(),
        epoch: 1,
        generation,
    }
}

async fn put(store: &impl BlobStore, key: &BlobKey, bytes: Bytes) -> Result<u64, WriteError> {
    let mut writer = store.create(key).await.unwrap();
    writer.append(bytes).await?;
    writer.commit().await
}

async fn get(store: &impl BlobStore, key: &BlobKey) -> Bytes {
    let reader = store.open(key, None).await.unwrap();
    reader.into_bytes().await.unwrap()
}

async fn assert_poisoned(writer: &mut Box<dyn BlobWriter>) {
    let chunk = Bytes::from_static(b"more");
    let later = [
        writer.append(chunk).await.err(),
        writer.sync().await.err(),
        writer.truncate(0).await.err(),
    ];
    for failure in later {
        assert!(matches!(failure, Some(WriteError::Poisoned)), "{failure:?}");
    }
}

#[tokio::test]
async fn a_scripted_fault_hits_one_call() {
    let store = Faulty::new(MemoryBlobStore::new());
    put(&store, &key(1), Bytes::from(vec![7; 200_000]))
        .await
        .unwrap();

    store.script(Operation::Stat, 1, Fault::Before(Code::Unavailable));
    assert!(store.stat(&key(1)).await.is_ok());
    let failure = store.stat(&key(1)).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unavailable);
    assert!(store.stat(&key(1)).await.is_ok());

    store.script(Operation::Delete, 0, Fault::After(Code::DeadlineExceeded));
    assert!(store.delete(&key(1)).await.is_err());
    assert_eq!(store.stat(&key(1)).await.unwrap(), None);
    assert_eq!(store.injected(), 2);
}

#[tokio::test]
async fn a_read_can_be_cut_short_or_wrong() {
    let store = Faulty::new(MemoryBlobStore::new());
    let bytes = Bytes::from(vec![7; 200_000]);
    put(&store, &key(1), bytes.clone()).await.unwrap();

    store.script(Operation::Read, 1, Fault::Short);
    let mut reader = store.open(&key(1), None).await.unwrap();
    assert!(reader.next().await.unwrap().is_ok());
    let failure = reader.next().await.unwrap().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::UnexpectedEof);

    store.script(Operation::Read, 0, Fault::Flip);
    let wrong = get(&store, &key(1)).await;
    let differing = wrong.iter().zip(&bytes).filter(|(a, b)| a != b).count();
    assert_eq!((wrong.len(), differing), (bytes.len(), 1));
}

#[tokio::test]
async fn a_writer_that_was_made_to_fail_is_poisoned_and_its_object_gone() {
    for operation in [Operation::Append, Operation::Sync, Operation::Truncate] {
        for fault in [Fault::Before(Code::Internal), Fault::After(Code::Internal)] {
            let store = Faulty::new(MemoryBlobStore::new());
            let mut writer = store.create(&key(1)).await.unwrap();
            store.script(operation, 0, fault);
            let outcome = match operation {
                Operation::Append => writer.append(Bytes::from_static(b"bytes")).await,
                Operation::Sync => writer.sync().await.map(|_| ()),
                _ => writer.truncate(0).await,
            };
            assert!(matches!(outcome, Err(WriteError::Storage(_))));
            assert_poisoned(&mut writer).await;
            assert!(store.list(None, 1).await.unwrap().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_the_same_faults_and_none_of_them_loses_a_committed_object() {
    let run = async |seed| {
        let calm = MemoryBlobStore::new();
        let store = Faulty::seeded(calm.clone(), seed, 5);
        let mut outcomes = Vec::new();
        for generation in 0..40 {
            let key = key(generation);
            let bytes = Bytes::from(generation.to_string());
            let committed = async {
                let mut writer = store.create(&key).await.ok()?;
                writer.append(bytes.clone()).await.ok()?;
                writer.sync().await.ok()?;
                writer.commit().await.ok()
            };
            let committed = committed.await.is_some();
            match calm.open(&key, None).await {
                Ok(reader) => assert_eq!(reader.into_bytes().await.unwrap(), bytes),
                Err(_) => assert!(!committed, "seed {seed} lost object {generation}"),
            }
            outcomes.push(committed);
        }
        (outcomes, store.injected())
    };
    let mut different = 0;
    for seed in 0..20 {
        let (first, second) = (run(seed).await, run(seed).await);
        assert_eq!(first, second, "seed {seed}");
        assert!(first.1 > 0, "seed {seed} injected nothing");
        different += u32::from(first != run(seed + 1_000).await);
    }
    assert!(different > 15);
}
