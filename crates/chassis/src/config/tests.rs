use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    listen: String,
    threads: u16,
    verbose: bool,
    blob: Blob,
    names: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Blob {
    s3: Store,
    limit: ByteSize,
    #[serde(with = "duration")]
    patience: Duration,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Store {
    bucket: String,
    secret: Option<Secret>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5000".to_owned(),
            threads: 2,
            verbose: false,
            blob: Blob::default(),
            names: Vec::new(),
        }
    }
}

fn env(variables: &[(&str, &str)]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Environment::new("MERIDIAN_", variables.iter().map(owned))
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meridian.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn faults(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (dir, path) = written(file);
    let error = load_from::<Settings>(Some(&path), env(variables), Overrides::default());
    let lines = error.unwrap_err().to_string();
    let dir = format!("{}/", dir.path().display());
    lines.lines().map(|line| line.replace(&dir, "")).collect()
}

#[test]
fn later_layers_win() {
    let file = "threads = 3\nlisten = 'file'\nnames = ['a']\n[blob]\nlimit = '4MiB'\npatience = '90s'\n[blob.s3]\nbucket = 'file'";
    let (_dir, path) = written(file);
    let env = env(&[
        ("MERIDIAN_BLOB__S3__BUCKET", "12345"),
        ("MERIDIAN_THREADS", "7"),
        ("MERIDIAN_VERBOSE", "true"),
        ("MERIDIAN_NAMES", "[b, c]"),
        ("OTHER_THREADS", "9"),
    ]);
    let flags = Overrides::default().set("--listen", "listen", "flag").set(
        "--threads",
        "threads",
        None::<u16>,
    );
    let settings = load_from::<Settings>(Some(&path), env, flags).unwrap();
    assert_eq!(settings.listen, "flag");
    assert_eq!(settings.threads, 7);
    assert!(settings.verbose);
    assert_eq!(settings.blob.s3.bucket, "12345");
    assert_eq!(settings.blob.limit, ByteSize::mib(4));
    assert_eq!(settings.blob.patience, Duration::from_secs(90));
    assert_eq!(settings.names, ["b", "c"]);
}

#[test]
fn defaults_need_no_file() {
    let settings = load_from::<Settings>(None, env(&[]), Overrides::default()).unwrap();
    assert_eq!(settings, Settings::default());
}

#[test]
fn every_fault_is_reported_with_its_place() {
    let file = "thread = 3\n[blob]\nlimit = 'much'\n[blob.s3]\nbukket = 'a'\n";
    let reported = faults(
        file,
        &[
            ("MERIDIAN_THREADS", "many"),
            ("MERIDIAN_BLOB__PATIENCE", "a while"),
            ("MERIDIAN_FRONTEND_SERVICE_HOST", "10.0.0.1"),
        ],
    );
    let find = |start: &str| {
        let found = reported.iter().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start}: {reported:#?}"))
    };
    assert_eq!(
        find("thread "),
        "thread (in meridian.toml): unknown key; did you mean `threads`?"
    );
    assert_eq!(
        find("blob.s3.bukket"),
        "blob.s3.bukket (in meridian.toml): unknown key; did you mean `bucket`?"
    );
    assert!(find("blob.limit (in meridian.toml): ").contains("much"));
    assert!(find("threads (in environment variable MERIDIAN_THREADS): ").contains("u16"));
    assert!(find("blob.patience (in environment variable MERIDIAN_BLOB__PATIENCE): ").len() > 60);
    assert!(find("frontend_service_host").contains("the keys here are listen, threads"));
    assert_eq!(reported.len(), 6, "{reported:#?}");
}

#[test]
fn a_lower_layers_fault_is_not_hidden_by_a_higher_one() {
    let reported = faults("threads = 'x'", &[("MERIDIAN_THREADS", "y")]);
    assert_eq!(reported.len(), 2, "{reported:#?}");
}

#[test]
fn a_flag_is_named_by_its_flag() {
    let flags = Overrides::default().set("--threads", "threads", 70_000);
    let error = load_from::<Settings>(None, env(&[]), flags).unwrap_err();
    assert_eq!(error.exit_code(), 64);
    assert!(
        error
            .to_string()
            .starts_with("threads (in flag --threads): ")
    );
}

#[test]
fn broken_toml_is_one_line_that_says_where() {
    let reported = faults("threads = 3\nlisten =", &[]);
    assert_eq!(reported.len(), 1, "{reported:#?}");
    assert!(
        reported[0].starts_with("meridian.toml: ") && reported[0].contains("line 2"),
        "{reported:#?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let missing = Path::new("/nonexistent/meridian.toml");
    let error = load_from::<Settings>(Some(missing), env(&[]), Overrides::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/meridian.toml: ")
    );
}

#[test]
fn a_secret_comes_from_a_file_that_only_its_owner_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "hunter2\n").unwrap();
    let variables = [("MERIDIAN_BLOB__S3__SECRET_FILE", path.to_str().unwrap())];
    let load = || load_from::<Settings>(None, env(&variables), Overrides::default());

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = load().unwrap_err().to_string();
    assert!(exposed.contains("chmod 600"), "{exposed}");
    assert!(exposed.starts_with(
        "blob.s3.secret_file (in environment variable MERIDIAN_BLOB__S3__SECRET_FILE): "
    ));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let secret = load().unwrap().blob.s3.secret.unwrap();
    assert_eq!(secret.expose(), "hunter2");
}

#[test]
fn a_secret_given_twice_is_a_fault() {
    let reported = faults("[blob.s3]\nsecret = 'a'\nsecret_file = '/nonexistent'", &[]);
    assert_eq!(
        reported,
        [
            "blob.s3.secret_file (in meridian.toml): `blob.s3.secret` is set as well; keep one of the two"
        ]
    );
}

#[test]
fn a_secret_of_the_wrong_type_is_not_repeated() {
    let reported = faults("[blob.s3]\nsecret = 4711", &[]);
    assert!(!reported[0].contains("4711"), "{reported:#?}");
    assert!(reported[0].contains("quotes"), "{reported:#?}");
}

#[test]
fn a_printed_configuration_shows_no_secret() {
    let mut settings = Settings::default();
    settings.blob.s3.secret = Some(Secret::new("hunter2"));
    let printed = serde_json::to_string(&settings).unwrap();
    assert!(printed.contains(r#""secret":"***""#) && !printed.contains("hunter2"));
}
