//! What the blob service offers to the agents of its region.

use async_trait::async_trait;
use meridian_event::{Leaf, RegistryId};

use crate::{ByteStream, UploadError};

/// Where the bytes of blobs go that come from other regions.
///
/// # Contract
///
/// A blob is kept when its bytes hash to its digest and are durable, and it is recorded for its
/// registry; whoever waits for it here sees it then. One that is recorded already is kept once. A
/// blob that came this way is present in the repositories that need it, and in no other.
#[async_trait]
pub trait IngestApi: Send + Sync + 'static {
    /// Keeps a blob. `body` may come as slowly as another region sends it.
    ///
    /// # Errors
    ///
    /// [`UploadError::DigestDiffers`] and [`UploadError::LengthDiffers`] when the bytes are not the
    /// blob's; nothing is kept then.
    async fn ingest(
        &self,
        registry: RegistryId,
        blob: Leaf,
        body: ByteStream,
    ) -> Result<(), UploadError>;
}
