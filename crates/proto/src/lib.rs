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
    pub mod content {
        generated! {
            /// `meridian.content.v1`
            v1 = "meridian.content.v1";
        }
    }
    pub mod event {
        generated! {
            /// `meridian.event.v1`
            v1 = "meridian.event.v1";
        }
    }
}

mod decode;
mod event;

pub use decode::{DecodeError, digest, leaf, required, text, version};
pub use event::{decode_envelope, encode_envelope};
