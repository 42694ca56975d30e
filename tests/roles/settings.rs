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

const KEY: &str = "0123456789abcdef0123456789abcdef";

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
        (
            of("metadata"),
            &[("MERIDIAN_EVENTS__KIND", "kafka")],
            &["events.kafka.brokers", "host:port"],
        ),
        (
            of("metadata"),
            &[("MERIDIAN_METADATA__GROUP__ADVERTISE", "unix:/nowhere")],
            &["events.kind", "Kafka"],
        ),
        (
            of("metadata"),
            &[("MERIDIAN_EVENTS__KIND", "paper")],
            &["MERIDIAN_EVENTS__KIND", "disk", "kafka"],
        ),
        (
            of("blob"),
            &[("MERIDIAN_CACHE__KIND", "redis")],
            &["cache.redis.address", "host:port"],
        ),
        (
            of("blob"),
            &[
                ("MERIDIAN_CACHE__KIND", "redis"),
                ("MERIDIAN_CACHE__REDIS__ADDRESS", "redis://redis:6379"),
                ("MERIDIAN_CACHE__REDIS__PASSWORD_FILE", "/nowhere/password"),
            ],
            &["cache.redis.password_file", "cannot read /nowhere/password"],
        ),
        (
            of("blob"),
            &[
                ("MERIDIAN_CACHE__KIND", "redis"),
                ("MERIDIAN_CACHE__REDIS__ADDRESS", "redis:6379"),
                ("MERIDIAN_CACHE__REDIS__TLS__CA_FILE", "/nowhere/ca.pem"),
            ],
            &["cache.redis.tls.ca_file", "cannot read /nowhere/ca.pem"],
        ),
        (
            of("blob"),
            &[
                ("MERIDIAN_CACHE__KIND", "redis"),
                ("MERIDIAN_CACHE__REDIS__ADDRESS", "redis:6379"),
                ("MERIDIAN_BLOBS__STORE", "s3"),
                ("MERIDIAN_BLOBS__S3__BUCKET", "blobs"),
                ("MERIDIAN_BLOBS__S3__ACCESS_KEY_ID", "id"),
                ("MERIDIAN_BLOBS__S3__SECRET_ACCESS_KEY", "secret"),
            ],
            &["blob.uploads.key: missing", "blob.uploads.key_file"],
        ),
        (
            of("blob"),
            &[("MERIDIAN_BLOBS__STORE", "tape")],
            &["MERIDIAN_BLOBS__STORE", "tape", "disk", "s3"],
        ),
        (
            of("blob"),
            &[
                ("MERIDIAN_BLOBS__STORE", "s3"),
                ("MERIDIAN_BLOBS__S3__ACCESS_KEY_ID", "id"),
                ("MERIDIAN_BLOBS__S3__SECRET_ACCESS_KEY", "secret"),
            ],
            &["blobs.s3.bucket", "missing"],
        ),
        (
            of("blob"),
            &[("MERIDIAN_BLOB__DATA__LISTEN", "[\"127.0.0.1:0\"]")],
            &["blob.data.key", "missing", "`key_file`", "32"],
        ),
        (
            of("blob"),
            &[
                ("MERIDIAN_BLOB__DATA__LISTEN", "[\"127.0.0.1:0\"]"),
                ("MERIDIAN_BLOB__DATA__KEY", "guessable"),
            ],
            &["blob.data.key", "9 characters", "32"],
        ),
        (
            of("blob"),
            &[
                ("MERIDIAN_BLOB__DATA__LISTEN", "[\"0.0.0.0:0\"]"),
                ("MERIDIAN_BLOB__DATA__KEY", KEY),
            ],
            &["blob.data", "0.0.0.0", "plain HTTP", "allow_plain_http"],
        ),
        (
            of("frontend"),
            &[
                ("MERIDIAN_FRONTEND__BLOBS__DELIVERY", "redirect"),
                (
                    "MERIDIAN_FRONTEND__BLOBS__DATA_URL",
                    "https://blobs.example",
                ),
            ],
            &["blob.data.key", "missing", "`key_file`"],
        ),
        (
            of("frontend"),
            &[
                ("MERIDIAN_FRONTEND__BLOBS__DELIVERY", "redirect"),
                ("MERIDIAN_BLOB__DATA__KEY", KEY),
            ],
            &[
                "frontend.blobs.data_url",
                "missing",
                "https://",
                "\"stream\"",
            ],
        ),
        (
            of("frontend"),
            &[(
                "MERIDIAN_FRONTEND__BLOBS__DATA_URL",
                "https://blobs.example/v2",
            )],
            &["MERIDIAN_FRONTEND__BLOBS__DATA_URL", "without a path"],
        ),
        (
            of("frontend"),
            &[("MERIDIAN_FRONTEND__BLOBS__DATA_URL", "http://blobs.example")],
            &["frontend.blobs.data_url", "plain HTTP", "allow_plain_http"],
        ),
        (
            of("frontend"),
            &[("MERIDIAN_FRONTEND__BLOBS__LINK_LIFETIME", "10m")],
            &["frontend.blobs.link_lifetime", "600s", "240s"],
        ),
        (
            of("frontend"),
            &[("MERIDIAN_FRONTEND__BLOBS__DELIVERY", "carrier")],
            &["MERIDIAN_FRONTEND__BLOBS__DELIVERY", "carrier", "stream"],
        ),
        (
            of("frontend"),
            &[(
                "MERIDIAN_FRONTEND__BLOBS__RULES",
                "[{networks = [], delivery = \"stream\"}]",
            )],
            &["frontend.blobs.rules[0].networks", "empty"],
        ),
        (
            of("blob"),
            &[
                ("MERIDIAN_BLOBS__STORE", "s3"),
                ("MERIDIAN_BLOBS__S3__BUCKET", "blobs"),
                (
                    "MERIDIAN_BLOBS__S3__CREDENTIALS_FILE",
                    "/nowhere/credentials",
                ),
            ],
            &[
                "blobs.s3.credentials_file",
                "cannot read /nowhere/credentials",
            ],
        ),
    ];
    for (arguments, environment, words) in cases {
        expect_fault(&run(arguments, environment), words);
    }
}

