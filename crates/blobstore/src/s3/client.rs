//! The client of S3: where it is, how long it is waited for, how often it is asked again.
//!
//! Keeps two rules. Only requests that may be made twice are made twice, which all of this body are:
//! each part has its number, each name its condition, and what cannot be told is looked up. And every
//! request has a deadline that covers all its attempts. Between two attempts it waits, longer each
//! time and by chance, so that many clients of a store in trouble do not come back at once.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::{Builder, tls};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use super::{S3Config, S3ConfigFault, credentials};

/// Attempts at one request, the first included, as far as its deadline allows.
const ATTEMPTS: u32 = 6;

/// The pause before the second attempt is less than this, that before each later one less than
/// twice as much as before.
const PAUSE: Duration = Duration::from_millis(100);

/// Settings that no store can be opened with.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub(super) struct Refused(Vec<S3ConfigFault>);

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthoritiesError {
    #[error("cannot read {0}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no certificate that can be trusted", .0.display())]
    None(PathBuf),
}

/// One for the store itself, and one that writes URLs for its clients.
pub(super) fn clients(config: &S3Config) -> Result<(Client, Client), Refused> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(Refused(faults));
    }
    // The files were looked at a moment ago.
    let late = |setting, error: &dyn Error| Refused(vec![S3ConfigFault::file(setting, error)]);
    let credentials = credentials::provider(config);
    let credentials = credentials.map_err(|error| late("credentials_file", &error))?;
    let http = http(config.ca_file.as_ref()).map_err(|error| late("ca_file", &error))?;
    let attempts = TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.attempt_timeout)
        .operation_attempt_timeout(config.attempt_timeout)
        .operation_timeout(config.deadline);
    let settings = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(config.region.clone()))
        .force_path_style(config.path_style)
        .credentials_provider(credentials)
        // The file is looked at by its provider, which keeps what it read.
        .identity_cache(IdentityCache::no_cache())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(PAUSE),
        )
        .timeout_config(attempts.build())
        .http_client(http)
        // Both are done here: what is sent has a checksum, what is read has a length and, where all
        // of it is read, a checksum.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let at = |endpoint: Option<&String>| {
        let mut settings = settings.clone();
        settings.set_endpoint_url(endpoint.cloned());
        Client::from_conf(settings.build())
    };
    let inside = config.endpoint.as_ref();
    let outside = config.public_endpoint.as_ref().or(inside);
    Ok((at(inside), at(outside)))
}

fn http(ca_file: Option<&PathBuf>) -> Result<SharedHttpClient, AuthoritiesError> {
    let mut trusted = tls::TrustStore::empty();
    match ca_file {
        Some(path) => trusted = trusted.with_pem_certificate(authorities(path)?),
        None => trusted = trusted.with_native_roots(true),
    }
    let context = tls::TlsContext::builder().with_trust_store(trusted).build();
    let context = context.expect("a trust store is all it needs");
    let crypto = tls::rustls_provider::CryptoMode::AwsLc;
    Ok(Builder::new()
        .tls_provider(tls::Provider::Rustls(crypto))
        .tls_context(context)
        .build_https())
}

/// The content of a file of certificates, each of which was looked at: the client would panic.
pub(super) fn authorities(path: &Path) -> Result<Vec<u8>, AuthoritiesError> {
    let unreadable = |source| AuthoritiesError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let pem = fs::read(path).map_err(unreadable)?;
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&pem).collect();
    let mut store = RootCertStore::empty();
    let sound = certificates.is_ok_and(|certificates| {
        let mut added = certificates.into_iter().map(|it| store.add(it));
        added.len() > 0 && added.all(|added| added.is_ok())
    });
    if sound {
        Ok(pem)
    } else {
        Err(AuthoritiesError::None(path.to_owned()))
    }
}

fn list(faults: &[S3ConfigFault]) -> String {
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
