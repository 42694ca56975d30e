//! The server under test, and what a table needs to fill it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Instant;

use harness::{Dev, DevBuilder, Image, digest};
use meridian_oci::Digest;
use tempfile::TempDir;

use crate::wire::{DEADLINE, Reply, Wire};

pub(crate) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// No table makes the server hold more than this on top of what it started with.
const GROWTH: u64 = 48 << 20;

/// A server, and names in it that nobody else uses.
pub(crate) struct Target {
    address: SocketAddr,
    names: String,
    own: Option<(Dev, Option<TempDir>)>,
    /// Its [peak of memory](Self::peak_memory) before the table.
    began_with: u64,
}

/// What a reply must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    statuses: &'static [u16],
    code: Option<&'static str>,
}

/// One of these statuses.
pub(crate) const fn status(statuses: &'static [u16]) -> Expected {
    Expected {
        statuses,
        code: None,
    }
}

/// A refusal with one of these statuses and this code.
pub(crate) const fn refusal(statuses: &'static [u16], code: &'static str) -> Expected {
    Expected {
        statuses,
        code: Some(code),
    }
}

// === impl Target ===

impl Target {
    pub(crate) fn start() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "how a test is pointed at a server"
        )]
        let given = std::env::var("MERIDIAN_TEST_ADDR").ok();
        let own = given.is_none().then(|| {
            let folder = tempfile::tempdir().unwrap();
            (DevBuilder::new(folder.path()).start(), Some(folder))
        });
        let host = given.unwrap_or_else(|| own.as_ref().unwrap().0.host().to_owned());
        Self::new(&host, own)
    }

    /// A server with other settings than the defaults.
    pub(crate) fn own(builder: &DevBuilder) -> Self {
        let dev = builder.start();
        let host = dev.host().to_owned();
        Self::new(&host, Some((dev, None)))
    }

    fn new(host: &str, own: Option<(Dev, Option<TempDir>)>) -> Self {
        let mut target = Self {
            address: host.to_socket_addrs().unwrap().next().unwrap(),
            names: format!("hostile/{:032x}", rand::random::<u128>()),
            own,
            began_with: 0,
        };
        target.wait_until_ready();
        target.began_with = target.peak_memory();
        target
    }

    /// A server that listens may still be starting, and says so.
    fn wait_until_ready(&self) {
        let began = Instant::now();
        while self.ask("GET /v2/", &[], b"").status == 503 {
            assert!(began.elapsed() < DEADLINE, "it does not become ready");
        }
    }

    /// A repository of this table.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.names)
    }

    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// Sends bytes on a connection of their own.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Reply {
        let mut wire = self.connect();
        wire.send(bytes);
        wire.reply()
    }

    /// Sends a well-framed request: `line` is a method and a target.
    pub(crate) fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut wire = self.connect();
        wire.send(&request(line, headers, body));
        let reply = wire.reply();
        assert_eq!(
            reply.header("docker-distribution-api-version"),
            Some("registry/2.0"),
            "{line}"
        );
        assert!(reply.header("x-request-id").is_some(), "{line}");
        reply
    }

    pub(crate) fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = digest(content);
        let line = format!("POST /v2/{repository}/blobs/uploads/?digest={digest}");
        self.ask(&line, &[], content).must("a blob", status(&[201]));
        digest
    }

    pub(crate) fn push_image(&self, repository: &str, tag: &str, image: &Image) {
        for blob in &image.blobs {
            self.push_blob(repository, blob);
        }
        self.put(repository, tag, OCI, &image.manifest)
            .must("an image", status(&[201]));
    }

    pub(crate) fn put(&self, repository: &str, tag: &str, media_type: &str, body: &[u8]) -> Reply {
        let line = format!("PUT /v2/{repository}/manifests/{tag}");
        self.ask(&line, &[("Content-Type", media_type)], body)
    }

    /// Opens an upload session; the path of its location.
    pub(crate) fn open(&self, repository: &str) -> String {
        let reply = self.ask(&format!("POST /v2/{repository}/blobs/uploads/"), &[], b"");
        reply.must("a session", status(&[202]));
        reply.header("location").unwrap().to_owned()
    }

    /// The most memory that the server ever held, in bytes; of a server that is not ours nothing is
    /// known, and this is 0.
    pub(crate) fn peak_memory(&self) -> u64 {
        let Some((dev, _)) = &self.own else { return 0 };
        let status = std::fs::read_to_string(format!("/proc/{}/status", dev.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() << 10
    }

    /// The server serves after all of this, and never held much for it.
    pub(crate) fn must_serve(&self) {
        self.ask("GET /v2/", &[], b"")
            .must("afterwards", status(&[200]));
        // The kernel counts in batches: a reading may lie a little below an earlier one.
        let grown = self.peak_memory().saturating_sub(self.began_with);
        assert!(grown < GROWTH, "{grown} bytes of memory afterwards");
    }
}

/// The bytes of a well-framed request after which the connection ends.
pub(crate) fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let announced = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let reads = line.starts_with("GET ") || line.starts_with("HEAD ");
    let bodiless = reads && body.is_empty();
    if !announced && !bodiless {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

// === impl Reply ===

impl Reply {
    /// Is as expected, and if it refuses, does so in form.
    #[track_caller]
    pub(crate) fn must(&self, what: &str, expected: Expected) {
        assert!(
            expected.statuses.contains(&self.status),
            "{what}: {} instead of {:?}: {}",
            self.status,
            expected.statuses,
            self.text()
        );
        // The answer to a HEAD announces a body that does not come.
        let is_head = self.body.is_empty() && self.header("content-length") != Some("0");
        if self.status < 400 || is_head {
            return;
        }
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{what}"
        );
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let code = json["errors"][0]["code"].as_str().unwrap();
        assert!(json["errors"][0]["message"].is_string(), "{what}");
        assert!(json["errors"][0].get("detail").is_some(), "{what}");
        if let Some(expected) = expected.code {
            assert_eq!(code, expected, "{what}: {}", self.text());
        }
    }
}
