#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod blob;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod content;
pub mod grpc;
pub mod image;
mod ingest;
pub mod link;
mod metadata;
pub mod peer;
pub mod regions;
pub mod replica;
mod repository;
pub mod webhook;

pub use blob::{
    BlobApi, BlobRead, BlobStat, ByteStream, DeleteBlobError, Delivered, Delivery, Handover,
    MountOutcome, ReadBlobError, Transfer, UploadError, UploadStatus,
};
pub use ingest::IngestApi;
pub use metadata::{
    AttributesSet, BlobLocation, BlobPut, BlobRecord, Collect, CollectOutcome, Condition,
    DeleteManifest, DeleteRepository, Deleted, Described, Doomed, Drained, Due, Encoding,
    Generations, Holding, ListRequest, Listing, ManifestPut, ManifestStat, Mark, MetadataApi,
    Order, PutBlob, PutManifest, ReadError, Referrers, RepositoryDeleted, SetAttributes, Stale,
    StorageKey, StoreBlob, StoredManifest, Usage, WriteError,
};
pub use repository::{Page, PageRequest, RepositoryPath, RequestId};
