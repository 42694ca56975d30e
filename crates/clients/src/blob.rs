//! The blob service, in domain terms.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use meridian_error::{Classify, Code, Retry};
use meridian_oci::{Algorithm, ContentRange, Digest, RepositoryName, UploadId};

use crate::link::PresignedUrl;
use crate::{ReadError, RepositoryPath, Stale, WriteError};

/// Bytes on their way. An error item ends the stream; what came before it was received.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The owner of bytes.
///
/// # Contract
///
/// Nothing is visible under a digest before it was verified, is durable, and is recorded in the
/// metadata. An upload session belongs to one repository, accepts one writer at a time, and
/// outlives a crash up to its last acknowledged chunk.
#[async_trait]
pub trait BlobApi: Send + Sync + 'static {
    /// Whether a blob is present in a repository. `for_push` says that the caller is about to rely
    /// on it, which renews its lease when that is due. To such a caller a blob whose bytes are known
    /// to be lost is absent, so that it uploads them: the upload takes the place of what was lost.
    async fn stat(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        for_push: bool,
    ) -> Result<BlobStat, ReadBlobError>;

    /// Opens a blob, for whoever has a say in it: attributes of its repository forbid nothing here, because
    /// other regions copy what must not be pulled as well. `range` is the value of a `Range` header, resolved
    /// against the blob's size (RFC 9110 §14).
    async fn read(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError>;

    /// [`read`](Self::read) for a client, unless it is better sent where `handover` allows. In any case the
    /// blob was present a moment ago; one that must not be pulled is [`ReadError::Locked`]. One that is small, rests with its record, or of which the range
    /// does not exist, is answered here.
    async fn deliver(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
        handover: Handover,
    ) -> Result<Delivered, ReadBlobError> {
        // What knows no other way is a way, too.
        let _unused = handover;
        let read = self.read(repository, digest, range).await?;
        Ok(Delivered {
            delivery: Delivery::Here(read),
            stale: None,
        })
    }

    /// Opens an upload session.
    async fn start(
        &self,
        repository: &RepositoryPath,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, UploadError>;

    /// Appends a chunk to a session. What arrived before a failing body is kept, unless the chunk
    /// announced its length: then all of it counts, or nothing.
    async fn append(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError>;

    /// Appends the last chunk, which may be empty, and closes the session. The whole must hash to
    /// `digest`. Repeated after success, it succeeds again.
    async fn finish(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        digest: Digest,
        chunk: Transfer,
    ) -> Result<(), UploadError>;

    /// Uploads a whole blob in one step.
    async fn upload(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        body: Transfer,
    ) -> Result<(), UploadError>;

    /// How far a session has come.
    async fn status(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<UploadStatus, UploadError>;

    /// Ends a session and forgets its bytes.
    async fn cancel(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<(), UploadError>;

    /// Makes a blob of another repository present in this one, without moving bytes.
    async fn mount(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
    ) -> Result<MountOutcome, UploadError>;

    /// Deletes a blob from a repository; refused while a manifest there needs it.
    async fn delete(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<(), DeleteBlobError>;

    /// Asks the store for something that is not there: what is wrong with it, if something is.
    async fn probe(&self) -> Result<Option<String>, ReadBlobError>;
}

/// A body that a client sends.
pub struct Transfer {
    /// `Content-Range`, if the client gave one.
    pub range: Option<ContentRange>,
    /// `Content-Length`, if the client gave one.
    pub length: Option<u64>,
    /// The bytes.
    pub body: ByteStream,
}

/// A blob that is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobStat {
    /// Its length in bytes.
    pub size: u64,
    /// Whether it may be pulled.
    pub is_readable: bool,
    /// Set when nobody could say whether it is still there.
    pub stale: Option<Stale>,
}

/// A blob, or a part of it, opened for reading.
pub enum BlobRead {
    /// All of it.
    Whole {
        /// The blob's length in bytes.
        size: u64,
        /// Exactly so many bytes, or an error.
        body: ByteStream,
    },
    /// A part.
    Part {
        /// The blob's length in bytes.
        size: u64,
        /// Offset of the first byte.
        start: u64,
        /// Offset of the last byte.
        end_inclusive: u64,
        /// Exactly so many bytes, or an error.
        body: ByteStream,
    },
    /// The range lies outside of the blob.
    Unsatisfiable {
        /// The blob's length in bytes.
        size: u64,
    },
}

/// Where a reader may be sent instead of being given the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover {
    /// A blob of fewer bytes is not worth it.
    pub at_least: u64,
    /// To a data endpoint: the caller makes the [link](crate::link).
    pub by_link: bool,
    /// To where the blob rests, by a URL that lives so long. It is preferred to a link.
    pub presigned: Option<Duration>,
}

/// How a reader comes by a blob, and what is known of its presence.
pub struct Delivered {
    /// How.
    pub delivery: Delivery,
    /// Set when nobody could say whether it is still there.
    pub stale: Option<Stale>,
}

/// How a reader comes by a blob.
pub enum Delivery {
    /// From the caller.
    Here(BlobRead),
    /// From a data endpoint.
    Link {
        /// The blob's length in bytes.
        size: u64,
    },
    /// From the store.
    Presigned {
        /// The blob's length in bytes.
        size: u64,
        /// Where.
        url: PresignedUrl,
    },
}

/// How far an upload session has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// Which session.
    pub upload: UploadId,
    /// How many bytes it has.
    pub offset: u64,
    /// The least length of every chunk but the last, if the store needs one.
    pub min_chunk: Option<u64>,
}

/// What came of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountOutcome {
    /// The blob is present now.
    Mounted,
    /// There was nothing to mount; the client uploads instead, in this session.
    Session(UploadStatus),
}

/// Why a blob cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadBlobError {
    /// The metadata has no answer, or says no.
    #[error(transparent)]
    Metadata(#[from] ReadError),
    /// The blob is recorded, but its bytes cannot be had.
    #[error("the bytes of blob {digest} cannot be read")]
    Unreadable {
        /// Which blob.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why an upload did not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No such session: it never was, is over, or belongs to another repository.
    #[error("no such upload session")]
    Unknown,
    /// The chunk does not start where the session ends.
    #[error("the chunk does not start at offset {}", .0.offset)]
    OutOfOrder(UploadStatus),
    /// Somebody else is writing to the session.
    #[error("another request is writing to the upload session")]
    Busy,
    /// The body is not as long as its headers say.
    #[error("the body has {actual} bytes where {expected} were announced")]
    LengthDiffers {
        /// As announced.
        expected: u64,
        /// As received.
        actual: u64,
    },
    /// The bytes do not hash to the digest.
    #[error("the content does not match the digest")]
    DigestDiffers,
    /// The blob is larger than is allowed.
    #[error("the blob is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Too many sessions are open.
    #[error("too many upload sessions are open")]
    TooManySessions,
    /// The client's body broke off.
    #[error("the request body broke off")]
    Body(#[source] io::Error),
    /// The store has no room.
    #[error("the blob store is full")]
    StoreFull,
    /// The store failed; the session is lost.
    #[error("the blob store failed")]
    Store(#[source] io::Error),
    /// The metadata refused, or cannot be reached.
    #[error(transparent)]
    Metadata(#[from] WriteError),
}

/// Why a blob was not deleted.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DeleteBlobError(#[from] pub WriteError);

// === impl BlobStat ===

impl BlobStat {
    /// The same for a client that pulls.
    ///
    /// # Errors
    ///
    /// [`ReadError::Locked`] when it must not be pulled.
    pub fn pulled(self) -> Result<Self, ReadBlobError> {
        match self.is_readable {
            true => Ok(self),
            false => Err(ReadError::Locked.into()),
        }
    }
}

// === impl Handover ===

impl Handover {
    /// Nowhere.
    pub const NONE: Self = Self {
        at_least: u64::MAX,
        by_link: false,
        presigned: None,
    };
}

// === impl Transfer ===

impl Transfer {
    /// A body of no bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            range: None,
            length: Some(0),
            body: Box::pin(futures::stream::empty()),
        }
    }
}

// === impl ReadBlobError ===

impl Classify for ReadBlobError {
    fn code(&self) -> Code {
        match self {
            Self::Metadata(error) => error.code(),
            Self::Unreadable { .. } => Code::Unavailable,
        }
    }
}

// === impl UploadError ===

impl Classify for UploadError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::OutOfOrder(_) => Code::OutOfRange,
            Self::Busy => Code::Conflict,
            Self::LengthDiffers { .. } | Self::DigestDiffers | Self::Body(_) => {
                Code::InvalidArgument
            }
            Self::TooLarge { .. } | Self::TooManySessions | Self::StoreFull => {
                Code::ResourceExhausted
            }
            Self::Store(_) => Code::Internal,
            Self::Metadata(error) => error.code(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Metadata(error) => error.retry(),
            Self::Store(_) | Self::Body(_) | Self::TooManySessions | Self::StoreFull => {
                Retry::Yes { after: None }
            }
            _ => Retry::No,
        }
    }
}

// === impl DeleteBlobError ===

impl Classify for DeleteBlobError {
    fn code(&self) -> Code {
        self.0.code()
    }

    fn retry(&self) -> Retry {
        self.0.retry()
    }
}
