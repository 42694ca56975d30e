//! The certificate in use, and how a renewed one takes its place.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::life::{Life, LifeWatch};
use super::stamp::Stamp;
use super::watch::Watched;
use super::{TlsConfig, TlsError};

/// A chain with its key, known to fit.
#[derive(Debug)]
pub(super) struct Certificate {
    key: Arc<CertifiedKey>,
    stamp: Stamp,
}

/// The certificate that the next handshake uses.
#[derive(Debug)]
pub(super) struct Current {
    key: RwLock<Arc<CertifiedKey>>,
    first: Stamp,
}

/// Watches the files of a certificate.
#[derive(Debug)]
pub(crate) struct Renewal {
    config: TlsConfig,
    current: Arc<Current>,
    tried: Stamp,
    life: LifeWatch,
}

// === impl Certificate ===

impl Certificate {
    pub(super) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let stamp = Stamp::of(config.files());
        let key = certified_key(&config.cert_file, &config.key_file)?;
        Ok(Self { key, stamp })
    }
}

/// The chain in one file with the key in another, known to fit.
pub(crate) fn certified_key(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = chain(cert)?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    let signing = any_supported_type(&der).map_err(|source| TlsError::Key {
        path: key.to_owned(),
        source,
    })?;
    let certified = CertifiedKey::new(chain, signing);
    certified
        .keys_match()
        .map_err(|source| TlsError::Mismatch {
            cert: cert.to_owned(),
            key: key.to_owned(),
            source,
        })?;
    Ok(Arc::new(certified))
}

/// All certificates in a file, of which there is one at least.
pub(crate) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem(path))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(chain)
}

fn pem(path: &Path) -> impl Fn(rustls::pki_types::pem::Error) -> TlsError {
    |source| TlsError::Pem {
        path: path.to_owned(),
        source,
    }
}

// === impl Current ===

impl Current {
    pub(super) fn new(certificate: Certificate) -> Self {
        Self {
            first: certificate.stamp,
            key: RwLock::new(certificate.key),
        }
    }

    fn replace(&self, certificate: Certificate) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = certificate.key;
    }

    fn life(&self) -> Option<Life> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        key.cert.first().and_then(Life::of)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&key))
    }
}

// === impl Renewal ===

impl Renewal {
    pub(super) fn new(config: TlsConfig, current: Arc<Current>) -> Self {
        let tried = current.first.clone();
        Self {
            config,
            current,
            tried,
            life: LifeWatch::default(),
        }
    }
}

impl Watched for Renewal {
    fn look(&mut self) {
        let stamp = Stamp::of(self.config.files());
        if stamp != self.tried {
            self.tried = stamp;
            self.renew();
        }
        self.life.look(self.current.life(), &self.config.cert_file);
    }
}

impl Renewal {
    fn renew(&mut self) {
        let file = self.config.cert_file.display();
        match Certificate::load(&self.config) {
            Ok(certificate) => {
                self.tried = certificate.stamp.clone();
                self.current.replace(certificate);
                tracing::info!(%file, "certificate renewed");
            }
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::warn!(error, %file, "renewed certificate refused; the old one stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        _dir: tempfile::TempDir,
        config: TlsConfig,
    }

    impl Files {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let config = TlsConfig::new(dir.path().join("cert.pem"), dir.path().join("key.pem"));
            let files = Self { _dir: dir, config };
            files.renew();
            files
        }

        fn renew(&self) {
            let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(&self.config.cert_file, issued.cert.pem()).unwrap();
            std::fs::write(&self.config.key_file, issued.signing_key.serialize_pem()).unwrap();
        }
    }

    fn in_use(current: &Current) -> CertificateDer<'static> {
        current.key.read().unwrap().cert[0].clone()
    }

    #[test]
    fn every_error_names_its_file() {
        let files = Files::new();
        let load = || Certificate::load(&files.config).unwrap_err().to_string();
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(&files.config.key_file, other).unwrap();
        assert!(load().contains("was not issued for the key"));
        std::fs::write(&files.config.key_file, "no key").unwrap();
        assert!(load().contains("key.pem"));
        std::fs::write(&files.config.cert_file, "no certificate").unwrap();
        assert!(load().contains("no certificate in") && load().contains("cert.pem"));
        std::fs::remove_file(&files.config.cert_file).unwrap();
        assert!(load().contains("cannot read PEM from") && load().contains("cert.pem"));
    }

    #[test]
    fn a_renewal_that_does_not_fit_together_waits_for_its_other_half() {
        let files = Files::new();
        let current = Arc::new(Current::new(Certificate::load(&files.config).unwrap()));
        let mut renewal = Renewal::new(files.config.clone(), Arc::clone(&current));
        let first = in_use(&current);
        renewal.look();
        assert_eq!(in_use(&current), first);

        let old_key = std::fs::read(&files.config.key_file).unwrap();
        files.renew();
        let new_key = std::fs::read(&files.config.key_file).unwrap();
        std::fs::write(&files.config.key_file, old_key).unwrap();
        renewal.look();
        assert_eq!(in_use(&current), first, "the key is not renewed yet");

        std::fs::remove_file(&files.config.key_file).unwrap();
        std::fs::write(&files.config.key_file, new_key).unwrap();
        renewal.look();
        assert_ne!(in_use(&current), first);
    }
}
