//! What is wrong with the settings is told in one line that says what to change; exit code 64.

use std::path::Path;
use std::process::{Command, Output};

use harness::{DevBuilder, Ended, binary};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(binary())
        .arg("run")
        .args(arguments)
        .envs(environment.iter().copied())
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

/// Arguments, environment, and the words of the line that is expected.
type Case<'a> = (Vec<&'a str>, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn each_wrong_setting_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let free = ["--listen", "127.0.0.1:0", "--data-dir", data];
    let of = |role| [&[role], &free[..]].concat();
    let cases: &[Case<'_>] = &[
        (
            vec!["metadata", "--listen", "127.0.0.1:0"],
            &[],
            &["data_dir", "--data-dir"],
        ),
        (
            vec!["blob", "--listen", "127.0.0.1:0"],
            &[],
            &["data_dir", "--data-dir"],
        ),
        (
            vec!["metadata", "--listen", "0.0.0.0:0", "--data-dir", data],
            &[],
            &["0.0.0.0", "plain gRPC", "allow_plain_grpc"],
        ),
        (
            vec!["blob", "--listen", "0.0.0.0:0", "--data-dir", data],
            &[],
            &["0.0.0.0", "plain gRPC", "allow_plain_grpc"],
        ),
        (
            vec!["frontend", "--listen", "0.0.0.0:0"],
            &[],
            &["0.0.0.0", "plain HTTP", "allow_plain_http"],
        ),
        (
            of("blob"),
            &[("MERIDIAN_SERVICES__METADATA", "https://metadata:1")],
            &["services.metadata", "https://metadata:1", "[identity]"],
        ),
        (
            of("frontend"),
            &[("MERIDIAN_SERVICES__BLOB", "127.0.0.1:7402")],
            &["services.blob", "127.0.0.1:7402", "http://"],
        ),
        (
            of("frontend"),
            &[("MERIDIAN_SERVICES__CALLS__DEADLINE", "0s")],
            &["services.calls.deadline", "10ms"],
        ),
        (
            of("frontend"),
            &[("MERIDIAN_SERVICES__CALS__DEADLINE", "1s")],
            &["MERIDIAN_SERVICES__CALS", "did you mean `calls`?"],
        ),
        (
            [&["frontend", "blob"], &free[..]].concat(),
            &[],
            &["--listen", "several"],
        ),
        (
            vec!["metadata", "--data-dir", data],
            &[("MERIDIAN_METADATA__LISTEN", "[]")],
            &["metadata.listen", "empty"],
        ),
        (
            of("blob"),
            &[("MERIDIAN_BLOB__UPLOADS__KEY", "guessable")],
            &["blob.uploads.key", "9 characters"],
        ),
    ];
    for (arguments, environment, words) in cases {
        expect_fault(&run(arguments, environment), words);
    }
}

#[test]
fn a_service_that_there_is_not_is_a_fault_of_the_settings() {
    for arguments in [&["webserver"][..], &[]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(64));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("SERVICE") || said.contains("metadata"),
            "{said}"
        );
    }
}

#[test]
fn an_address_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    let arguments = [
        "metadata",
        "--listen",
        &address,
        "--data-dir",
        data.to_str().unwrap(),
    ];
    expect_fault(
        &run(&arguments, &[]),
        &[&address, "--listen", "metadata.listen"],
    );
    assert!(!data.exists(), "nothing was touched");
}

#[test]
fn a_directory_serves_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DevBuilder::run(&["metadata"], folder.path()).start();
    let refused = |second: DevBuilder| match second.try_start() {
        Ok(_) => panic!("two processes serve from one directory"),
        Err(Ended { status, said }) => {
            assert_eq!(status.code(), Some(64), "{said}");
            assert_eq!(said.trim().lines().count(), 1, "{said}");
            assert!(
                said.contains("in use") && said.contains("--data-dir"),
                "{said}"
            );
        }
    };
    refused(DevBuilder::run(&["metadata"], folder.path()));
    refused(DevBuilder::run(&["blob"], folder.path()));
    refused(DevBuilder::new(folder.path()));
}

#[test]
fn help_tells_services_flags_and_exit_codes() {
    let output = run(&["--help"], &[]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "frontend",
        "blob",
        "metadata",
        "--listen",
        "--data-dir",
        "--config",
        "Examples",
        "Exit codes",
        "64",
        "services.metadata",
    ] {
        assert!(help.contains(word), "`{word}` is not in:\n{help}");
    }
}

#[test]
fn one_file_has_the_settings_of_all_services() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("region.toml");
    let print = |role: &str, more: &[&str]| {
        let output = run(&[&[role, "--print-config"], more].concat(), &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let address = "127.0.0.1:17401";
    let first = print(
        "metadata",
        &["--listen", address, "--data-dir", "/srv/metadata"],
    );
    assert!(
        first.contains(address) && first.contains("/srv/metadata"),
        "{first}"
    );
    std::fs::write(&config, &first).unwrap();
    let path: &Path = &config;
    for role in ["metadata", "blob", "frontend"] {
        assert_eq!(print(role, &["--config", path.to_str().unwrap()]), first);
    }
    // What was printed starts, too: a key that nobody named is that of the directory.
    let data = folder.path().join("blob");
    let blob = DevBuilder::run(&["blob"], &data).arg("--config");
    let waiting = blob.arg(path.to_str().unwrap()).launch();
    waiting.log_line("waiting for the metadata service");
    assert!(waiting.stop().success());
}
