#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "disk")]
pub mod disk;
mod error;
mod faulty;
mod key;
mod memory;
mod metered;
mod operation;
mod reader;
mod store;

#[cfg(feature = "disk")]
pub use disk::{DiskBlobStore, DiskConfig};
pub use error::{CreateError, ReadError, ResumeError, StorageError, WriteError};
pub use faulty::{Fault, Faulty};
pub use key::{BlobKey, ParseBlobKeyError, RegistryKey};
pub use memory::MemoryBlobStore;
pub use metered::{Count, Metered, Snapshot};
pub use operation::Operation;
pub use reader::BlobReader;
pub use store::{BlobStore, BlobWriter, Listed, Space, WriterState};
