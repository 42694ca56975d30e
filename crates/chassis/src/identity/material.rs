//! What lies in the files: a certificate, its key, and the authorities that are trusted.
//!
//! Owns the TLS policy between services: 1.3 only, HTTP/2 only, both sides show a certificate, and
//! no session is resumed, so that each connection is judged by the certificates of its own time.
//! Keeps the invariant that what is used fits together: the key is the certificate's, the
//! certificate names this process, and a peer with the same authorities would believe it.

use std::path::Path;
use std::sync::Arc;

use meridian_clock::Region;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};

use super::member::{Member, Stranger};
use super::reach::Reach;
use super::role::Role;
use super::verifier::RoleVerifier;
use super::{IdentityConfig, IdentityError};
use crate::tls::{Life, Stamp, TlsError, certified_key, chain};

const ALPN: &[u8] = b"h2";

/// One version of the files.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) stamp: Stamp,
    pub(super) life: Option<Life>,
    pub(super) server: Arc<ServerConfig>,
    own: Arc<Member>,
    key: Arc<CertifiedKey>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

// === impl Material ===

impl Material {
    /// Reads the files of a process that has `roles` in `region`.
    pub(super) fn load(
        config: &IdentityConfig,
        region: Region,
        roles: &[Role],
    ) -> Result<Self, IdentityError> {
        let stamp = Stamp::of(config.files());
        let key = certified_key(&config.cert_file, &config.key_file)?;
        let own = own(&key, region, roles).map_err(|source| IdentityError::Own {
            path: config.cert_file.clone(),
            source,
        })?;
        let roots = Arc::new(authorities(&config.ca_file)?);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let material = Self {
            stamp,
            life: key.cert.first().and_then(Life::of),
            server: Arc::new(server(&key, &roots, &provider)?),
            own: Arc::new(own),
            key,
            roots,
            provider,
        };
        material
            .verify_own()
            .map_err(|source| IdentityError::Unverifiable {
                cert: config.cert_file.clone(),
                ca: config.ca_file.clone(),
                source,
            })?;
        Ok(material)
    }

    /// What a connection to a service of `role` in `region` is made with.
    pub(super) fn client(&self, region: Region, role: Role) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let mut config = builder
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.verifier(region, role)))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&self.key))));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    /// Who has shown these certificates, of which TLS knows already that they are genuine, at a port
    /// of that reach.
    pub(super) fn judge(
        &self,
        shown: &[CertificateDer<'_>],
        reach: &Reach,
    ) -> Result<Member, Stranger> {
        let member = Member::of(shown.first().ok_or(Stranger::Nameless)?)?;
        self.own.meets(&member, reach)?;
        Ok(member)
    }

    fn verifier(&self, region: Region, wanted: Role) -> RoleVerifier {
        RoleVerifier {
            roots: Arc::clone(&self.roots),
            algorithms: self.provider.signature_verification_algorithms,
            own: Arc::clone(&self.own),
            region,
            wanted,
        }
    }

    /// Does what a peer would do with our certificate. That it has expired is not for here: a
    /// process that waits for its renewal is of more use than one that is not there.
    fn verify_own(&self) -> Result<(), Error> {
        let (own, others) = self
            .key
            .cert
            .split_first()
            .ok_or(Error::NoCertificatesPresented)?;
        let now = UnixTime::now();
        let nobody = ServerName::try_from("localhost").expect("it is a host's name");
        let name = self.own.name();
        let as_server = self.verifier(name.region, name.role);
        let as_server = as_server.verify_server_cert(own, others, &nobody, &[], now);
        let as_client = client_verifier(&self.roots, &self.provider)?;
        let as_client = as_client.verify_client_cert(own, others, now);
        forgive_age(as_server.map(drop))?;
        forgive_age(as_client.map(drop))
    }
}

fn own(key: &CertifiedKey, region: Region, roles: &[Role]) -> Result<Member, Stranger> {
    let own = Member::of(key.cert.first().ok_or(Stranger::Nameless)?)?;
    own.is_of(region)?;
    roles.iter().try_for_each(|role| own.does(*role))?;
    Ok(own)
}

fn authorities(path: &Path) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots
            .add(certificate)
            .map_err(|source| IdentityError::Authority {
                path: path.to_owned(),
                source,
            })?;
    }
    Ok(roots)
}

fn server(
    key: &Arc<CertifiedKey>,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let verifier = client_verifier(roots, provider).map_err(TlsError::Setup)?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn client_verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, Error> {
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

fn forgive_age(outcome: Result<(), Error>) -> Result<(), Error> {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    match outcome {
        Err(Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        )) => Ok(()),
        outcome => outcome,
    }
}
