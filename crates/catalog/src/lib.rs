#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod access;
mod apply;
mod command;
mod compact;
#[cfg(test)]
mod convergence;
mod entry;
#[cfg(test)]
mod golden;
mod hold;
#[cfg(feature = "testing")]
pub mod invariant;
pub mod key;
pub mod query;
#[cfg(test)]
mod race;
mod row;
mod store;

pub use apply::apply;
pub use command::{
    ArrivedBlob, ArrivedManifest, BlobPlace, Collect, Command, Condition, Counted, Deliver, Drain,
    Encoding, Entry, Found, FoundManifest, FoundPut, FoundTag, Introduction, ManifestBody, NewBlob,
    NewManifest, NewWebhook, ObjectKey, Refusal, RemoteEvent, RemoteEvents, Reply, RequestId,
    Settings,
};
pub use entry::Origin;
pub use row::{Cursor, Drained, Outgoing, Referrer, Stream, System, Usage};
pub use store::{CatalogError, MemoryStore, Read, Visit, Write};
