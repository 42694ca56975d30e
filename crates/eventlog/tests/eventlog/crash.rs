//! Crashes: whatever the disk holds of the write that was under way, what was acknowledged before it
//! is there, and nothing is invented.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use meridian_eventlog::{DiskConfig, Record, ShardBatch};
use proptest::prelude::*;
use proptest::sample::Index;

use super::folder::{SHARDS, append, open, read_all, segment_size, sizes, stored, topic};
use meridian_eventlog::EventLog;

/// What a crash leaves of the bytes that the interrupted write had put into the file.
#[derive(Debug, Clone)]
enum Torn {
    /// They are as they were written.
    Clean,
    /// From one of them on they are zero: the file grew, its pages did not arrive.
    Zeroed(Index),
    /// One is wrong.
    Flipped(Index),
}

fn record() -> impl Strategy<Value = Record> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let headers = prop::collection::vec(("[a-z]{0,8}", bytes(20)), 0..3);
    (bytes(30), bytes(1_500), headers).prop_map(|(key, payload, headers)| {
        let record = Record::new(key, payload);
        headers.into_iter().fold(record, |record, (name, value)| {
            record.with_header(name, value)
        })
    })
}

/// One append over several shards.
fn group() -> impl Strategy<Value = Vec<ShardBatch>> {
    let batch = prop::collection::vec(record(), 1..5);
    prop::collection::btree_map(0..SHARDS, batch, 1..=usize::from(SHARDS)).prop_map(|batches| {
        let batch = |(shard, records)| ShardBatch { shard, records };
        batches.into_iter().map(batch).collect()
    })
}

fn torn() -> impl Strategy<Value = Torn> {
    prop_oneof![
        Just(Torn::Clean),
        any::<Index>().prop_map(Torn::Zeroed),
        any::<Index>().prop_map(Torn::Flipped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_crash_costs_nothing_that_was_acknowledged(
        groups in prop::collection::vec(group(), 1..20),
        after in prop::collection::vec(group(), 1..3),
        kib in prop::sample::select(vec![4, 32, 1024]),
        interrupted in any::<Index>(),
        reached in any::<Index>(),
        torn in torn(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let interrupted = interrupted.index(groups.len());
        runtime.block_on(crash(&groups, &after, &segment_size(kib), interrupted, &reached, &torn));
    }
}

async fn crash(
    groups: &[Vec<ShardBatch>],
    after: &[Vec<ShardBatch>],
    config: &DiskConfig,
    interrupted: usize,
    reached: &Index,
    torn: &Torn,
) {
    let (alive, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(alive.path(), config.clone()).await;
    log.create_topic(&topic(), SHARDS).await.unwrap();
    for group in &groups[..interrupted] {
        append(&log, group.clone()).await;
    }
    let before = sizes(alive.path());
    append(&log, groups[interrupted].clone()).await;
    let write = Write::between(&before, &sizes(alive.path()));
    write.leave(alive.path(), crashed.path(), reached, torn);
    drop(log);

    let log = open(crashed.path(), config.clone()).await;
    let found = read_all(&log).await.unwrap();
    let (without, with) = (
        stored(&groups[..interrupted]),
        stored(&groups[..=interrupted]),
    );
    assert!(found == without || found == with, "{found:?}");
    let survived = if found == with {
        interrupted + 1
    } else {
        interrupted
    };

    let mut all = groups[..survived].to_vec();
    for group in after {
        append(&log, group.clone()).await;
        all.push(group.clone());
    }
    drop(log);
    let log = open(crashed.path(), config.clone()).await;
    assert_eq!(read_all(&log).await.unwrap(), stored(&all));
}

/// What one append changed: files that it lengthened or made, in the order in which it did.
struct Write {
    /// Files that it did not touch, with their sizes.
    before: BTreeMap<PathBuf, u64>,
    /// A file, its size before, and its size after.
    grown: Vec<(PathBuf, u64, u64)>,
}

impl Write {
    fn between(before: &BTreeMap<PathBuf, u64>, after: &BTreeMap<PathBuf, u64>) -> Self {
        let grown = after.iter().filter_map(|(path, size)| {
            // A file gets its name when its header is durable, so its header is never torn.
            let before = before.get(path).copied();
            let before = before.unwrap_or_else(|| header_size(path));
            (before < *size).then(|| (path.clone(), before, *size))
        });
        Self {
            before: before.clone(),
            grown: grown.collect(),
        }
    }

    /// Copies a log as it would be if the write had reached a random byte only.
    fn leave(&self, from: &Path, to: &Path, reached: &Index, torn: &Torn) {
        let total: u64 = self
            .grown
            .iter()
            .map(|(_, before, after)| after - before)
            .sum();
        let mut left = reached.index(usize::try_from(total).unwrap() + 1) as u64;
        let place = |path: &Path| to.join(path.strip_prefix(from).unwrap());
        for (path, size) in &self.before {
            copy(path, &place(path), *size);
        }
        for (path, before, after) in &self.grown {
            let arrived = left.min(after - before);
            copy(path, &place(path), before + arrived);
            left -= arrived;
            if before + arrived < *after {
                tear(&place(path), *before, arrived, torn);
                fs::write(place(path).with_extension("new"), b"not yet a segment").unwrap();
                return;
            }
        }
        if let Some((path, before, after)) = self.grown.last() {
            tear(&place(path), *before, after - before, torn);
        }
    }
}

fn copy(from: &Path, to: &Path, size: u64) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
    let file = OpenOptions::new().write(true).open(to).unwrap();
    file.set_len(size).unwrap();
}

/// Damages some of the `length` bytes from `start` on.
fn tear(path: &Path, start: u64, length: u64, torn: &Torn) {
    if length == 0 {
        return;
    }
    let at = |index: &Index| start + index.index(usize::try_from(length).unwrap()) as u64;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    match torn {
        Torn::Clean => {}
        Torn::Zeroed(index) => {
            let zeros = vec![0; usize::try_from(start + length - at(index)).unwrap()];
            file.write_all_at(&zeros, at(index)).unwrap();
        }
        Torn::Flipped(index) => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at(index)).unwrap();
            byte[0] ^= 0x10;
            file.write_all_at(&byte, at(index)).unwrap();
        }
    }
}

/// The header: 20 bytes, a base per shard, the topic's length and name, and a checksum.
fn header_size(path: &Path) -> u64 {
    assert!(
        path.extension().is_some_and(|extension| extension == "seg"),
        "{path:?}"
    );
    20 + 8 * u64::from(SHARDS) + 2 + topic().as_str().len() as u64 + 4
}
