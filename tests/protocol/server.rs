//! The server under test, and what most tables need to have in it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use harness::{Answer, Dev, DevBuilder, eventually};
use meridian_oci::{Algorithm, Digest};
use tempfile::TempDir;

use crate::table::Table;
use crate::wire::{self, Request, Version, get, post, put};

const START: Duration = Duration::from_secs(30);

/// One server for all tables that run at the same time: it ends with the last of them.
static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

struct Server {
    address: SocketAddr,
    _own: Option<(Dev, TempDir)>,
}

/// A registry, and names in it that no other table uses.
pub(crate) struct Registry {
    server: Arc<Server>,
    names: String,
    version: Version,
}

// === impl Server ===

impl Server {
    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    fn start() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "how a test is pointed at a server"
        )]
        let given = std::env::var("MERIDIAN_TEST_ADDR").ok();
        let own = given.is_none().then(|| {
            let folder = tempfile::tempdir().unwrap();
            (DevBuilder::new(folder.path()).start(), folder)
        });
        let host = given.unwrap_or_else(|| own.as_ref().unwrap().0.host().to_owned());
        Self {
            address: host.to_socket_addrs().unwrap().next().unwrap(),
            _own: own,
        }
    }
}

// === impl Registry ===

impl Registry {
    /// A registry that answers.
    pub(crate) async fn start() -> Self {
        let registry = Self {
            server: Server::shared(),
            names: format!("protocol/{:032x}", rand::random::<u128>()),
            version: Version::Http1,
        };
        eventually("a server that is ready", START, async || {
            let answer = registry.ask(&get("/v2/")).await;
            (answer.status != 503).then_some(())
        })
        .await;
        registry
    }

    /// The same registry, over HTTP/2 with prior knowledge.
    pub(crate) fn over_http2(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            names: self.names.clone(),
            version: Version::Http2,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// A repository of this table.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.names)
    }

    /// A table of rules that stand in `section`.
    pub(crate) fn table(&self, section: &'static str) -> Table<'_> {
        Table::new(self, section)
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        wire::exchange(self.server.address, self.version, request).await
    }

    /// Pushes a blob in the shortest way.
    pub(crate) async fn push_blob(
        &self,
        repository: &str,
        algorithm: Algorithm,
        content: &[u8],
    ) -> Digest {
        let digest = Digest::of(algorithm, content);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.ask(&post(target).body(content.to_vec()))
            .await
            .expect(201);
        digest
    }

    /// Puts a manifest.
    pub(crate) async fn put(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        content: &[u8],
    ) -> Answer {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let request = put(target).header("Content-Type", media_type);
        self.ask(&request.body(content.to_vec())).await.expect(201)
    }

    /// Opens an upload session: its location.
    pub(crate) async fn open(&self, repository: &str) -> String {
        let answer = self
            .ask(&post(format!("/v2/{repository}/blobs/uploads/")))
            .await;
        answer.expect(202).header("location").unwrap().to_owned()
    }
}
