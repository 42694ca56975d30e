//! Settings under which the API would be open to the wrong people do not start.

use std::os::unix::fs::PermissionsExt;

use harness::{DevBuilder, Ended};

use crate::{TOKEN, write_secret};

/// Where it listens, the file of tokens, other settings, and the words of the line that is expected.
type Case<'a> = (
    &'a str,
    Option<&'a str>,
    &'a [(&'a str, &'a str)],
    &'a [&'a str],
);

#[test]
fn each_wrong_setting_is_named_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write_secret(folder.path().join("good").as_path(), TOKEN);
    write_secret(folder.path().join("short").as_path(), "hunter2hunter2");
    write_secret(folder.path().join("empty").as_path(), "\n");
    std::fs::write(file("open"), TOKEN).unwrap();
    std::fs::set_permissions(file("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let port = "[\"127.0.0.1:0\"]";
    let everywhere = "[\"0.0.0.0:0\"]";
    let cases: &[Case<'_>] = &[
        (
            port,
            None,
            &[],
            &["management.token_file", "missing", "openssl rand"],
        ),
        (
            port,
            Some("nothing"),
            &[],
            &["management.token_file", "cannot read"],
        ),
        (
            port,
            Some("short"),
            &[],
            &["management.token_file", "line 1", "32"],
        ),
        (
            port,
            Some("empty"),
            &[],
            &["management.token_file", "empty"],
        ),
        (
            port,
            Some("open"),
            &[],
            &["management.token_file", "644", "chmod 600"],
        ),
        (
            everywhere,
            Some("good"),
            &[],
            &[
                "management.listen",
                "plain HTTP",
                "management.tls",
                "allow_plain_http",
            ],
        ),
        (
            port,
            Some("good"),
            &[("MERIDIAN_MANAGEMENT__CHECK__FRONTEND", "registry")],
            &["management.check.frontend", "`registry`", "https://"],
        ),
        (
            port,
            Some("good"),
            &[("MERIDIAN_MANAGEMENT__TOKENS", "x")],
            &["MERIDIAN_MANAGEMENT__TOKENS", "unknown key"],
        ),
    ];
    for (listen, tokens, more, words) in cases {
        let mut dev =
            DevBuilder::new(folder.path().join("data")).env("MERIDIAN_MANAGEMENT__LISTEN", *listen);
        if let Some(tokens) = tokens {
            dev = dev.env("MERIDIAN_MANAGEMENT__TOKEN_FILE", file(tokens));
        }
        for (name, value) in *more {
            dev = dev.env(name, *value);
        }
        let Err(Ended { status, said }) = dev.try_start() else {
            panic!("it starts, though it should say {words:?}");
        };
        assert_eq!(status.code(), Some(64), "{said}");
        let last = said.trim().lines().last().unwrap();
        for word in *words {
            assert!(last.contains(word), "`{word}` is not in: {said}");
        }
        assert!(!said.contains("hunter2") && !said.contains(TOKEN), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_leaves_the_machine_if_that_is_said_and_a_unix_socket_takes_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    write_secret(&tokens, TOKEN);
    let socket = folder.path().join("operator.sock");
    let listen = format!("[\"0.0.0.0:0\", \"unix:{}\"]", socket.display());
    let dev = DevBuilder::new(folder.path().join("data"))
        .env("MERIDIAN_MANAGEMENT__LISTEN", listen)
        .env("MERIDIAN_MANAGEMENT__TOKEN_FILE", tokens.to_str().unwrap())
        .env("MERIDIAN_MANAGEMENT__ALLOW_PLAIN_HTTP", "true")
        .start();
    tokio::task::block_in_place(|| dev.log_line("as allow_plain_http says"));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = format!("unix:{}", socket.display());
    let output = crate::meridian(&["status", "--server", &server]);
    assert!(output.status.success(), "{output:?}");
}
