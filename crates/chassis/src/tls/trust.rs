//! Whom a client trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use super::{TlsError, chain};

/// The authorities whose certificates are believed.
#[derive(Debug, Clone)]
pub struct Trust(RootCertStore);

// === impl Trust ===

impl Trust {
    /// Those of this machine, which perhaps has none.
    #[must_use]
    pub fn of_machine() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(roots)
    }

    /// Those in a file, in PEM.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has no authority in it.
    pub fn of_file(path: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(chain(path)?).0 == 0 {
            return Err(TlsError::NoCertificate {
                path: path.to_owned(),
            });
        }
        Ok(Self(roots))
    }

    /// Those in a file, or if none is named those of this machine.
    ///
    /// # Errors
    ///
    /// Those of [`of_file`](Self::of_file).
    pub fn of(file: Option<&Path>) -> Result<Self, TlsError> {
        file.map_or_else(|| Ok(Self::of_machine()), Self::of_file)
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0.roots);
        self
    }

    /// Whether nobody is believed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a client speaks TLS with who has no certificate itself, and offers these protocols, the best first.
    ///
    /// # Errors
    ///
    /// When the cryptographic library refuses that.
    pub fn client(self, protocols: &[&str]) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(self.0)
            .with_no_client_auth();
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        Ok(config)
    }
}
