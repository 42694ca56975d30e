//! How a client checks the service that it has reached.
//!
//! Keeps the invariant that a service is trusted for what it is, its role in the region that was called, and not
//! for the address that it was found at: whoever can redirect a name or an address gets no call.

use std::sync::Arc;

use meridian_clock::Region;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::member::{Member, Stranger};
use super::role::Role;

/// Accepts the services of one role in one region.
#[derive(Debug)]
pub(super) struct RoleVerifier {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) own: Arc<Member>,
    pub(super) region: Region,
    pub(super) wanted: Role,
}

// === impl RoleVerifier ===

impl RoleVerifier {
    fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(), Stranger> {
        let member = Member::of(certificate)?;
        self.own.finds(&member, self.region)?;
        member.does(self.wanted)
    }
}

impl ServerCertVerifier for RoleVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        self.judge(end_entity).map_err(|stranger| {
            let other = OtherError(Arc::new(stranger));
            Error::InvalidCertificate(CertificateError::Other(other))
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
