//! HTTPS from end to end: a certificate in the settings, and clients that check it.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use harness::{Content, Dev, DevBuilder, Image, digest, eventually, seed};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::region::SOON;

type Incoming = hyper::body::Incoming;

/// A registry with a certificate for `localhost`.
struct Secure {
    folder: TempDir,
    dev: Dev,
}

/// A client of one connection.
struct Client {
    sender: Sender,
    _connection: JoinSet<hyper::Result<()>>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

// === impl Secure ===

impl Secure {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        issue(&folder);
        let dev = DevBuilder::new(folder.path().join("data"))
            .env(
                "MERIDIAN_FRONTEND__TLS__CERT_FILE",
                path(&folder, "cert.pem"),
            )
            .env("MERIDIAN_FRONTEND__TLS__KEY_FILE", path(&folder, "key.pem"))
            .env("MERIDIAN_FRONTEND__TLS__RELOAD_EVERY", "20ms")
            .start();
        Self { folder, dev }
    }

    /// Connects with the protocols that a client offers, trusting the certificate that lies there.
    async fn connect(&self, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let certificate = self.folder.path().join("cert.pem");
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.dev.host()).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Says something that is not TLS and returns what is answered until the end.
    async fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.dev.host()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(SOON, read).await.unwrap().unwrap();
        answer
    }
}

fn issue(folder: &TempDir) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path(folder, "key.pem"), issued.signing_key.serialize_pem()).unwrap();
    std::fs::write(path(folder, "cert.pem"), issued.cert.pem()).unwrap();
}

fn path(folder: &TempDir, name: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    path.to_str().unwrap().to_owned()
}

// === impl Client ===

impl Client {
    async fn http1(stream: TlsStream<TcpStream>) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        Self::over(Sender::Http1(sender), connection)
    }

    async fn http2(stream: TlsStream<TcpStream>) -> Self {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        Self::over(Sender::Http2(sender), connection)
    }

    fn over<C>(sender: Sender, connection: C) -> Self
    where
        C: Future<Output = hyper::Result<()>> + Send + 'static,
    {
        let mut driven = JoinSet::new();
        driven.spawn(connection);
        Self {
            sender,
            _connection: driven,
        }
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Response<Incoming> {
        let request = Request::builder().method(method);
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        let request = match path.contains("/manifests/") {
            true => request.header("content-type", manifest),
            false => request,
        };
        match &mut self.sender {
            Sender::Http1(sender) => {
                let request = request.uri(path).header("host", "localhost");
                let request = request.body(Full::new(body)).unwrap();
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Sender::Http2(sender) => {
                let request = request.uri(format!("https://localhost{path}"));
                let request = request.body(Full::new(body)).unwrap();
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
        }
    }

    async fn get(&mut self, path: &str) -> (StatusCode, Bytes) {
        let answer = self.send(Method::GET, path, Bytes::new()).await;
        let status = answer.status();
        (
            status,
            answer.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    async fn push(&mut self, tag: &str, image: &Image) {
        for blob in &image.blobs {
            let path = format!("/v2/team/app/blobs/uploads/?digest={}", digest(blob));
            let answer = self.send(Method::POST, &path, blob.clone()).await;
            assert_eq!(answer.status(), 201);
            drop(answer.into_body().collect().await.unwrap());
        }
        let path = format!("/v2/team/app/manifests/{tag}");
        let answer = self.send(Method::PUT, &path, image.manifest.clone()).await;
        assert_eq!(answer.status(), 201);
        drop(answer.into_body().collect().await.unwrap());
    }

    async fn pull(&mut self, tag: &str, image: &Image) {
        let manifest = self.get(&format!("/v2/team/app/manifests/{tag}")).await;
        assert_eq!(manifest, (StatusCode::OK, image.manifest.clone()));
        for blob in &image.blobs {
            let path = format!("/v2/team/app/blobs/{}", digest(blob));
            assert_eq!(self.get(&path).await, (StatusCode::OK, blob.clone()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_pushed_and_pulled_over_https_whichever_http_is_spoken() {
    let secure = Secure::start();
    assert!(
        secure.dev.base().starts_with("https://"),
        "{}",
        secure.dev.base()
    );
    let stream = secure.connect(&["http/1.1"]).await.unwrap();
    let mut one = Client::http1(stream).await;
    let stream = secure.connect(&["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut two = Client::http2(stream).await;

    let mut content = Content::new(seed(100));
    let images = [0, 1].map(|_| content.image(&[100, 2_000_000]));
    one.push("1", &images[0]).await;
    two.push("2", &images[1]).await;
    for client in [&mut one, &mut two] {
        client.pull("1", &images[0]).await;
        client.pull("2", &images[1]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_1_2_or_newer_is_refused_and_the_next_client_served() {
    let secure = Secure::start();
    let plain = secure
        .ask(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let plain = String::from_utf8(plain).unwrap();
    assert!(plain.starts_with("HTTP/1.1 400 "), "{plain}");
    assert!(plain.contains("use https"), "{plain}");
    assert!(
        plain.contains("docker-distribution-api-version: registry/2.0"),
        "{plain}"
    );

    // A `ClientHello` of TLS 1.1 (RFC 4346, section 7.4.1.2) and the fatal alert that refuses it.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let alert = secure.ask(&hello).await;
    assert_eq!((alert[0], alert[5], alert.len()), (21, 2, 7));

    let stream = secure.connect(&["http/1.1"]).await.unwrap();
    let (status, _) = Client::http1(stream).await.get("/v2/").await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let secure = Secure::start();
    let stream = secure.connect(&["http/1.1"]).await.unwrap();
    let mut before = Client::http1(stream).await;
    issue(&secure.folder);
    eventually("the renewed certificate is shown", SOON, || async {
        secure.connect(&["http/1.1"]).await.ok()
    })
    .await;
    let (status, _) = before.get("/v2/").await;
    assert_eq!(status, 200);
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    issue(&folder);
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(path(&folder, "key.pem"), other).unwrap();
    let dev = DevBuilder::new(folder.path().join("data"))
        .env(
            "MERIDIAN_FRONTEND__TLS__CERT_FILE",
            path(&folder, "cert.pem"),
        )
        .env("MERIDIAN_FRONTEND__TLS__KEY_FILE", path(&folder, "key.pem"));
    let ended = match dev.try_start() {
        Ok(_) => panic!("it serves"),
        Err(ended) => ended,
    };
    assert_eq!(ended.status.code(), Some(64), "{}", ended.said);
    assert!(
        ended.said.contains("was not issued for the key"),
        "{}",
        ended.said
    );
}
