//! How long a certificate lives, and the word to the operator when little of it is left.

use std::time::Duration;

use meridian_clock::{Clock, SystemClock};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The share of its life at whose begin a certificate should have been renewed: the last third.
const LAST: i64 = 3;

/// The time that a certificate is good for, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

/// Watches how much is left, and says each stage once.
#[derive(Debug, Default)]
pub(crate) struct LifeWatch {
    told: Option<(Life, Left)>,
}

/// How much of a life is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Enough,
    /// Less than a third.
    Little,
    Nothing,
}

// === impl Life ===

impl Life {
    /// That of a certificate; `None` if it is none.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }

    pub(crate) fn left(self, now: i64) -> Left {
        let (left, whole) = (self.not_after - now, self.not_after - self.not_before);
        match left {
            ..=0 => Left::Nothing,
            left if left < whole / LAST => Left::Little,
            _ => Left::Enough,
        }
    }
}

// === impl LifeWatch ===

impl LifeWatch {
    /// Says that little is left of `life`, or nothing, unless it was said. `file` is where the
    /// certificate is.
    pub(crate) fn look(&mut self, life: Option<Life>, file: &std::path::Path) {
        let Some(life) = life else { return };
        let now = now();
        let left = life.left(now);
        if self.told.replace((life, left)) == Some((life, left)) {
            return;
        }
        let file = file.display();
        let seconds = u64::try_from(life.not_after - now).unwrap_or(0);
        let ends_in = humantime_serde::re::humantime::format_duration(Duration::from_secs(seconds));
        match left {
            Left::Enough => {}
            Left::Little => tracing::warn!(
                %file, %ends_in,
                "less than a third of the certificate's life is left; renew it: put the new one in \
                 the place of the file, which needs no restart"
            ),
            Left::Nothing => tracing::error!(
                %file,
                "the certificate has expired, and peers refuse it; put a new one in the place of \
                 the file, which needs no restart"
            ),
        }
    }
}

fn now() -> i64 {
    i64::try_from(SystemClock.now_millis() / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_third_is_little() {
        let life = Life {
            not_before: 1000,
            not_after: 1300,
        };
        for (now, left) in [
            (900, Left::Enough),
            (1000, Left::Enough),
            (1200, Left::Enough),
            (1201, Left::Little),
            (1299, Left::Little),
            (1300, Left::Nothing),
            (9999, Left::Nothing),
        ] {
            assert_eq!(life.left(now), left, "{now}");
        }
    }

    #[test]
    fn a_certificate_tells_its_life() {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let life = Life::of(issued.cert.der()).unwrap();
        assert!(life.not_before < life.not_after);
        assert_eq!(Life::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
