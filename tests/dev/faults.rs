//! What is wrong with the settings is told in one line that says what to change; exit code 64.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use harness::{DevBuilder, binary};

fn dev(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .arg("dev")
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .output()
        .unwrap()
}

/// Checks that it ended for its settings, with one line that has all of `words`.
#[track_caller]
fn expect_fault(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = dev(folder.path(), &["--listen", &address]);
    expect_fault(&output, &[&address, "--listen"]);
}

#[test]
fn a_directory_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DevBuilder::new(folder.path()).start();
    let output = dev(folder.path(), &["--listen", "127.0.0.1:0"]);
    expect_fault(&output, &["in use", "--data-dir"]);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = dev(&file.join("data"), &["--listen", "127.0.0.1:0"]);
    expect_fault(&output, &["file/data", "--data-dir"]);
}

#[test]
fn an_unknown_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("meridian.toml");
    std::fs::write(&config, "[frontend]\nlissten = [\"127.0.0.1:0\"]\n").unwrap();
    let output = dev(folder.path(), &["--config", config.to_str().unwrap()]);
    expect_fault(&output, &["lissten", "meridian.toml"]);
}

#[test]
fn an_unknown_variable_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .env("MERIDIAN_METADATA__GRACE", "1h")
        .output()
        .unwrap();
    expect_fault(&output, &["MERIDIAN_METADATA__GRACE"]);
}

#[test]
fn a_bad_value_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("meridian.toml");
    std::fs::write(&config, "[metadata.retention]\ngrace = \"soon\"\n").unwrap();
    let output = dev(folder.path(), &["--config", config.to_str().unwrap()]);
    expect_fault(&output, &["metadata.retention.grace", "soon"]);
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = dev(folder.path(), &["--config", "/nowhere/meridian.toml"]);
    expect_fault(&output, &["/nowhere/meridian.toml"]);
}

#[test]
fn plain_http_for_other_machines_needs_a_yes() {
    let folder = tempfile::tempdir().unwrap();
    let output = dev(folder.path(), &["--listen", "0.0.0.0:0"]);
    expect_fault(&output, &["0.0.0.0", "allow_plain_http"]);
}

#[test]
fn an_unknown_flag_is_a_fault_of_the_settings() {
    let output = Command::new(binary()).arg("--nonsense").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn the_data_are_for_their_user_only() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let _dev = DevBuilder::new(&folder).start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("admin.sock")), 0o600);
    assert_eq!(mode(&folder.join("upload.key")), 0o600);
}

#[test]
fn help_tells_flags_and_exit_codes() {
    let output = Command::new(binary())
        .args(["dev", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for word in [
        "--listen",
        "--data-dir",
        "--config",
        "Exit codes",
        "64",
        "Examples",
    ] {
        assert!(help.contains(word), "`{word}` is not in:\n{help}");
    }
}

#[test]
fn the_settings_in_force_can_be_printed_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let output = dev(
        folder.path(),
        &["--listen", "127.0.0.1:5999", "--print-config"],
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("127.0.0.1:5999"), "{printed}");
    let config = folder.path().join("meridian.toml");
    std::fs::write(&config, &printed).unwrap();
    let output = dev(
        folder.path(),
        &["--config", config.to_str().unwrap(), "--print-config"],
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
}