#[test]
fn what_is_wrong_about_other_regions_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let agent = |listen| vec!["replication", "--listen", listen, "--data-dir", data];
    let us = ("MERIDIAN_REGIONS__US__ENDPOINTS", "http://us:7405");
    let anywhere = ("MERIDIAN_REPLICATION__PEER_LISTEN", "[\"127.0.0.1:0\"]");
    let cases: &[Case<'_>] = &[
        (
            agent("127.0.0.1:0"),
            &[],
            &["regions: none", "[regions.<name>]", "endpoints"],
        ),
        (
            agent("127.0.0.1:0"),
            &[us, ("MERIDIAN_REGION", "us")],
            &["regions.us", "itself", "the others only"],
        ),
        (
            agent("127.0.0.1:0"),
            &[us, ("MERIDIAN_REGIONS__ASIA__EVENTS__KIND", "disk")],
            &["regions.asia.endpoints", "peer_listen"],
        ),
        (
            agent("127.0.0.1:0"),
            &[us, ("MERIDIAN_REGIONS__US__EVENTS__KIND", "kafka")],
            &["regions.us.events.kafka.brokers", "host:port"],
        ),
        (
            agent("127.0.0.1:0"),
            &[us, ("MERIDIAN_REGIONS__US__ENDPOINT", "http://us:1")],
            &[
                "MERIDIAN_REGIONS__US__ENDPOINT",
                "did you mean `endpoints`?",
            ],
        ),
        (
            agent("127.0.0.1:0"),
            &[us, ("MERIDIAN_REPLICATION__PEER_LISTEN", "[]")],
            &["replication.peer_listen", "empty"],
        ),
        (
            agent("127.0.0.1:0"),
            &[us, ("MERIDIAN_REPLICATION__PEERS__MARS__BUDGET", "1 MiB")],
            &["replication.peers.mars", "[regions.mars]"],
        ),
        (
            agent("0.0.0.0:0"),
            &[us, anywhere],
            &["0.0.0.0", "plain gRPC", "replication.allow_plain_grpc"],
        ),
        (
            agent("127.0.0.1:0"),
            &[
                anywhere,
                ("MERIDIAN_REGIONS__US__ENDPOINTS", "https://us:1"),
            ],
            &["regions.us.endpoints", "https://us:1", "[identity]"],
        ),
        (
            vec!["frontend", "--listen", "127.0.0.1:0"],
            &[us, ("MERIDIAN_SERVICES__REPLICATION", "agent:7404")],
            &["services.replication", "agent:7404", "http://"],
        ),
    ];
    for (arguments, environment, words) in cases {
        expect_fault(&run(arguments, environment), words);
    }
}

#[test]
fn events_are_set_up_in_kafka_only() {
    for verb in ["init", "check"] {
        let mut command = Command::new(binary());
        let output = command.args(["events", verb]).output().unwrap();
        expect_fault(&output, &["events.kind", "\"kafka\"", "brokers"]);
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

#[test]
fn a_cache_is_of_no_concern_to_a_process_that_keeps_nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    let metadata =
        DevBuilder::run(&["metadata"], folder.path()).env("MERIDIAN_CACHE__KIND", "redis");
    assert!(metadata.start().stop().success());
    let refused = |role| {
        let process = DevBuilder::run(&[role], folder.path()).env("MERIDIAN_CACHE__KIND", "redis");
        match process.try_start() {
            Ok(_) => panic!("nobody said where its cache is"),
            Err(Ended { status, said }) => {
                assert_eq!(status.code(), Some(64), "{said}");
                assert!(said.contains("cache.redis.address"), "{said}");
            }
        }
    };
    refused("blob");
    refused("frontend");
}
