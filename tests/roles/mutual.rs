//! Services that know each other by their certificates, and nobody else.

use std::path::PathBuf;

use harness::{Authority, Client, Content, Dev, DevBuilder, IdentityFiles, Leaf, seed};
use meridian_proto::meridian::blob::v1 as blob;
use meridian_proto::meridian::metadata::v1 as metadata;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::intruder::intrude;
use crate::registry::{pull, push};

pub(crate) const SERVICES: [&str; 3] = ["metadata", "blob", "frontend"];

/// The processes of a region that call each other over TCP, with an identity each.
pub(crate) struct MutualRegion {
    folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) metadata: Dev,
    pub(crate) blob: Dev,
    pub(crate) frontend: Dev,
}

pub(crate) fn name(role: &str) -> String {
    format!("spiffe://meridian.test/region/eu/role/{role}/{role}-0")
}

// === impl MutualRegion ===

impl MutualRegion {
    pub(crate) fn start() -> Self {
        Self::start_with(|builder| builder)
    }

    /// With settings of the test's own for each process.
    pub(crate) fn start_with(set: impl Fn(DevBuilder) -> DevBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::default();
        let builder = |role: &str| {
            let home = folder.path().join(format!("{role}-identity"));
            let files = IdentityFiles(&home);
            files.trust(&[&authority]);
            files.certify(&authority.issue(&[&name(role)]));
            let builder = DevBuilder::run(&[role], folder.path().join(role));
            let builder = files
                .environment()
                .into_iter()
                .fold(builder, |builder, (name, value)| builder.env(&name, value))
                .env("MERIDIAN_REGION", "eu")
                .env("MERIDIAN_IDENTITY__RELOAD_EVERY", "20ms");
            set(builder)
        };
        let metadata = builder("metadata").start();
        let there = |process: &Dev| process.base().to_owned();
        let blob = builder("blob").env("MERIDIAN_SERVICES__METADATA", there(&metadata));
        let blob = blob.start();
        let frontend = builder("frontend")
            .env("MERIDIAN_SERVICES__METADATA", there(&metadata))
            .env("MERIDIAN_SERVICES__BLOB", there(&blob));
        let frontend = frontend.start();
        Self {
            folder,
            authority,
            metadata,
            blob,
            frontend,
        }
    }

    /// Where the data of a process lie.
    pub(crate) fn data_dir(&self, role: &str) -> PathBuf {
        self.folder.path().join(role)
    }

    /// Where the identity of a process lies.
    pub(crate) fn home(&self, role: &str) -> PathBuf {
        self.folder.path().join(format!("{role}-identity"))
    }

    /// Stops all processes, and leaves their data.
    pub(crate) async fn stop(self) -> TempDir {
        let Self {
            folder,
            metadata,
            blob,
            frontend,
            ..
        } = self;
        for process in [frontend, blob, metadata] {
            let stopped = tokio::task::spawn_blocking(|| process.stop());
            assert!(stopped.await.unwrap().success());
        }
        folder
    }

