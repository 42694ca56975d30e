//! Clients follow the name of a registry to a region that serves: away from one that is drained, and from one that
//! is lost under their pulls, and back.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use harness::{
    Answer, Client, Content, Dev, DevBuilder, Dns, Image, digest, eventually, replication, seed,
};
use serde_json::Value;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);
const NAME: &str = "registry.test";
const PORT: u16 = 5000;
const REPOSITORY: &str = "team/app";
/// A request that fails is sent again so often, as container engines do.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// How many this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// Two regions, each one process, whose frontends have one port at two addresses.
struct Two {
    folder: TempDir,
    net: u32,
}

// === impl Two ===

impl Two {
    fn new() -> Self {
        let number = std::process::id() * 16 + STARTED.fetch_add(1, Ordering::Relaxed);
        Self {
            folder: tempfile::tempdir().unwrap(),
            net: number % 250,
        }
    }

    fn address(&self, region: usize) -> SocketAddr {
        format!("127.81.{}.{}:{PORT}", self.net, region + 1)
            .parse()
            .unwrap()
    }

    fn door(&self, region: usize) -> String {
        format!("127.81.{}.{}:7405", self.net, region + 1)
    }

    fn start(&self, region: usize) -> Dev {
        let (name, other) = [("eu", "US"), ("us", "EU")][region];
        let roles = ["frontend", "blob", "metadata", "replication"];
        let anywhere = r#"["127.0.0.1:0"]"#;
        DevBuilder::run(&roles, self.dir(region))
            .env("MERIDIAN_REGION", name)
            .env(
                "MERIDIAN_FRONTEND__LISTEN",
                format!("[\"{}\"]", self.address(region)),
            )
            .env("MERIDIAN_FRONTEND__STEERING__EVERY", "100ms")
            .env("MERIDIAN_FRONTEND__STEERING__FALL", "2")
            .env("MERIDIAN_METADATA__LISTEN", anywhere)
            .env("MERIDIAN_BLOB__LISTEN", anywhere)
            .env("MERIDIAN_REPLICATION__LISTEN", anywhere)
            .env(
                "MERIDIAN_REPLICATION__PEER_LISTEN",
                format!("[\"{}\"]", self.door(region)),
            )
            .env(
                &format!("MERIDIAN_REGIONS__{other}__ENDPOINTS"),
                format!("http://{}", self.door(1 - region)),
            )
            .start()
    }

    fn dir(&self, region: usize) -> std::path::PathBuf {
        self.folder.path().join(region.to_string())
    }

    fn client(&self, region: usize) -> Client {
        Client::new(format!("http://{}", self.address(region)))
    }
}

/// `meridian region …`
fn region(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(harness::binary());
    command
        .arg("region")
        .args(arguments)
        .arg("--data-dir")
        .arg(dir);
    command.output().unwrap()
}

/// Asks until it is answered, as often as container engines do.
async fn get(client: &Client, path: &str) -> Result<Answer, String> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match client.get(path).await {
            Ok(answer) if answer.status == 200 => return Ok(answer),
            Ok(answer) => last = answer.status.to_string(),
            Err(error) => last = format!("{error:?}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("{path}: {last}"))
}

/// Pulls an image; returns which region answered for its manifest.
async fn pull(client: &Client, image: &Image) -> Result<String, String> {
    // By digest: for a tag, a region that is behind asks the others.
    let path = format!("/v2/{REPOSITORY}/manifests/{}", image.digest());
    let manifest = get(client, &path).await?;
    assert_eq!(manifest.body, image.manifest);
    let region = manifest
        .header("meridian-region")
        .unwrap_or_default()
        .to_owned();
    for blob in &image.blobs {
        let path = format!("/v2/{REPOSITORY}/blobs/{}", digest(blob));
        assert_eq!(get(client, &path).await?.body, *blob);
    }
    Ok(region)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_led_away_from_a_region_that_is_drained_or_lost_and_back() {
    let two = Two::new();
    let mut eu = Some(two.start(0));
    let _us = two.start(1);
    let image = Content::new(seed(96)).image(&[200, 300_000]);
    eventually("the regions have met", SOON, || async {
        let pushed = two.client(0).push_image(REPOSITORY, "1", &image).await;
        (pushed.ok()?.status == 201).then_some(())
    })
    .await;
    eventually("both have the image", SOON, || async {
        let asked = replication(
            &two.dir(0),
            &["status", &format!("{REPOSITORY}:1"), "--json"],
        );
        let status: Value = serde_json::from_slice(&asked.stdout).ok()?;
        let mut rows = status["regions"].as_array()?.iter();
        rows.all(|row| row["state"] == "complete").then_some(())
    })
    .await;
    let dns = Dns::serve(NAME, vec![two.address(0), two.address(1)]).await;
    let client = Client::at_name(format!("http://{NAME}:{PORT}"), dns.resolver());
    let answered_by = async |region: &str| {
        eventually("the other region answers", SOON, || async {
            (pull(&client, &image).await.unwrap() == region).then_some(())
        })
        .await;
    };
    answered_by("eu").await;

    let drained = region(&two.dir(0), &["drain", "--reason", "new disks"]);
    assert!(drained.status.success(), "{drained:?}");
    answered_by("us").await;
    let health = two
        .client(0)
        .get("/healthz/region")
        .await
        .unwrap()
        .expect(503);
    let health: Value = serde_json::from_slice(&health.body).unwrap();
    assert_eq!(health["status"], "drained");
    assert_eq!(health["reason"], "new disks");
    // It is whole all the same, for whoever comes.
    assert_eq!(pull(&two.client(0), &image).await.unwrap(), "eu");
    assert_eq!(two.client(0).get("/readyz").await.unwrap().status, 200);
    // It stays drained, whatever is started anew.
    eu.take().unwrap().kill();
    eu = Some(two.start(0));
    eventually("it has looked", SOON, || async {
        let health = two.client(0).get("/healthz/region").await.ok()?;
        String::from_utf8_lossy(&health.body)
            .contains("drained")
            .then_some(())
    })
    .await;
    answered_by("us").await;
    let undrained = region(&two.dir(0), &["undrain"]);
    assert!(undrained.status.success(), "{undrained:?}");
    answered_by("eu").await;

    // It is lost under pulls: none of them fails.
    let stop = AtomicBool::new(false);
    let pulls = async {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            pull(&client, &image).await.unwrap();
            count += 1;
        }
        count
    };
    let loss = async {
        tokio::time::sleep(PAUSE).await;
        eu.take().unwrap().kill();
        answered_by("us").await;
        let back = two.start(0);
        answered_by("eu").await;
        stop.store(true, Ordering::Relaxed);
        back
    };
    let (count, _back) = tokio::join!(pulls, loss);
    assert!(count > 10, "only {count} pulls");
}
