//! What a process counts beyond what its services count themselves.
//!
//! Everything here is read when somebody asks for it, so that it costs nothing until then.

use std::sync::Arc;

use meridian_chassis::identity::Identity;
use meridian_chassis::metrics::Metrics;

use super::Services;

/// The certificate by which the other processes know this one.
pub(super) fn of_identity(identity: &Identity, metrics: &Metrics) {
    let identity = identity.clone();
    let help = "When the certificate of this process ends, in seconds since 1970.";
    metrics.read("identity_certificate_not_after_seconds", help, move || {
        identity.not_after()
    });
}

/// The services that run here.
pub(super) fn of_services(services: &Services, metrics: &Metrics) {
    let count = |number: u64| i64::try_from(number).ok();
    if let Some(blobs) = &services.blobs {
        let here = Arc::clone(blobs);
        let help = "Upload sessions that are open.";
        metrics.read("blob_uploads_open", help, move || {
            i64::try_from(here.open_sessions()).ok()
        });
        let here = Arc::clone(blobs);
        let help = "Blobs of which a read failed.";
        metrics.read("blob_unreadable_blobs", help, move || {
            i64::try_from(here.unreadable_blobs()).ok()
        });
    }
    if let Some(metadata) = &services.metadata {
        let here = Arc::clone(metadata);
        let help = "Syncs of the metadata log since the start.";
        metrics.read("metadata_log_syncs", help, move || count(here.log_syncs()));
    }
}
