//! Whether the settings can be served.
//!
//! Looked at as a whole, and before anything is opened or made: whoever starts a process on wrong
//! settings hears of all that is wrong with them at once, and finds nothing changed. Leaves to
//! `embedded` what the data directory adds to them.

use meridian_blob_service::ConfigError;

use super::embedded::has_shared_sessions;
use super::{data, data_dir, directory};
use crate::config::{self, BlobStoreKind, Config};
use crate::events;
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// The longest path of a Unix socket, by `sockaddr_un`.
const LONGEST_SOCKET: usize = 107;

const NO_SHARED_KEY: &str = "blob.uploads.key: missing; where blob services share a bucket and \
                             Redis, uploads go on in any of them: set blob.uploads.key_file to a \
                             file that holds the same 32 random characters or more for all";

pub(super) fn judge(config: &Config, cast: &Cast) -> Result<(), Exit> {
    let mut lines = Vec::new();
    if cast.has(Role::Metadata) {
        let faults = config.metadata.faults().into_iter();
        lines.extend(faults.map(|fault| format!("metadata.{fault}")));
        lines.extend(events::faults(config));
    }
    if cast.has(Role::Blob) {
        lines.extend(of_blobs(config));
    }
    if cast.has(Role::Frontend) {
        let faults = config.frontend.faults().into_iter();
        lines.extend(faults.map(|fault| format!("frontend.{fault}")));
    }
    if cast.has(Role::Replication) {
        let faults = config.replication.faults().into_iter();
        lines.extend(faults.map(|fault| format!("replication.{fault}")));
    }
    if cast.has(Role::Webhooks) {
        let faults = config.webhooks.faults().into_iter();
        lines.extend(faults.map(|fault| format!("webhooks.{fault}")));
        lines.extend(events::fault_of_reader(config, cast));
    }
    lines.extend(config::regions_faults(config, cast));
    if cast.uses_cache() {
        lines.extend(config.cache.faults());
    }
    lines.extend(data::faults(config, cast));
    lines.extend(config.management.faults());
    if cast.keeps_data() {
        lines.extend(of_data_dir(config)?);
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(Exit::misconfigured_in(lines))
}

fn of_blobs(config: &Config) -> Vec<String> {
    let faults = config.blob.faults().into_iter();
    // A key that is not set is that of the data directory.
    let faults = faults.filter(|fault| !matches!(fault, ConfigError::Key(0)));
    let mut lines: Vec<_> = faults.map(|fault| format!("blob.{fault}")).collect();
    if has_shared_sessions(config) && config.blob.uploads.key.is_empty() {
        lines.push(NO_SHARED_KEY.to_owned());
    }
    match config.blobs.store {
        BlobStoreKind::Disk => {}
        #[cfg(feature = "s3")]
        BlobStoreKind::S3 => {
            let largest = config.blob.uploads.max_blob_bytes.as_u64();
            let bucket = config.blobs.s3.clone().for_objects_up_to(largest);
            let faults = bucket.faults();
            lines.extend(faults.iter().map(|fault| format!("blobs.s3.{fault}")));
        }
    }
    lines
}

fn of_data_dir(config: &Config) -> Result<Option<String>, Exit> {
    let root = data_dir(config)?;
    let length = directory::admin_socket(&root).as_os_str().len();
    Ok((length > LONGEST_SOCKET).then(|| {
        let most = LONGEST_SOCKET + root.as_os_str().len() - length;
        format!(
            "the path of the data directory {} is too long for a socket in it; choose one of at most \
             {most} bytes with --data-dir",
            root.display()
        )
    }))
}
