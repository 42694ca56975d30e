#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod collect;
mod config;
mod data;
mod generation;
mod grpc;
mod handover;
mod ingest;
mod layout;
mod loss;
mod propose;
mod read;
mod room;
mod service;
mod start;
mod ticket;
mod upload;

pub use collect::{
    CollectError, CollectionPhase, CollectionReport, CollectionStatus, Tally, WouldCollect,
    WouldRemove,
};
pub use config::{CollectionConfig, Config, ConfigError, UploadConfig};
pub use data::{DataConfig, DataEndpoint, DataPorts, StartDataError, check_data, serve_data};
pub use grpc::{
    GRPC_SERVICE, GrpcAdapter, INGEST_GRPC_SERVICE, IngestAdapter, blob_server, ingest_server,
};
pub use service::BlobService;
pub use start::{Ports, StartError, start};
