#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

#[cfg(any(feature = "disk", feature = "s3"))]
mod claim;
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
mod presign;
mod reader;
#[cfg(feature = "s3")]
pub mod s3;
mod store;

#[cfg(feature = "disk")]
pub use disk::{DiskBlobStore, DiskConfig};
pub use error::{CreateError, ReadError, ResumeError, StorageError, WriteError};
pub use faulty::{Fault, Faulty};
pub use key::{BlobKey, ParseBlobKeyError, RegistryKey};
pub use memory::MemoryBlobStore;
pub use metered::{Count, Metered, Snapshot};
pub use operation::Operation;
pub use presign::{MAX_PRESIGNED, Presign, Presigned};
pub use reader::BlobReader;
#[cfg(feature = "s3")]
pub use s3::{S3BlobStore, S3Config, S3ConfigFault};
pub use store::{BlobStore, BlobWriter, Listed, Space, WriterState};
