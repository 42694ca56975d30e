//! What a hostile manifest costs: memory within a small multiple of its length, and little stack.
//!
//! Alone in its process, because it measures the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use meridian_oci::{MAX_MANIFEST_BYTES, Manifest};

/// For the whole process: itself, the manifest, and what the parser takes.
const MEMORY: u64 = 32 << 20;
/// A thread of a server has four times as much.
const STACK: usize = 512 << 10;
/// Generous: builds of tests are not optimised.
const TIME: Duration = Duration::from_secs(20);

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// `prefix`, as often `unit` as there is room, `suffix`: 4 MiB in all.
fn filled(prefix: &str, mut unit: impl FnMut(usize) -> String, suffix: &str) -> Bytes {
    let mut text = String::with_capacity(MAX_MANIFEST_BYTES);
    text.push_str(prefix);
    for n in 0.. {
        let unit = unit(n);
        if text.len() + unit.len() + suffix.len() > MAX_MANIFEST_BYTES {
            break;
        }
        text.push_str(&unit);
    }
    text.push_str(suffix);
    text.into()
}

/// Objects in objects, each with so many names that its list of names grows to the limit.
fn names_at_every_level() -> Bytes {
    let mut text = "{\"x\":".to_owned();
    for level in 0..62 {
        text.push('{');
        for n in 0..6_800 {
            write!(text, "\"{:x}\":0,", 0x100 + n + level % 2).unwrap();
        }
        text.push_str("\"z\":");
        if text.len() > MAX_MANIFEST_BYTES - 70_000 {
            break;
        }
    }
    text.into()
}

/// A name and how to make the manifest, so that one lives at a time.
type Hostile = (&'static str, Box<dyn Fn() -> Bytes>);

fn made(name: &'static str, make: impl Fn() -> Bytes + 'static) -> Hostile {
    (name, Box::new(make))
}

fn hostile() -> Vec<Hostile> {
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let entry = move |n: usize| {
        format!(
            "{{\"mediaType\":\"a/b\",\"digest\":\"sha256:{n:08x}{}\",\"size\":1}},",
            &digest[8..]
        )
    };
    let named = |n: usize| format!("\"{n:x}\":0,");
    let text = |n: usize| format!("\"{n:x}\":\"{}\",", "x".repeat(400));
    vec![
        made("one-name objects", move || {
            filled("{\"x\":[", |_| "{\"a\":0},".into(), "0]}")
        }),
        made("empty objects", move || {
            filled("{\"x\":[", |_| "{},".into(), "0]}")
        }),
        made("a huge array", move || {
            filled("{\"x\":[", |_| "0,".into(), "0]}")
        }),
        made("open arrays", move || filled("{\"x\":", |_| "[".into(), "")),
        made("open objects", move || {
            filled("{\"x\":", |_| "{\"a\":".into(), "")
        }),
        made("open arrays at the top", move || {
            filled("", |_| "[".into(), "")
        }),
        made("open arrays in a list", move || {
            filled("{\"layers\":", |_| "[".into(), "")
        }),
        made("open arrays in annotations", move || {
            filled("{\"annotations\":{\"a\":", |_| "[".into(), "")
        }),
        made("open objects in a platform", move || {
            filled("{\"config\":{\"platform\":", |_| "{\"a\":".into(), "")
        }),
        made("many names", move || filled("{\"x\":{", named, "\"z\":0}}")),
        made("many names at the top", move || {
            filled("{", named, "\"z\":0}")
        }),
        made("many names at every level", names_at_every_level),
        made("many annotations", move || {
            filled("{\"annotations\":{", text, "\"z\":\"\"}}")
        }),
        made("many descriptors", move || {
            filled("{\"layers\":[", entry, "{}]}")
        }),
        made("many empty descriptors", move || {
            filled("{\"layers\":[", |_| "{},".into(), "{}]}")
        }),
        made("many urls", move || {
            filled("{\"config\":{\"urls\":[", |_| "\"\",".into(), "\"\"]}}")
        }),
        made("one long string", move || {
            filled("{\"x\":\"", |_| "x".into(), "\"}")
        }),
        made("one long escaped string", move || {
            filled("{\"x\":\"", |_| "\\u0061".into(), "\"}")
        }),
        made("one long name", move || {
            filled("{\"", |_| "\\n".into(), "\":0}")
        }),
        made("one long number", move || {
            filled("{\"x\":", |_| "1".into(), "}")
        }),
        made("one long size", move || {
            filled("{\"config\":{\"size\":", |_| "1".into(), "}}")
        }),
        made("one long fraction", move || {
            filled("{\"x\":0.", |_| "1".into(), "}")
        }),
        made("long data", move || {
            filled("{\"config\":{\"data\":\"", |_| "AAAA".into(), "\"}}")
        }),
        made("spaces", move || filled("", |_| " ".into(), "{}")),
    ]
}

/// What `work` returns, and the greatest size of the process meanwhile.
fn measured<T>(work: impl FnOnce() -> T) -> (T, u64) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    (work(), status("VmHWM:"))
}

#[test]
fn hostile_manifests_cost_little() {
    for (name, make) in hostile() {
        let body = make();
        let start = Instant::now();
        let parser = std::thread::Builder::new().stack_size(STACK);
        let (parsed, memory) = measured(|| {
            let parser = parser.spawn(move || Manifest::parse(None, body));
            parser.unwrap().join().expect("the parser does not panic")
        });
        let took = start.elapsed();
        assert!(parsed.is_err(), "{name} was accepted");
        assert!(memory < MEMORY, "{name} took {memory} bytes");
        assert!(took < TIME, "{name} took {took:?}");
    }

    // That the measure sees what it should: a tree of the first of them is far beyond.
    let body = hostile()[0].1();
    let (tree, memory) = measured(|| serde_json::from_slice::<serde_json::Value>(&body).unwrap());
    assert!(
        tree.is_object() && memory > 4 * MEMORY,
        "only {memory} bytes"
    );
}
