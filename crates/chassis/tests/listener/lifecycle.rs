//! Connections that come and go: caps, drain, Unix sockets, TLS.

use std::path::PathBuf;
use std::sync::Arc;

use meridian_chassis::http::{HttpConfig, ListenAddress, Listener};
use meridian_chassis::tls::TlsConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Duration, Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Client, PATIENCE, Server, hasty};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: r\r\n\r\n";

#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let config = HttpConfig {
        max_connections_per_address: 2,
        uncapped_networks: Vec::new(),
        ..HttpConfig::default()
    };
    let server = Server::start(config);
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for client in [&mut first, &mut second] {
        client.send(REQUEST).await;
        client.read_until("hello").await;
    }
    let turned_away = server.connect().await.read_to_close().await;
    assert!(turned_away.starts_with("HTTP/1.1 429 "), "{turned_away}");
    assert!(turned_away.contains("TOOMANYREQUESTS"), "{turned_away}");

    drop(first);
    let served = async {
        loop {
            let mut client = server.connect().await;
            client.send(REQUEST).await;
            if client.read_to_close_or("hello").await {
                return;
            }
        }
    };
    timeout(PATIENCE, served).await.unwrap();
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn all_connections_together_have_a_limit() {
    let config = HttpConfig {
        max_connections: 1,
        ..HttpConfig::default()
    };
    let server = Server::start(config);
    let mut first = server.connect().await;
    first.send(REQUEST).await;
    first.read_until("hello").await;
    let turned_away = server.connect().await.read_to_close().await;
    assert!(turned_away.starts_with("HTTP/1.1 503 "), "{turned_away}");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_lets_requests_finish() {
    let mut server = Server::start(HttpConfig::default());
    let mut idle = server.connect().await;
    idle.send(REQUEST).await;
    idle.read_until("hello").await;
    let mut silent = server.connect().await;
    let mut busy = server.connect().await;
    busy.send(REQUEST.replace("GET /", "GET /wait")).await;
    timeout(PATIENCE, server.seen.entered.notified())
        .await
        .unwrap();

    let start = Instant::now();
    server.begin_stop();
    assert_eq!(idle.read_to_close().await, "");
    assert_eq!(silent.read_to_close().await, "");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "long before any limit"
    );
    assert!(TcpStream::connect(server.address).await.is_err());

    server.seen.release.notify_one();
    let answer = busy.read_to_close().await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("waited"), "{answer}");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_rested_serves_again_however_its_bytes_come() {
    let config = HttpConfig {
        rest_after: Duration::from_millis(1),
        ..HttpConfig::default()
    };
    let server = Server::start(config);
    let mut client = server.connect().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for round in 0..10 {
        ticks.tick().await;
        if round % 2 == 0 {
            client.send(REQUEST).await;
        } else {
            for byte in REQUEST.bytes() {
                client.send([byte]).await;
            }
        }
        client.read_until("hello").await;
    }
    ticks.tick().await;
    client.send(REQUEST.repeat(2)).await;
    client.read_until("hello").await;
    ticks.tick().await;
    client.send("GET / HTTP/1.1\nHost: r\n\n").await;
    let answer = client.read_to_close().await;
    assert!(answer.contains("HTTP/1.1 400 "), "{answer}");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_is_served_beside_a_port() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let listener = Listener::bind(&ListenAddress::Unix(path.clone())).unwrap();
    let server = Server::start_with(hasty(), None, vec![listener]);
    let mut client = Client::new(UnixStream::connect(&path).await.unwrap());
    client.send(REQUEST).await;
    client.read_until("hello").await;
    let mut client = server.connect().await;
    client.send(REQUEST).await;
    client.read_until("hello").await;
    server.stopped().await.unwrap();
    assert!(!path.exists());
}

struct Certificates {
    _dir: tempfile::TempDir,
    config: TlsConfig,
}

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { dir.path().join(name) };
        let mut config = TlsConfig::new(path("cert.pem"), path("key.pem"));
        config.reload_every = Duration::from_millis(20);
        let certificates = Self { _dir: dir, config };
        certificates.renew();
        certificates
    }

    fn renew(&self) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&self.config.key_file, issued.signing_key.serialize_pem()).unwrap();
        std::fs::write(&self.config.cert_file, issued.cert.pem()).unwrap();
    }

    async fn connect(
        &self,
        server: &Server,
        versions: &[&'static rustls::SupportedProtocolVersion],
        alpn: &[&str],
    ) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(&self.config.cert_file).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(server.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map(Client::new)
    }
}

const BOTH: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

#[tokio::test]
async fn tls_serves_the_protocol_that_was_agreed_on() {
    let certificates = Certificates::new();
    let server = Server::start_with(hasty(), Some(certificates.config.clone()), Vec::new());
    for version in BOTH {
        let mut client = certificates
            .connect(&server, &[version], &["http/1.1"])
            .await
            .unwrap();
        client.send(REQUEST.replace("GET /", "GET /origin")).await;
        client.read_until("https://r").await;
    }
    let client = certificates
        .connect(&server, &BOTH, &["h2", "http/1.1"])
        .await
        .unwrap();
    let agreed = client.stream.get_ref().1.alpn_protocol();
    assert_eq!(agreed, Some(&b"h2"[..]));
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_or_is_none_is_closed() {
    let certificates = Certificates::new();
    let config = hasty();
    let limit = config.tls_handshake_timeout;
    let server = Server::start_with(config, Some(certificates.config.clone()), Vec::new());
    for first in ["", "\x16\x03\x01"] {
        let mut client = server.connect().await;
        let start = Instant::now();
        client.send(first).await;
        client.read_to_close().await;
        assert!(start.elapsed() < limit + Duration::from_secs(4));
    }
    let mut client = certificates.connect(&server, &BOTH, &[]).await.unwrap();
    client.send(REQUEST).await;
    client.read_until("hello").await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let certificates = Certificates::new();
    let server = Server::start_with(hasty(), Some(certificates.config.clone()), Vec::new());
    let upload = format!("PUT / HTTP/1.1\r\nHost: r\r\n\r\n{}", "x".repeat(10_000));
    for request in [REQUEST, &upload, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let answer = server.ask(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("use https"), "{answer}");
    }
    assert_eq!(server.requests(), 0);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn tls_1_1_is_refused_with_an_alert() {
    let certificates = Certificates::new();
    let server = Server::start_with(hasty(), Some(certificates.config.clone()), Vec::new());
    let mut client = server.connect().await;
    client.send(hello_of_tls_1_1()).await;
    let mut answer = Vec::new();
    let read = client.stream.read_to_end(&mut answer);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    // A fatal alert (RFC 5246, section 7.2).
    assert_eq!((answer[0], answer[5], answer.len()), (21, 2, 7));
    server.stopped().await.unwrap();
}

/// A `ClientHello` (RFC 4346, section 7.4.1.2) that offers one suite and no extension.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let certificates = Certificates::new();
    let server = Server::start_with(hasty(), Some(certificates.config.clone()), Vec::new());
    let mut before = certificates.connect(&server, &BOTH, &[]).await.unwrap();
    certificates.renew();
    let renewed = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while certificates.connect(&server, &BOTH, &[]).await.is_err() {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, renewed).await.unwrap();
    before.send(REQUEST).await;
    before.read_until("hello").await;
    server.stopped().await.unwrap();
}
