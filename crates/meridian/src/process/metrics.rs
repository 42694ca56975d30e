//! What a process counts beyond what its services count themselves.
//!
//! Everything here is read when somebody asks for it, so that it costs nothing until then.

use std::sync::Arc;

use meridian_blobstore::{Count, Metered, Operation};
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

/// The store in which blobs rest.
pub(super) fn of_store<S: Send + Sync + 'static>(store: &Arc<Metered<S>>, metrics: &Metrics) {
    let read = |name, help, read: fn(Count) -> u64| {
        let store = Arc::clone(store);
        metrics.read_counts(name, help, "operation", move || {
            let counts = store.snapshot();
            let operations = Operation::ALL.into_iter();
            operations
                .map(|it| (it.name(), read(counts.get(it))))
                .filter(|(_, count)| *count > 0)
                .collect()
        });
    };
    let help = "Operations of the blob store that ended.";
    read("blob_store_operations", help, |count| count.calls);
    let help = "Operations of the blob store that failed.";
    read("blob_store_failures", help, |count| count.failures);
    let help = "How long operations of the blob store took, all together.";
    read("blob_store_busy_milliseconds", help, |count| {
        u64::try_from(count.elapsed.as_millis()).unwrap_or(u64::MAX)
    });
    let store = Arc::clone(store);
    let help = "Bytes of blobs that were written to the store, and read from it.";
    metrics.read_counts("blob_bytes", help, "direction", move || {
        let counts = store.snapshot();
        let bytes = |operation| counts.get(operation).bytes;
        vec![
            ("in", bytes(Operation::Append)),
            ("out", bytes(Operation::Read)),
        ]
    });
}

/// The cache that all processes of the region share.
#[cfg(feature = "redis")]
pub(super) fn of_cache<C: Send + Sync + 'static>(
    cache: &Arc<meridian_cache::Metered<C>>,
    metrics: &Metrics,
) {
    let cache = Arc::clone(cache);
    let help = "Operations of the shared cache, by how they ended.";
    metrics.read_counts("cache_operations", help, "outcome", move || cache.counts());
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
        let help = "Bytes that garbage collection has freed.";
        metrics.read_count("blob_collected_bytes", help, move || {
            here.collection().freed.bytes
        });
        let here = Arc::clone(blobs);
        let help = "Blobs, orphans and abandoned uploads that garbage collection has removed.";
        metrics.read_count("blob_collected_objects", help, move || {
            here.collection().freed.count
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
