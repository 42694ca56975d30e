#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod access;
mod apply;
mod command;
mod compact;
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
    BlobPlace, Collect, Command, Condition, Encoding, Entry, NewBlob, NewManifest, ObjectKey,
    Refusal, Reply, RequestId, Settings,
};
pub use row::{Referrer, Stream, System, Usage};
pub use store::{CatalogError, MemoryStore, Read, Visit, Write};
