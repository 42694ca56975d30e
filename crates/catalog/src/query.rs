//! Answers from a state.
//!
//! Nothing here changes a state or knows how fresh it is; whoever asks has seen to that.

mod blob;
mod copy;
mod drain;
mod extent;
mod heartbeat;
mod list;
mod manifest;
mod outbox;
mod registry;
mod replication;
mod repository;
mod view;
mod wanted;
mod webhook;

use meridian_event::RegistryId;

pub use blob::{BlobView, DueView, blob, doomed, due, is_known};
pub use copy::{
    attributes_found, copied_manifest_attributes, copied_manifests, copied_registries,
    copied_repositories, copied_tag_attributes, copied_tags, copied_webhooks, repository_found,
};
pub use drain::drained;
pub use extent::{Extent, extent};
pub use heartbeat::{
    Acquaintance, Removal, acquaintances, born, floors, has_news, is_joining, oldest_tombstone,
    peers, removals,
};
pub use list::{Listed, referrers, repositories, tags};
pub use manifest::{ManifestView, manifest, manifest_stat};
pub use outbox::{Backlog, backlog, events, outbox, streams};
pub use registry::{registry, registry_name};
pub use replication::{
    Fate, Image, Presence, Winner, blob_presence, body, cursor, cursors, image, manifest_cell,
    manifest_presence, tag_winner,
};
pub use repository::{Described, attributes, contents, describe, is_repository};
pub use view::{Held, Holding, MOST, Mark, Order, held};
pub use wanted::{
    Wanted, WantedBlob, WantedManifest, incomplete, wanted, wanted_blobs, wanted_in,
    wanted_manifests,
};

pub use webhook::{
    all_webhooks, assignment, due as due_again, is_prunable, undelivered, webhook, webhooks,
    webhooks_changed,
};

use crate::access::{read, suffixes};
use crate::row::{System, Usage};
use crate::{CatalogError, Read, key};

type Result<T, S> = std::result::Result<T, CatalogError<<S as Read>::Error>>;

/// What the state knows of itself; nothing, before it is initialized.
pub fn system<S: Read>(store: &S) -> Result<Option<System>, S> {
    read(store, key::SYSTEM)
}

/// Whether an entry left work to later ones: whether there is anything to sweep.
pub fn has_sweeps<S: Read>(store: &S) -> Result<bool, S> {
    for prefix in key::UNFINISHED {
        if !suffixes(store, prefix, &[], 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a registry holds.
pub fn usage<S: Read>(store: &S, registry: RegistryId) -> Result<Usage, S> {
    Ok(read(store, &key::usage(registry))?.unwrap_or_default())
}
