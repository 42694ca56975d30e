//! TLS of the listeners that face clients, and of clients of others.
//!
//! Owns the server's TLS policy (1.2 or newer, HTTP/2 and HTTP/1.1 by ALPN, session tickets whose
//! keys rotate, no early data, which can be replayed) and the certificate in use. Keeps the
//! invariant that a certificate is used only with the key that it was issued for: a renewal that
//! does not fit together is reported and the certificate in use stays. Leaves the time that a
//! handshake may take to [`http`](crate::http).

mod certificate;
mod life;
mod stamp;
mod trust;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meridian_error::{Classify, Code};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use certificate::{Certificate, Current, Renewal};
pub(crate) use certificate::{certified_key, chain};
pub(crate) use life::{Life, LifeWatch};
pub(crate) use stamp::Stamp;
pub use trust::Trust;
pub(crate) use watch::{Watched, watch};

/// Where the certificate of a listener is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate chain in PEM, the server's own certificate first.
    pub cert_file: PathBuf,
    /// The private key in PEM.
    pub key_file: PathBuf,
    /// How often the files are looked at for a renewal. Default: 30 seconds.
    #[serde(default = "reload_every", with = "humantime_serde")]
    pub reload_every: Duration,
}

/// A certificate cannot be used. The message names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read PEM from {0}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file has no certificate in it.
    #[error("there is no certificate in {0}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A key is of no kind that TLS can use.
    #[error("the private key in {0} cannot be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// Certificate and key do not belong together.
    #[error("the certificate in {0} was not issued for the key in {1}", cert.display(), key.display())]
    Mismatch {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// How they differ.
        #[source]
        source: rustls::Error,
    },
    /// The cryptographic library refused our policy.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

/// What a listener needs to speak TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    config: TlsConfig,
}

// === impl TlsConfig ===

impl TlsConfig {
    /// A certificate and its key, looked at for a renewal every 30 seconds.
    #[must_use]
    pub fn new(cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self {
            cert_file: cert_file.into(),
            key_file: key_file.into(),
            reload_every: reload_every(),
        }
    }

    /// Whether its files can be used now.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self) -> Result<(), TlsError> {
        Tls::load(self.clone()).map(drop)
    }

    fn files(&self) -> [&Path; 2] {
        [&self.cert_file, &self.key_file]
    }
}

pub(crate) const fn reload_every() -> Duration {
    Duration::from_secs(30)
}

// === impl TlsError ===

impl Classify for TlsError {
    fn code(&self) -> Code {
        match self {
            Self::Setup(_) => Code::Internal,
            _ => Code::InvalidArgument,
        }
    }
}

// === impl Tls ===

impl Tls {
    pub(crate) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let current = Arc::new(Current::new(Certificate::load(&config)?));
        let server = server_config(Arc::clone(&current))?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            current,
            config,
        })
    }

    pub(crate) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Puts renewed certificates into use until `stop` is cancelled.
    pub(crate) fn renew(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let renewal = Renewal::new(self.config.clone(), Arc::clone(&self.current));
        watch(renewal, self.config.reload_every, stop)
    }
}

fn server_config(current: Arc<Current>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
    config.max_early_data_size = 0;
    Ok(config)
}
