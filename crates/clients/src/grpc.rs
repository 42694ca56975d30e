//! The same traits over a network.
//!
//! Owns how a call of ours travels: its deadline, when it is repeated, how bodies are cut into
//! messages, how failures come back. Keeps two invariants: a caller holds the same error as if it
//! had called in its own process; and a body that broke off never looks like one that ended, on
//! either side. Leaves to the services the adapters that stand at the other end, which are made of
//! [`convert`], [`failure`], [`deadline`] and [`body`].
//!
//! ```text
//! MetadataApi ── GrpcMetadata ──┐                               ┌── adapter ── MetadataApi
//!                               ├── Caller ── Channel ══ HTTP/2 ══┤
//! BlobApi ────── GrpcBlobs ─────┘   deadline, retries           └── adapter ── BlobApi
//! ```
//!
//! [`GrpcIngest`], [`GrpcRegions`] and [`GrpcPeer`] stand in the same place before their traits.

mod blob;
pub mod body;
mod call;
mod channel;
pub mod convert;
pub mod deadline;
pub mod failure;
mod incoming;
mod ingest;
mod line;
mod metadata;
mod peer;
mod regions;
mod replica;
mod upload;
mod ways;
mod webhook;

pub use blob::GrpcBlobs;
pub use channel::{EndpointError, GrpcConfig, GrpcConfigError, channel, configure, secured};
pub use ingest::GrpcIngest;
pub use line::Channel;
pub use metadata::GrpcMetadata;
pub use peer::GrpcPeer;
pub use regions::GrpcRegions;
pub use replica::GrpcReplica;
pub use ways::Ways;
pub use webhook::GrpcWebhooks;

/// The greatest message of the metadata service, in either direction: a manifest of 4 MiB, or a
/// page of a list, and what stands around it.
pub const MAX_METADATA_MESSAGE: usize = 8 * 1024 * 1024;

/// The greatest message between a region's metadata and its agents, in either direction: a batch of
/// events of 1 MiB and manifests of 4 MiB, and what stands around them; or one manifest more.
pub const MAX_REPLICA_MESSAGE: usize = 16 * 1024 * 1024;

/// The greatest message of the blob service, in either direction.
pub const MAX_BLOB_MESSAGE: usize = 1024 * 1024;

/// The greatest piece of a body in one message.
pub const MAX_CHUNK: usize = 256 * 1024;
