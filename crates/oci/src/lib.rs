#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod content_range;
mod descriptor;
mod digest;
mod error_code;
mod hasher;
mod manifest;
mod media_type;
mod range;
mod reference;
mod registry;
mod repository;
mod tag;
mod text;
mod upload_id;

pub use content_range::{ContentRange, ParseContentRangeError};
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, ParseDigestError};
pub use error_code::ErrorCode;
pub use hasher::Hasher;
pub use manifest::{
    DescriptorFault, DescriptorPlace, MAX_DEPTH, MAX_DESCRIPTORS, MAX_MANIFEST_BYTES, MAX_MEMBERS,
    Manifest, ManifestKind, ParseManifestError,
};
pub use media_type::{MediaType, ParseMediaTypeError};
pub use range::{ByteRange, Resolved};
pub use reference::{ParseReferenceError, Reference};
pub use registry::{ParseRegistryNameError, RegistryName};
pub use repository::{ParseRepositoryNameError, RepositoryName};
pub use tag::{ParseTagError, Tag};
pub use upload_id::{ParseUploadIdError, UploadId};
