//! A client of one request, over TLS with a certificate that it checks, or without.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use harness::Answer;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// An answer of which the body is yet to come.
pub(crate) struct Pending {
    response: hyper::Response<hyper::body::Incoming>,
    _connection: JoinSet<()>,
}

/// Puts a certificate for `localhost` into a folder, with its key; the settings that name them, as
/// variables of a section.
pub(crate) fn certify(folder: &Path, section: &str) -> [(String, String); 2] {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    std::fs::write(&cert, issued.cert.pem()).unwrap();
    let of = |name: &str, path: &Path| {
        let path = path.to_str().unwrap().to_owned();
        (format!("MERIDIAN_{section}__TLS__{name}"), path)
    };
    [of("CERT_FILE", &cert), of("KEY_FILE", &key)]
}

/// Sends a request to a URL and waits for the head of its answer. `trusted` is the certificate that
/// an `https` URL has to show.
pub(crate) async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    trusted: &Path,
) -> Pending {
    let url: Uri = url.parse().unwrap();
    let authority = url.authority().unwrap().as_str();
    let stream = TcpStream::connect(authority).await.unwrap();
    let target = url.path_and_query().unwrap().as_str();
    let mut request = Request::builder().method(method).uri(target);
    request = request.header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::default()).unwrap();
    match url.scheme_str() {
        Some("https") => {
            let name = ServerName::try_from(url.host().unwrap().to_owned()).unwrap();
            let connector = connector(trusted);
            over(connector.connect(name, stream).await.unwrap(), request).await
        }
        _ => over(stream, request).await,
    }
}

/// GET of a URL.
pub(crate) async fn get(url: &str, headers: &[(&str, &str)], trusted: &Path) -> Answer {
    send(Method::GET, url, headers, trusted).await.whole().await
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Pending
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driven = JoinSet::new();
    driven.spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await.unwrap();
    Pending {
        response,
        _connection: driven,
    }
}

fn connector(trusted: &Path) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

// === impl Pending ===

impl Pending {
    /// At least `bytes` of the body; then the connection is cut.
    pub(crate) async fn begin(mut self, bytes: usize) -> Vec<u8> {
        let mut begun = Vec::new();
        while begun.len() < bytes {
            let frame = self.response.body_mut().frame().await.unwrap().unwrap();
            begun.extend_from_slice(&frame.into_data().unwrap());
        }
        begun
    }

    /// All of it.
    pub(crate) async fn whole(self) -> Answer {
        let Self {
            response,
            _connection,
        } = self;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}