    pub(crate) fn process(&self, role: &str) -> &Dev {
        match role {
            "metadata" => &self.metadata,
            "blob" => &self.blob,
            _ => &self.frontend,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.frontend.client()
    }
}

/// Calls a service with a message that means nothing: whoever gets as far hears so.
async fn call(service: &str, channel: Channel, token: Option<&'static str>) -> Status {
    let authorize = move |mut request: Request<()>| {
        if let Some(token) = token {
            let token = token.parse().unwrap();
            request.metadata_mut().insert("authorization", token);
        }
        Ok(request)
    };
    match service {
        "metadata" => {
            let mut client =
                metadata::metadata_client::MetadataClient::with_interceptor(channel, authorize);
            let answer = client.get_manifest(metadata::GetManifestRequest::default());
            answer.await.unwrap_err()
        }
        _ => {
            let mut client = blob::blob_client::BlobClient::with_interceptor(channel, authorize);
            client.stat(blob::StatRequest::default()).await.unwrap_err()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_over_mutual_tls_pushes_and_pulls() {
    let region = MutualRegion::start();
    for process in [&region.metadata, &region.blob] {
        assert!(process.base().starts_with("https://127.0.0.1:"));
    }
    let image = Content::new(seed(110)).image(&[100, 40_000, 3_000_000]);
    push(&region.client(), "team/app", "1", &image).await;
    pull(&region.client(), "team/app", "1", &image).await;
}

/// Why a caller is refused: by TLS, or by a status.
enum Refused {
    Handshake,
    Status(Code),
}

struct Case {
    leaf: Option<Leaf>,
    service: &'static str,
    token: Option<&'static str>,
    refused: Refused,
    /// What the service's log says.
    log: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_call_is_refused_and_the_log_says_what_to_change() {
    use Refused::{Handshake, Status};
    let region = MutualRegion::start();
    let (ours, theirs) = (&region.authority, Authority::default());
    let frontend = name("frontend");
    let case = |leaf, service, refused, log| Case {
        leaf,
        service,
        token: None,
        refused,
        log,
    };
    let denied = || Status(Code::PermissionDenied);
    let unknown = || Status(Code::Unauthenticated);
    let issue = |name: &str| Some(ours.issue(&[name]));
    let cases = [
        case(None, "metadata", Handshake, "presents no certificate"),
        case(
            Some(theirs.issue(&[&frontend])),
            "metadata",
            Handshake,
            "identity.ca_file",
        ),
        case(
            Some(ours.issue_expired(&[&frontend])),
            "metadata",
            Handshake,
            "has expired",
        ),
        case(Some(ours.issue(&[])), "metadata", unknown(), "has no name"),
        case(
            issue("spiffe://meridian.test/region/us/role/frontend/0"),
            "blob",
            denied(),
            "region `us`",
        ),
        case(issue(&name("webhooks")), "blob", denied(), "may not call"),
        case(
            issue(&name("operator")),
            "metadata",
            denied(),
            "may not call",
        ),
        Case {
            token: Some("Bearer a.b.c"),
            ..case(issue(&frontend), "metadata", unknown(), "take no tokens")
        },
    ];
    for Case {
        leaf,
        service,
        token,
        refused,
        log,
    } in cases
    {
        let process = region.process(service);
        let status = call(service, intrude(process, leaf.as_ref()), token).await;
        match refused {
            Handshake => {
                let why = std::error::Error::source(&status).is_some();
                assert!(
                    why && status.code() != Code::Unauthenticated,
                    "{log}: {status:?}"
                );
            }
            Status(code) => assert_eq!(status.code(), code, "{log}: {status:?}"),
        }
        let line = tokio::task::block_in_place(|| process.log_line(log));
        assert!(line.contains("WARN"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_gets_as_far_as_its_own_services() {
    let region = MutualRegion::start();
    for (caller, service, allowed) in [
        ("frontend", "metadata", true),
        ("frontend", "blob", true),
        ("blob", "metadata", true),
        ("blob", "blob", false),
        ("metadata", "metadata", false),
        ("metadata", "blob", false),
        ("replication", "metadata", true),
        ("replication", "blob", true),
        ("webhooks", "metadata", true),
        ("operator", "blob", false),
    ] {
        let leaf = region.authority.issue(&[&name(caller)]);
        let channel = intrude(region.process(service), Some(&leaf));
        let status = call(service, channel.clone(), None).await;
        let expected = match allowed {
            true => Code::InvalidArgument,
            false => Code::PermissionDenied,
        };
        assert_eq!(
            status.code(),
            expected,
            "{caller} calls {service}: {status:?}"
        );
        let mut health = HealthClient::new(channel);
        let health = health.check(HealthCheckRequest::default()).await;
        assert!(health.is_ok(), "{caller} asks for the health of {service}");
    }
}

#[test]
fn an_identity_that_is_not_the_processs_own_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let files = IdentityFiles(folder.path());
    files.trust(&[&authority]);
    let start = |leaf: &Leaf| {
        files.certify(leaf);
        let builder = DevBuilder::run(&["metadata"], folder.path().join("data"));
        let environment = files.environment().into_iter();
        let builder = environment.fold(builder, |builder, (name, value)| builder.env(&name, value));
        match builder.env("MERIDIAN_REGION", "eu").try_start() {
            Ok(_) => panic!("it serves"),
            Err(ended) => {
                assert_eq!(ended.status.code(), Some(64), "{}", ended.said);
                ended.said
            }
        }
    };
    for (leaf, words) in [
        (
            authority.issue(&[&name("blob")]),
            "of a blob, and a metadata",
        ),
        (
            authority.issue(&["spiffe://m/region/us/role/metadata/0"]),
            "region `us`",
        ),
        (authority.issue(&[]), "has no name"),
        (
            Authority::default().issue(&[&name("metadata")]),
            "peers that trust",
        ),
    ] {
        let said = start(&leaf);
        assert!(said.contains("cert.pem") && said.contains(words), "{said}");
    }
}
