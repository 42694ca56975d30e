//! The segment format, byte by byte: every version that was ever released can be read, and the
//! current one is what is written. Files are added to the folder, never edited.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meridian_clock::ManualClock;
use meridian_eventlog::{DiskConfig, Record, ShardBatch, StoredRecord};
use serde_json::Value;

use super::folder::{
    SHARDS, append, open, open_at, read_all, segment, segment_size, stored, topic,
};

const CURRENT: &str = "v1";

fn golden() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden/segment")
}

/// Each character stands for one byte.
fn bytes(text: &Value) -> Vec<u8> {
    let byte = |character| u8::try_from(u32::from(character)).unwrap();
    text.as_str().unwrap().chars().map(byte).collect()
}

fn record(json: &Value) -> Record {
    let record = Record::new(bytes(&json["key"]), bytes(&json["payload"]));
    let headers = json["headers"].as_array().unwrap().iter();
    headers.fold(record, |record, header| {
        record.with_header(header[0].as_str().unwrap(), bytes(&header[1]))
    })
}

/// When each group was written, and what.
fn groups(name: &str) -> Vec<(u64, Vec<ShardBatch>)> {
    let text = std::fs::read(golden().join(name).with_extension("json")).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["topic"], topic().as_str());
    assert_eq!(json["shards"], SHARDS);
    let batch = |json: &Value| ShardBatch {
        shard: u16::try_from(json["shard"].as_u64().unwrap()).unwrap(),
        records: json["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(record)
            .collect(),
    };
    let group = |json: &Value| {
        let batches = json["batches"]
            .as_array()
            .unwrap()
            .iter()
            .map(batch)
            .collect();
        (json["at"].as_u64().unwrap(), batches)
    };
    json["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(group)
        .collect()
}

/// What is to be found in the golden segment.
fn expected(name: &str) -> Vec<Vec<StoredRecord>> {
    let groups: Vec<_> = groups(name)
        .into_iter()
        .map(|(_, batches)| batches)
        .collect();
    stored(&groups)
}

/// Writes the groups, then one that no longer fits, so that the first segment is closed.
async fn write(root: &Path) -> Vec<u8> {
    let clock = Arc::new(ManualClock::at(0));
    let log = open_at(root, segment_size(4), &clock).await;
    for (at, batches) in groups(CURRENT) {
        clock.set(at);
        append(&log, batches).await;
    }
    let records = vec![Record::new("", vec![0; 4 << 10])];
    append(&log, vec![ShardBatch { shard: 0, records }]).await;
    std::fs::read(segment(root, 0)).unwrap()
}

#[tokio::test]
async fn what_is_written_is_the_current_version() {
    let root = tempfile::tempdir().unwrap();
    let written = write(root.path()).await;
    let kept = std::fs::read(golden().join(CURRENT).with_extension("bin")).unwrap();
    assert!(
        written == kept,
        "the bytes differ: a new format needs a new version"
    );
}

#[tokio::test]
async fn every_version_can_be_read() {
    let mut versions = 0;
    for entry in std::fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let root = tempfile::tempdir().unwrap();
        let segment = segment(root.path(), 0);
        std::fs::create_dir(segment.parent().unwrap()).unwrap();
        std::fs::copy(&path, &segment).unwrap();
        let log = open(root.path(), DiskConfig::default()).await;
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(read_all(&log).await.unwrap(), expected(name), "{name}");
        versions += 1;
    }
    assert!(versions > 0);
}
