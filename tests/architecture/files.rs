//! What is asked of each source file: that it says what it is for, and, of a test that is left out,
//! that it says who runs it.

use std::path::{Path, PathBuf};

/// Shorter files are taken in at a glance.
const SHORT: usize = 60;

/// How a reason to leave a test out ends, and the folders whose left-out tests that command runs.
const RUN_BY: &[(&str, &[&str])] = &[
    (
        ": cargo xtask cache",
        &["crates/cache/tests/redis", "tests/roles"],
    ),
    (": cargo xtask crash", &["tests/crash"]),
    (
        ": cargo xtask eventlog",
        &["crates/eventlog/tests/kafka", "tests/roles"],
    ),
    (": cargo xtask faults", &["tests/faults"]),
];

/// The reason of a test that is a process of another one, which starts it with `--ignored`.
const STARTED: &str = "a process that other tests start";

/// Not a test: it asserts nothing, and is run by hand.
const MEASUREMENT: &str = "crates/frontend/tests/api/hot_path.rs";

#[test]
fn files_of_some_length_say_what_they_are_for() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| text.lines().count() > SHORT && !says(path, text))
        .map(|(path, _)| path)
        .collect();
    assert!(
        silent.is_empty(),
        "they do not begin with `//!`: {silent:?}"
    );
}

/// The tests of a module, in a file of their own, have nothing to add to their name.
fn says(path: &Path, text: &str) -> bool {
    text.starts_with("//!") || text.starts_with("#![doc") || path.ends_with("tests.rs")
}

#[test]
fn tests_that_are_left_out_are_run_by_a_command() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for line in text.lines() {
            if let Some(reason) = left_out(line)
                && !is_run(&path, &text, reason)
            {
                wrong.push(format!("{}: {reason:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "nobody runs: {}", wrong.join("; "));
}

/// The reason for which the test below this line is left out; empty if it gives none.
fn left_out(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("#[ignore")?;
    let reason = rest
        .strip_prefix(" = \"")
        .and_then(|it| it.strip_suffix("\"]"));
    Some(reason.unwrap_or_default())
}

fn is_run(path: &Path, text: &str, reason: &str) -> bool {
    let by_command = RUN_BY.iter().any(|(end, folders)| {
        reason.ends_with(end) && folders.iter().any(|folder| path.starts_with(folder))
    });
    let by_test = reason == STARTED && text.contains("\"--ignored\"");
    by_command || by_test || path == Path::new(MEASUREMENT)
}

#[test]
fn a_test_that_nobody_runs_is_seen() {
    let ignored = "#[ignore = \"needs a moon: cargo xtask faults\"]";
    let reason = left_out(ignored).unwrap();
    assert!(is_run(Path::new("tests/faults/rows/a.rs"), "", reason));
    assert!(!is_run(Path::new("tests/group/a.rs"), "", reason));
    assert_eq!(left_out("    #[ignore]"), Some(""));
    assert!(!is_run(Path::new("tests/faults/rows/a.rs"), "", ""));
    assert!(!is_run(Path::new("crates/clock/src/hlc.rs"), "", STARTED));
}

/// All Rust sources of the workspace, by their path in it.
fn sources() -> Vec<(PathBuf, String)> {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let root = package.parent().unwrap();
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}
