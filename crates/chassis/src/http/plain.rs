//! Who may be served without TLS.
//!
//! Keeps the invariant that nobody's credentials or content travel in the clear by accident: plain
//! HTTP stays on this machine unless the settings say otherwise, and then the log says so.

use std::net::SocketAddr;

use meridian_error::{Classify, Code};

/// Other machines could read along.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "listening on {address} would serve plain HTTP to other machines; listen on 127.0.0.1, \
     name a certificate in [{section}.tls], or set {section}.allow_plain_http = true"
)]
pub struct PlainHttpError {
    /// The address.
    pub address: SocketAddr,
    /// The section of the settings that allows it.
    pub section: &'static str,
}

/// Looks at who can reach `addresses` that have no certificate, before anything is served on them:
/// this machine alone, unless `allowed`, which is a setting of `section`.
///
/// # Errors
///
/// When other machines could reach one, and may not.
pub fn check_plain(
    section: &'static str,
    mut addresses: impl Iterator<Item = SocketAddr>,
    allowed: bool,
) -> Result<(), PlainHttpError> {
    addresses.try_for_each(|address| check(section, address, allowed))
}

fn check(section: &'static str, address: SocketAddr, allowed: bool) -> Result<(), PlainHttpError> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if !allowed {
        return Err(PlainHttpError { address, section });
    }
    tracing::warn!(%address, "serving plain HTTP to other machines, as allow_plain_http says");
    Ok(())
}

// === impl PlainHttpError ===

impl Classify for PlainHttpError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_leaves_the_machine_only_when_allowed() {
        for (address, refused) in [
            ("127.0.0.1:5000", false),
            ("127.8.8.8:5000", false),
            ("[::1]:5000", false),
            ("[::ffff:127.0.0.1]:5000", false),
            ("0.0.0.0:5000", true),
            ("[::]:5000", true),
            ("192.0.2.1:5000", true),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(
                check("frontend", address, false).is_err(),
                refused,
                "{address}"
            );
            assert!(check("frontend", address, true).is_ok());
        }
    }

    #[test]
    fn the_refusal_says_what_to_change() {
        let address = "0.0.0.0:5000".parse().unwrap();
        let error = check("frontend", address, false).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(
            error
                .to_string()
                .ends_with("set frontend.allow_plain_http = true")
        );
    }
}
