//! The certificate in use, and how a renewed one takes its place.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use super::{TlsConfig, TlsError};

/// Between two looks at the files.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

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
}

/// What tells one version of the two files from the next, also where a renewal swaps a symbolic
/// link as Kubernetes does. Taken before the files are read, so that a change in between is seen
/// the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([Option<FileStamp>; 2]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

// === impl Certificate ===

impl Certificate {
    pub(super) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let stamp = Stamp::of(config);
        let chain = chain(&config.cert_file)?;
        let path = &config.key_file;
        let der = PrivateKeyDer::from_pem_file(path).map_err(pem(path))?;
        let key = any_supported_type(&der).map_err(|source| TlsError::Key {
            path: path.clone(),
            source,
        })?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|source| TlsError::Mismatch {
            cert: config.cert_file.clone(),
            key: path.clone(),
            source,
        })?;
        let key = Arc::new(key);
        Ok(Self { key, stamp })
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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
        let tried = current.first;
        Self {
            config,
            current,
            tried,
        }
    }

    /// Puts renewed certificates into use until `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let every = self.config.reload_every.clamp(SHORTEST, LONGEST);
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(renewal) => self = renewal,
                Err(_runtime_ends) => return,
            }
        }
    }

    fn look(&mut self) {
        let stamp = Stamp::of(&self.config);
        if stamp == self.tried {
            return;
        }
        self.tried = stamp;
        let file = self.config.cert_file.display();
        match Certificate::load(&self.config) {
            Ok(certificate) => {
                self.tried = certificate.stamp;
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

// === impl Stamp ===

impl Stamp {
    fn of(config: &TlsConfig) -> Self {
        let stamp = |path: &Path| std::fs::metadata(path).ok().map(FileStamp::from);
        Self([stamp(&config.cert_file), stamp(&config.key_file)])
    }
}

impl From<Metadata> for FileStamp {
    fn from(metadata: Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
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
