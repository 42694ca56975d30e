//! The bytes of everything that outlives the program, as files: rows, entries of the log, keys.
//!
//! `tests/golden/<kind>/v1….bin` is what format 1 wrote, the `.json` beside it is what that means.
//! Every version of the program must read each of them so, and what it writes itself must be among
//! them. Files are added, never edited: a state or a log of that form lies on somebody's disk. To
//! add the missing ones, extend the samples and run `GOLDEN=add cargo test -p meridian-catalog
//! golden`; nothing that exists is written over.

mod samples;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::Value;

use crate::Entry;
use crate::row::{KINDS, Row};
use samples::{Sample, samples};

/// How a kind of record is read: what it means, and how the present program writes that.
type Reader = fn(&[u8]) -> Option<(Value, Vec<u8>)>;

/// A kind of record that outlives the program.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    name: &'static str,
    read: Reader,
}

impl Kind {
    pub(crate) const fn of_row<T: Row>() -> Self {
        Self {
            name: T::NAME,
            read: |bytes| {
                let row = T::decode::<()>(bytes).ok()?;
                Some((serde_json::to_value(&row).ok()?, row.encode()))
            },
        }
    }

    /// The name of its folder.
    fn folder(&self) -> String {
        folder(self.name)
    }
}

/// Entries of the log; whoever keeps the log puts its own format byte before them.
const ENTRY: Kind = Kind {
    name: "entry",
    read: |bytes| {
        let entry: Entry = postcard::from_bytes(bytes).ok()?;
        let again = postcard::to_stdvec(&entry).ok()?;
        Some((serde_json::to_value(&entry).ok()?, again))
    },
};

fn folder(name: &str) -> String {
    name.replace(' ', "-")
}

fn kinds() -> impl Iterator<Item = Kind> {
    KINDS.iter().copied().chain([ENTRY])
}

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).map_or_else(|_| Vec::new(), Iterator::collect);
    let names = entries.into_iter().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

/// Writes what is not there, if that was asked for.
#[expect(
    clippy::disallowed_methods,
    reason = "files are added only when somebody says so"
)]
fn add(file: &Path, content: &[u8]) {
    if std::env::var("GOLDEN").is_ok_and(|wish| wish == "add") && !file.exists() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
}

fn read(file: &Path) -> Vec<u8> {
    let why = || format!("{} is missing; see src/golden.rs", file.display());
    fs::read(file).unwrap_or_else(|_| panic!("{}", why()))
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap();
    text.push(b'\n');
    text
}

#[test]
fn what_is_written_now_is_among_the_files() {
    let mut written = BTreeSet::new();
    for sample in samples() {
        let Sample {
            kind,
            format,
            case,
            bytes,
        } = sample;
        let folder = root().join(folder(kind));
        let file = folder.join(format!("v{format}{case}.bin"));
        let kind = kinds().find(|it| it.name == kind).unwrap();
        let (meaning, _) = (kind.read)(&bytes).unwrap();
        add(&file, &bytes);
        add(&file.with_extension("json"), &pretty(&meaning));
        assert_eq!(read(&file), bytes, "{}", file.display());
        written.insert(kind.name);
    }
    for kind in kinds() {
        assert!(written.contains(kind.name), "no sample of a {}", kind.name);
    }
}

#[test]
fn every_file_is_read_as_it_was_meant() {
    for kind in kinds() {
        let folder = root().join(kind.folder());
        let names = names_in(&folder);
        assert!(!names.is_empty(), "{} is missing", folder.display());
        for name in names.iter().filter(|name| name.ends_with(".bin")) {
            let file = folder.join(name);
            let bytes = read(&file);
            let (meaning, _) =
                (kind.read)(&bytes).unwrap_or_else(|| panic!("{} cannot be read", file.display()));
            let meant: Value = serde_json::from_slice(&read(&file.with_extension("json"))).unwrap();
            assert_eq!(meaning, meant, "{}", file.display());
        }
    }
}

#[test]
fn every_folder_is_of_a_kind() {
    let known: BTreeSet<_> = kinds()
        .map(|kind| kind.folder())
        .chain(["key".into()])
        .collect();
    assert_eq!(names_in(&root()), known);
}

#[test]
fn keys_look_as_they_always_did() {
    for (file, keys) in [
        ("key/v1.json", samples::keys()),
        ("key/v1-of-several-regions.json", samples::later_keys()),
        ("key/v1-of-notices.json", samples::notice_keys()),
        ("key/v1-of-drains.json", samples::drain_keys()),
        ("key/v1-of-tombstones.json", samples::tombstone_keys()),
        ("key/v1-of-repositories.json", samples::repository_keys()),
        ("key/v1-of-webhooks.json", samples::webhook_keys()),
    ] {
        let file = root().join(file);
        add(&file, &pretty(&keys));
        let known: Value = serde_json::from_slice(&read(&file)).unwrap();
        assert_eq!(keys, known);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..120)) {
        let row = [&[1], &bytes[..]].concat();
        for kind in kinds() {
            let _ = (kind.read)(&bytes);
            let _ = (kind.read)(&row);
        }
    }
}

#[test]
fn a_damaged_row_is_told() {
    for Sample { kind, bytes, .. } in samples() {
        let kind = kinds().find(|it| it.name == kind).unwrap();
        assert!((kind.read)(&[]).is_none(), "{}", kind.name);
        let (_, again) = (kind.read)(&bytes).unwrap();
        assert_eq!(again, bytes, "{}", kind.name);
        for length in 1..bytes.len() {
            let cut = (kind.read)(&bytes[..length]);
            assert!(
                cut.is_none(),
                "{} is read from its first {length} bytes",
                kind.name
            );
        }
        if kind.name != ENTRY.name {
            let longer = [&bytes[..], &[0]].concat();
            assert!(
                (kind.read)(&longer).is_none(),
                "{} is read with a byte too many",
                kind.name
            );
            let other = [&[3], &bytes[1..]].concat();
            assert!(
                (kind.read)(&other).is_none(),
                "{} of format 3 is read",
                kind.name
            );
        }
    }
}
