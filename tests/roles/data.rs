//! Blobs that do not go through a frontend: a region with two blob services on one bucket, each with
//! a data endpoint over TLS, behind a name that leads to either in turn.

mod policy;
mod reads;
mod refusals;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use harness::{Answer, Client, Dev, DevBuilder, S3Server, digest};
use hyper::Method;
use meridian_oci::Digest;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::https::certify;

const MIB: usize = 1024 * 1024;
const KEY: &str = "the old one: 0123456789abcdef0123456789abcdef";

/// A region whose frontend sends clients to its data endpoints.
struct DataRegion {
    folder: TempDir,
    bucket: S3Server,
    endpoints: Balancer,
    _metadata: Dev,
    blobs: Vec<Dev>,
    frontend: Dev,
}

/// Leads each connection to the next of several addresses.
struct Balancer {
    address: SocketAddr,
    led: Arc<Vec<AtomicUsize>>,
    _task: JoinSet<()>,
}

// === impl Balancer ===

impl Balancer {
    async fn over(addresses: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let led: Arc<Vec<_>> = Arc::new(addresses.iter().map(|_| AtomicUsize::new(0)).collect());
        let counts = Arc::clone(&led);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            for turn in 0.. {
                let (mut client, _) = listener.accept().await.unwrap();
                let turn = turn % addresses.len();
                let address = addresses[turn].clone();
                counts[turn].fetch_add(1, Ordering::Relaxed);
                connections.spawn(async move {
                    let mut server = TcpStream::connect(address).await.unwrap();
                    // Either may be cut; that is what tests are about.
                    drop(copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self {
            address,
            led,
            _task: task,
        }
    }
}

// === impl DataRegion ===

impl DataRegion {
    /// `settings` are the frontend's own.
    async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bucket = S3Server::start().await;
        let tls = certify(folder.path(), "BLOB__DATA");
        let home = |name: &str| folder.path().join(name);
        let metadata = DevBuilder::run(&["metadata"], home("metadata")).start();
        let keyed = |builder: DevBuilder| {
            let builder = builder.env("MERIDIAN_SERVICES__METADATA", metadata.base());
            builder.env("MERIDIAN_BLOB__DATA__KEY", keys(&[KEY]))
        };
        let blobs: Vec<Dev> = ["blob-0", "blob-1"]
            .iter()
            .map(|name| {
                let builder = keyed(DevBuilder::run(&["blob"], home(name)))
                    .env("MERIDIAN_BLOB__UPLOADS__KEY", keys(&["upload"]))
                    .env("MERIDIAN_BLOB__DATA__LISTEN", "[\"127.0.0.1:0\"]")
                    .env("MERIDIAN_LOG__ACCESS_LOG", "true");
                let settings = bucket.settings().into_iter().chain(tls.clone());
                let builder = settings.fold(builder, |it, (name, value)| it.env(&name, value));
                builder.start()
            })
            .collect();
        let places = blobs.iter().map(|blob| {
            let place = blob.place("data endpoint");
            place.strip_prefix("https://").unwrap().to_owned()
        });
        let endpoints = Balancer::over(places.collect()).await;
        // The name that the certificate has.
        let data_url = format!("https://localhost:{}", endpoints.address.port());
        let services: Vec<_> = blobs.iter().map(|it| format!("{:?}", it.base())).collect();
        let frontend = keyed(DevBuilder::run(&["frontend"], home("frontend")))
            .env(
                "MERIDIAN_SERVICES__BLOB",
                format!("[{}]", services.join(",")),
            )
            .env("MERIDIAN_FRONTEND__BLOBS__DATA_URL", data_url)
            .env("MERIDIAN_LOG__ACCESS_LOG", "true");
        let frontend = settings
            .iter()
            .fold(frontend, |it, (name, value)| it.env(name, *value))
            .start();
        Self {
            folder,
            bucket,
            endpoints,
            _metadata: metadata,
            blobs,
            frontend,
        }
    }

    async fn redirecting() -> Self {
        Self::start(&[("MERIDIAN_FRONTEND__BLOBS__DELIVERY", "redirect")]).await
    }

    fn client(&self) -> Client {
        self.frontend.client()
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Where the data endpoints are, for those who were not sent.
    fn data_url(&self) -> String {
        format!("https://localhost:{}", self.endpoints.address.port())
    }

    /// Pushes a blob through one upload.
    async fn push(&self, blob: &Bytes) -> Digest {
        let pushed = self.client().push_blob("team/app", blob.clone()).await;
        pushed.unwrap().expect(201);
        digest(blob)
    }

    /// Where a client is sent for a blob.
    async fn sent(&self, blob: Digest, headers: &[(&str, &str)]) -> String {
        location(&ask(&self.client(), blob, headers).await)
    }
}

/// GET of a blob, of the frontend.
async fn ask(client: &Client, blob: Digest, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/v2/team/app/blobs/{blob}");
    let answer = client.send(Method::GET, &path, headers, Bytes::new()).await;
    answer.unwrap()
}

#[track_caller]
fn location(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 307, "{text}");
    answer.header("location").unwrap().to_owned()
}

/// Keys that are long enough.
fn keys(names: &[&str]) -> String {
    let keys = names.iter().map(|name| {
        let name: String = name.split_whitespace().collect();
        format!("{name:-<40}")
    });
    keys.collect::<Vec<_>>().join("\n")
}

fn refused(answer: &Answer, status: u16, words: &[&str]) {
    let said = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{said}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// Stops the processes and looks at all that they have said.
fn never_shown(region: &DataRegion) {
    let processes = region.blobs.iter().chain([&region.frontend]);
    let said = processes.map(|process| {
        process.ask_to_stop();
        process.said()
    });
    let said = said.collect::<Vec<_>>().join("\n");
    for path in ["/v2/team/app/blobs/", "/blobs/default/team/app/"] {
        assert!(said.contains(path), "{said}");
    }
    for secret in ["signature=", "Signature=", "expires="] {
        assert!(!said.contains(secret), "{said}");
    }
}
