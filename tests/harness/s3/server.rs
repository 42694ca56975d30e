//! S3 in this process, or elsewhere.
#![expect(
    clippy::disallowed_methods,
    reason = "settings of a test that is run by hand against another server"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytesize::ByteSize;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use meridian_blobstore::{S3BlobStore, S3Config};
use meridian_secret::Secret;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::faithful::Faithful;

/// The credentials of the server.
pub const ACCESS_KEY: &str = "test";
/// The same.
pub const SECRET_KEY: &str = "hunter2";
const BUCKET: &str = "blobs";

/// A running server, or one that runs elsewhere.
pub struct S3Server {
    endpoint: String,
    bucket: String,
    root: Option<TempDir>,
    next: AtomicU32,
    _tasks: JoinSet<()>,
}

// === impl S3Server ===

impl S3Server {
    /// One with an empty bucket.
    pub async fn start() -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// The same, which serves whoever connects there.
    pub fn serve(listener: TcpListener) -> Self {
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(Faithful::new(root.path()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = service.clone();
                connections.spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    let served = server.serve_connection(TokioIo::new(stream), service);
                    // A client that goes away is none of our business.
                    drop(served.await);
                });
            }
        });
        Self {
            endpoint: format!("http://{address}"),
            bucket: BUCKET.to_owned(),
            root: Some(root),
            next: AtomicU32::new(0),
            _tasks: tasks,
        }
    }

    /// The one that `S3_TEST_ENDPOINT` names, with the bucket `S3_TEST_BUCKET` (`blobs`), if it is
    /// set. Its credentials are those of this file, unless `S3_TEST_ACCESS_KEY` and
    /// `S3_TEST_SECRET_KEY` are set.
    pub fn elsewhere() -> Option<Self> {
        Some(Self {
            endpoint: std::env::var("S3_TEST_ENDPOINT").ok()?,
            bucket: std::env::var("S3_TEST_BUCKET").unwrap_or_else(|_| BUCKET.to_owned()),
            root: None,
            next: AtomicU32::new(0),
            _tasks: JoinSet::new(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.endpoint
            .strip_prefix("http://")
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Settings of a store in a folder of its own.
    pub fn config(&self) -> S3Config {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let (id, secret) = match &self.root {
            Some(_) => (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned()),
            None => {
                let own = |name, default: &str| {
                    std::env::var(name).unwrap_or_else(|_| default.to_owned())
                };
                (
                    own("S3_TEST_ACCESS_KEY", ACCESS_KEY),
                    own("S3_TEST_SECRET_KEY", SECRET_KEY),
                )
            }
        };
        S3Config {
            bucket: self.bucket.clone(),
            prefix: format!("test-{process}/{number}/"),
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            access_key_id: id,
            secret_access_key: Secret::new(secret),
            part_size: ByteSize::mib(5),
            ..S3Config::default()
        }
    }

    /// A store in a folder of its own.
    pub async fn store(&self) -> S3BlobStore {
        S3BlobStore::open(self.config()).await.unwrap()
    }

    /// The settings, as variables, of a process whose blobs rest here.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.settings_at(&self.endpoint)
    }

    /// The same, for a process that finds it elsewhere.
    pub fn settings_at(&self, endpoint: &str) -> Vec<(String, String)> {
        [
            ("STORE", "s3"),
            ("S3__ENDPOINT", endpoint),
            ("S3__PATH_STYLE", "true"),
            ("S3__BUCKET", BUCKET),
            ("S3__PREFIX", "region/eu/"),
            ("S3__PART_SIZE", "5MiB"),
            ("S3__ACCESS_KEY_ID", ACCESS_KEY),
            ("S3__SECRET_ACCESS_KEY", SECRET_KEY),
        ]
        .map(|(name, value)| (format!("MERIDIAN_BLOBS__{name}"), value.to_owned()))
        .into()
    }

    /// Where it is found.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Loses all objects.
    pub fn lose(&self) {
        let folder = self.folder();
        for name in self.objects() {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
    }

    /// Where the bucket's objects lie.
    pub fn folder(&self) -> PathBuf {
        self.root.as_ref().unwrap().path().join(BUCKET)
    }

    /// The names of all objects in the bucket, in order.
    pub fn objects(&self) -> Vec<String> {
        let folder = self.folder();
        let mut found = Vec::new();
        walk(&folder, &mut |path| {
            found.push(path.strip_prefix(&folder).unwrap().display().to_string());
        });
        found.sort();
        found
    }

    /// How many parts of unfinished uploads the server keeps.
    pub fn parts(&self) -> usize {
        self.names().filter(|name| name.contains(".part-")).count()
    }

    /// How many unfinished uploads the server knows, be they ever so empty.
    pub fn uploads(&self) -> usize {
        let is_one = |name: &String| name.starts_with(".upload-") && name.ends_with(".json");
        self.names().filter(is_one).count()
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let root = self.root.as_ref().unwrap().path();
        let names = std::fs::read_dir(root).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap())
    }
}

fn walk(folder: &Path, see: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, see);
        } else {
            see(&path);
        }
    }
}
