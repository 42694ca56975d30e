//! The command line, against a process that is not on this machine.

use std::path::Path;
use std::process::{Command, Output};

use harness::{Authority, DevBuilder, binary, eventually};
use serde_json::Value;

use crate::{Managed, TOKEN, address, meridian, write_secret};

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains(TOKEN), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_works_over_tls_with_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (authority, other) = (Authority::default(), Authority::default());
    let leaf = authority.issue_for_host("localhost");
    std::fs::write(file("cert.pem"), &leaf.certificate).unwrap();
    std::fs::write(file("key.pem"), &leaf.key).unwrap();
    std::fs::write(file("ca.pem"), authority.certificate()).unwrap();
    std::fs::write(file("other.pem"), other.certificate()).unwrap();
    write_secret(Path::new(&file("tokens")), TOKEN);
    let dev = DevBuilder::new(folder.path().join("data"))
        .env("MERIDIAN_MANAGEMENT__LISTEN", "[\"127.0.0.1:0\"]")
        .env("MERIDIAN_MANAGEMENT__TOKEN_FILE", file("tokens"))
        .env("MERIDIAN_MANAGEMENT__TLS__CERT_FILE", file("cert.pem"))
        .env("MERIDIAN_MANAGEMENT__TLS__KEY_FILE", file("key.pem"))
        .env("MERIDIAN_MANAGEMENT__TLS__RELOAD_EVERY", "20ms")
        .start();
    let address = address(&dev);
    let port = address.rsplit(':').next().unwrap();
    let server = format!("https://localhost:{port}");
    let (tokens, ca) = (file("tokens"), file("ca.pem"));
    let ask = |verb: &[&str]| {
        let target = [
            "--server",
            &server,
            "--token-file",
            &tokens,
            "--ca-file",
            &ca,
            "--json",
        ];
        meridian(&[verb, &target].concat())
    };
    assert_eq!(json(&ask(&["status"]))["usage"]["repositories"], 0);
    assert_eq!(
        json(&ask(&["cluster", "status"]))["members"][0]["leads"],
        true
    );
    assert_eq!(json(&ask(&["gc", "--dry-run"]))["more"], false);
    assert!(json(&ask(&["gc"]))["removed"].is_object());
    assert!(json(&ask(&["cluster", "snapshot"]))["snapshot"].is_u64());
    assert_eq!(json(&ask(&["check"]))["passed"], true);
    let events = json(&ask(&["events", "status"]));
    assert_eq!(events["topic"], "meridian.local.events.v1");
    assert_eq!(events["shards"].as_array().unwrap().len(), 16);
    fails(
        &ask(&["cluster", "lead", "00000000000000ff"]),
        1,
        &["the registry answered"],
    );

    // Settings come from the environment as well, which is no setting of a process.
    let mut command = Command::new(binary());
    command
        .env("MERIDIAN_SERVER", &server)
        .env("MERIDIAN_TOKEN_FILE", &tokens)
        .env("MERIDIAN_CA_FILE", &ca);
    assert!(command.arg("status").output().unwrap().status.success());
    let mut command = Command::new(binary());
    command.env("MERIDIAN_SERVER", &server);
    let printed = command.args(["dev", "--print-config"]).output().unwrap();
    assert!(printed.status.success(), "{printed:?}");

    // Whoever is not who they should be gets no token.
    let target = ["--server", &server, "--token-file", &tokens];
    let with = |more: &[&str]| meridian(&[&["status"][..], &target[..], more].concat());
    fails(
        &with(&["--ca-file", &file("other.pem")]),
        1,
        &["cannot be trusted"],
    );
    fails(
        &with(&["--ca-file", &file("none.pem")]),
        64,
        &["cannot read", "none.pem"],
    );
    let by_address = format!("https://127.0.0.1:{port}");
    let output = meridian(&[
        "status",
        "--server",
        &by_address,
        "--token-file",
        &tokens,
        "--ca-file",
        &ca,
    ]);
    fails(&output, 1, &["cannot be trusted"]);

    // A renewed certificate is shown without a restart.
    let leaf = other.issue_for_host("localhost");
    std::fs::write(file("key.pem"), &leaf.key).unwrap();
    std::fs::write(file("cert.pem"), &leaf.certificate).unwrap();
    eventually(
        "the certificate is renewed",
        std::time::Duration::from_secs(20),
        || async {
            let output = with(&["--ca-file", &file("other.pem")]);
            output.status.success().then_some(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_command_line_is_told() {
    let managed = Managed::start();
    let folder = managed.folder.path();
    let server = format!("http://{}", address_of(&managed));
    let tokens = managed.tokens();
    let tokens = tokens.to_str().unwrap();
    let open = folder.join("open");
    std::fs::write(&open, TOKEN).unwrap();
    let wrong = folder.join("wrong");
    write_secret(&wrong, "not-the-token-that-is-known-there");
    let (open, wrong) = (open.to_str().unwrap(), wrong.to_str().unwrap());
    let status = |arguments: &[&str]| meridian(&[&["status"], arguments].concat());
    assert!(
        status(&["--server", &server, "--token-file", tokens])
            .status
            .success()
    );
    fails(
        &status(&["--server", &server]),
        64,
        &["--token-file", "missing"],
    );
    fails(
        &status(&["--server", &server, "--token-file", open]),
        64,
        &["chmod 600"],
    );
    fails(
        &status(&["--server", "meridian"]),
        64,
        &["--server", "https://"],
    );
    let remote = "http://meridian.example:7403";
    fails(
        &status(&["--server", remote, "--token-file", tokens]),
        64,
        &["plain HTTP", "https"],
    );
    let output = status(&["--server", &server, "--token-file", wrong]);
    fails(&output, 1, &["management.token_file"]);
    let away = "http://127.0.0.1:1";
    fails(
        &status(&["--server", away, "--token-file", tokens]),
        1,
        &["127.0.0.1:1"],
    );
    let nobody = folder.join("nobody");
    let nobody = nobody.to_str().unwrap();
    fails(
        &status(&["--data-dir", nobody]),
        1,
        &["no registry is running", "--data-dir"],
    );
    // A directory that is named counts for more than a server that the environment names.
    let mut command = Command::new(binary());
    let data = folder.join("data");
    command
        .env("MERIDIAN_SERVER", away)
        .args(["status", "--data-dir"])
        .arg(data);
    assert!(command.output().unwrap().status.success());
}

#[test]
fn output_that_nobody_takes_is_no_panic() {
    for arguments in [
        &["dev", "--print-config"][..],
        &["dev", "--print-config", "--regions", "eu,us"],
        &["run", "frontend", "--print-config"],
    ] {
        let to = |stdout: std::process::Stdio| {
            let mut command = Command::new(binary());
            command.args(arguments).stdout(stdout).output().unwrap()
        };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = to(writer.into());
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        let full = std::fs::File::options().write(true).open("/dev/full");
        fails(&to(full.unwrap().into()), 1, &["standard output"]);
    }
}

fn address_of(managed: &Managed) -> String {
    managed.api.base().trim_start_matches("http://").to_owned()
}
