//! The codes of error bodies: those of distribution-spec "Error Codes", those that clients know
//! from other registries, and nothing of our own. Which HTTP status goes with one depends on the
//! request, and is the frontend's.

use std::fmt;

/// The `code` of an entry of an error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The blob is not present in the repository.
    BlobUnknown,
    /// The upload cannot go on as asked.
    BlobUploadInvalid,
    /// There is no such upload session.
    BlobUploadUnknown,
    /// The digest is malformed, not supported, or not that of the content.
    DigestInvalid,
    /// The manifest names content that is not present in the repository.
    ManifestBlobUnknown,
    /// The manifest is refused as it stands.
    ManifestInvalid,
    /// The manifest or tag is not present in the repository.
    ManifestUnknown,
    /// The repository's name is malformed.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// A length is wrong.
    SizeInvalid,
    /// Nobody proved who is asking.
    Unauthorized,
    /// The asker may not.
    Denied,
    /// This registry does not do that.
    Unsupported,
    /// Too many requests in too short a time.
    TooManyRequests,

    /// Docker: a failure that no other code describes.
    Unknown,
    /// Docker: a dependency is away.
    Unavailable,
    /// Docker: a range lies outside of what exists, or out of order.
    RangeInvalid,
    /// Docker: the tag is malformed.
    TagInvalid,
    /// Docker: the manifest's signature does not verify.
    ManifestUnverified,
    /// Docker: `n` is not a number.
    PaginationNumberInvalid,
    /// Extensions: there is no such extension.
    ExtensionUnknown,
    /// Azure: a lock forbids the operation.
    RegistryDisallowedOperation,
}

impl ErrorCode {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unknown => "UNKNOWN",
            Self::Unavailable => "UNAVAILABLE",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::ManifestUnverified => "MANIFEST_UNVERIFIED",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::ExtensionUnknown => "EXTENSION_UNKNOWN",
            Self::RegistryDisallowedOperation => "REGISTRY_DISALLOWED_OPERATION",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
