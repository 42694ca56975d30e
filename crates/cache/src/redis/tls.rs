//! What the files say: whom we trust, and who we are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};
use rustls::{ClientConfig, RootCertStore};

use super::config::host;
use super::{RedisConfigFault, RedisTls};

/// Why an encrypted connection cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no {what}", path.display())]
    Useless { path: PathBuf, what: &'static str },
    #[error("this machine has no certificates that could be trusted; name some with ca_file")]
    NoRoots,
    #[error("the certificate and its key are no pair, or of a kind that is not supported")]
    Pair(#[source] rustls::Error),
    #[error("`{0}` is not a name that a certificate can have")]
    Name(String),
}

/// What is wrong with the files, each told with its setting.
pub(super) fn faults(settings: &RedisTls) -> Vec<RedisConfigFault> {
    let mut faults = Vec::new();
    let mut tell = |setting, error: &TlsError| {
        let problem = meridian_error::chain(error);
        faults.push(RedisConfigFault::File { setting, problem });
    };
    let roots = roots(settings.ca_file.as_deref()).map_err(|error| tell("tls.ca_file", &error));
    let certificate = settings.certificate_file.as_deref().map(chain).transpose();
    let certificate = certificate.map_err(|error| tell("tls.certificate_file", &error));
    let key = settings.key_file.as_deref().map(key).transpose();
    let key = key.map_err(|error| tell("tls.key_file", &error));
    if let (Ok(roots), Ok(Some(certificate)), Ok(Some(key))) = (roots, certificate, key)
        && let Err(error) = config(roots, Some((certificate, key)))
    {
        tell("tls.certificate_file", &error);
    }
    faults
}

/// The client's side, as the files are now.
pub(super) fn client(settings: &RedisTls) -> Result<ClientConfig, TlsError> {
    let roots = roots(settings.ca_file.as_deref())?;
    let us = match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(private)) => Some((chain(certificate)?, key(private)?)),
        _ => None,
    };
    config(roots, us)
}

/// Whose certificate is wanted at an address.
pub(super) fn server_name(address: &str) -> Result<ServerName<'static>, TlsError> {
    let host = host(address);
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_invalid| TlsError::Name(host.to_owned()))
}

fn config(
    roots: RootCertStore,
    us: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_root_certificates(roots);
    match us {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(TlsError::Pair),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let Some(path) = ca_file else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if store.is_empty() {
            Err(TlsError::NoRoots)
        } else {
            Ok(store)
        };
    };
    for certificate in chain(path)? {
        store.add(certificate).map_err(|_untrusted| useless(path))?;
    }
    Ok(store)
}

fn useless(path: &Path) -> TlsError {
    TlsError::Useless {
        path: path.to_owned(),
        what: "certificate that can be trusted",
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.unwrap_or_default();
    if certificates.is_empty() {
        return Err(TlsError::Useless {
            path: path.to_owned(),
            what: "certificate in PEM",
        });
    }
    Ok(certificates)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_broken| TlsError::Useless {
        path: path.to_owned(),
        what: "private key in PEM",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
