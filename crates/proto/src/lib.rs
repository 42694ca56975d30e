#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

macro_rules! generated {
    ($($(#[$doc:meta])* $name:ident = $package:literal;)*) => {$(
        $(#[$doc])*
        #[allow(
            clippy::all,
            clippy::pedantic,
            clippy::restriction,
            clippy::nursery,
            missing_docs,
            unreachable_pub,
            unused_qualifications,
            reason = "generated"
        )]
        pub mod $name {
            tonic::include_proto!($package);
        }
    )*};
}

/// Packages, nested as their names are, because generated code refers to them that way.
#[allow(missing_docs, reason = "folders of packages")]
pub mod meridian {
    pub mod blob {
        generated! {
            /// `meridian.blob.v1`
            v1 = "meridian.blob.v1";
        }
    }
    pub mod content {
        generated! {
            /// `meridian.content.v1`
            v1 = "meridian.content.v1";
        }
    }
    pub mod error {
        generated! {
            /// `meridian.error.v1`
            v1 = "meridian.error.v1";
        }
    }
    pub mod event {
        generated! {
            /// `meridian.event.v1`
            v1 = "meridian.event.v1";
        }
    }
    pub mod metadata {
        generated! {
            /// `meridian.metadata.v1`
            v1 = "meridian.metadata.v1";
        }
    }
    pub mod raft {
        generated! {
            /// `meridian.raft.v1`
            v1 = "meridian.raft.v1";
        }
    }
    pub mod replication {
        generated! {
            /// `meridian.replication.v1`
            v1 = "meridian.replication.v1";
        }
    }
    pub mod webhook {
        generated! {
            /// `meridian.webhook.v1`
            v1 = "meridian.webhook.v1";
        }
    }
}

/// All packages as they were compiled: an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The paths of all methods, in order.
pub const METHODS: &[&str] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

mod body;
mod decode;
mod delivery;
mod event;
mod webhook;

pub use body::{algorithm, content_range};
pub use decode::{DecodeError, digest, leaf, optional, registry, required, text, version};
pub use delivery::{message_id, shard, webhook_id};
pub use event::{decode_envelope, encode_envelope, event_id};
