//! Whether a reader is better sent elsewhere for a blob.
//!
//! Owns that choice. Keeps the invariants that nobody is sent where an answer of ours is due: small
//! blobs, those that rest with their record, and ranges that do not exist are answered here; and
//! that nobody is sent to a store for what is not there whole, because a store would say that it is
//! absent, which it is not. So a URL is signed after a look at the object: one request more, which
//! finds losses as a read of ours would. Leaves links to the caller, who makes them.

use meridian_blobstore::{MAX_PRESIGNED, Presign};
use meridian_clients::link::PresignedUrl;
use meridian_clients::{BlobLocation, BlobRecord, Delivery, Encoding, Handover, StorageKey};
use meridian_oci::{ByteRange, Resolved};

use crate::layout;

/// Where the reader of a blob is sent; `None`: it is better given the bytes.
pub(crate) async fn elsewhere(
    presign: Option<&dyn Presign>,
    record: &BlobRecord,
    range: Option<&str>,
    wish: Handover,
) -> Option<Delivery> {
    let BlobLocation::Stored(key) = record.location else {
        return None;
    };
    let size = record.size;
    if size < wish.at_least || ByteRange::resolve(range, size) == Resolved::Unsatisfiable {
        return None;
    }
    // What rests encrypted is of no use to who reads it there.
    if let (Some(store), Encoding::Plain) = (presign, record.encoding)
        && let Some(lifetime) = wish.presigned
    {
        let lifetime = lifetime.min(MAX_PRESIGNED);
        match sign(store, key, size, lifetime).await {
            Signed::Url(url) => return Some(Delivery::Presigned { size, url }),
            // Who reads it here is told as it should be, and so are we.
            Signed::Lost => return None,
            Signed::Failed => {}
        }
    }
    wish.by_link.then_some(Delivery::Link { size })
}

/// What came of signing a URL.
enum Signed {
    Url(PresignedUrl),
    /// The object is not there, or not whole.
    Lost,
    /// The store does not answer, or cannot sign.
    Failed,
}

async fn sign(
    store: &dyn Presign,
    key: StorageKey,
    size: u64,
    lifetime: std::time::Duration,
) -> Signed {
    let object = layout::object(key);
    let failed = |error: &dyn std::error::Error| {
        let error = meridian_error::chain(error);
        tracing::warn!(%object, error, "no URL was signed; the blob goes another way");
        Signed::Failed
    };
    match store.stat(&object).await {
        Ok(Some(found)) if found == size => {}
        Ok(_) => return Signed::Lost,
        Err(error) => return failed(&error),
    }
    let signed = match store.presign_get(&object, None, lifetime).await {
        Ok(signed) => signed,
        Err(error) => return failed(&error),
    };
    // A client that is sent somewhere says what it would have said here, and nothing for the store.
    if signed
        .headers
        .iter()
        .any(|(name, _)| !name.eq_ignore_ascii_case("host"))
    {
        tracing::warn!(%object, "the store wants headers with its URLs; the blob goes another way");
        return Signed::Failed;
    }
    match signed.url.parse() {
        Ok(url) => Signed::Url(url),
        Err(error) => failed(&error),
    }
}
