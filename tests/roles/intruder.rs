//! Somebody who calls a service of a region with whatever certificate, and trusts whomever it finds.

use std::sync::Arc;

use harness::{Dev, Leaf};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// Trusts everybody.
#[derive(Debug)]
struct Gullible(Arc<CryptoProvider>);

/// A connection to `service`, with the certificate `leaf` if there is one.
pub(crate) fn intrude(service: &Dev, leaf: Option<&Leaf>) -> Channel {
    let connector = TlsConnector::from(Arc::new(config(leaf)));
    let address = service.host().to_owned();
    let connect = tower::service_fn(move |_uri| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let stream = TcpStream::connect(address).await?;
            let nobody = ServerName::try_from("service.invalid").unwrap();
            connector.connect(nobody, stream).await.map(TokioIo::new)
        }
    });
    Endpoint::from_static("https://service.invalid:1").connect_with_connector_lazy(connect)
}

fn config(leaf: Option<&Leaf>) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)));
    let mut config = match leaf {
        None => config.with_no_client_auth(),
        Some(leaf) => {
            let certificate = CertificateDer::from_pem_slice(leaf.certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
            config
                .with_client_auth_cert(vec![certificate.unwrap()], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
