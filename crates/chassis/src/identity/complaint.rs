//! What the log says of those who are refused.
//!
//! Keeps two invariants: each line says what to change, and nobody can fill the log by being
//! refused: each kind of refusal is told once in a while.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error};
use tokio::time::Instant;

use super::member::Stranger;

/// Between two lines about the same.
const PAUSE: Duration = Duration::from_secs(10);

/// When which refusal was told.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    told: Mutex<BTreeMap<&'static str, Instant>>,
}

/// Why a handshake failed, and what to change.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) kind: &'static str,
    pub(super) advice: String,
}

// === impl Complaints ===

impl Complaints {
    /// Whether a refusal of this kind should be told.
    pub(crate) fn is_due(&self, kind: &'static str) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.get(kind).is_none_or(|last| now - *last >= PAUSE);
        if due {
            told.insert(kind, now);
        }
        due
    }
}

// === impl Complaint ===

impl Complaint {
    /// About a handshake that failed with `error`.
    pub(super) fn about(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let (kind, advice) = match inner {
            Some(Error::NoCertificatesPresented) => (
                "no certificate",
                "it presents no certificate; name one in its [identity]".to_owned(),
            ),
            Some(Error::InvalidCertificate(error)) => of_certificate(error),
            Some(Error::AlertReceived(alert)) => of_alert(*alert),
            Some(error) => ("tls", error.to_string()),
            None => ("connection", meridian_error::chain(error)),
        };
        Self { kind, advice }
    }
}

fn of_certificate(error: &CertificateError) -> (&'static str, String) {
    let (kind, advice) = match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "unknown issuer",
            "none of the authorities in `identity.ca_file` here issued its certificate; add that \
             authority to the file, or issue it a certificate of one that is there",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "expired",
            "its certificate has expired; renew it, or look at the clock of either machine",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "not valid yet",
            "its certificate is not valid yet; look at the clock of either machine",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            "purpose",
            "its certificate is for something else; issue one whose extended key usage has both \
             clientAuth and serverAuth",
        ),
        CertificateError::Other(other) => match other.0.downcast_ref::<Stranger>() {
            Some(stranger) => return ("stranger", stranger.to_string()),
            None => return ("certificate", error.to_string()),
        },
        error => return ("certificate", error.to_string()),
    };
    (kind, advice.to_owned())
}

fn of_alert(alert: AlertDescription) -> (&'static str, String) {
    let advice = format!("it refuses our certificate ({alert:?}); its log says what to change");
    ("alert", advice)
}
