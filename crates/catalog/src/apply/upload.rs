//! A blob that was uploaded, or fetched, as any of the commands says it.

use meridian_event::{Leaf, RegistryId};

use super::guard::{self, Guard};
use crate::row::Blob;
use crate::{ArrivedBlob, BlobPlace, Encoding, NewBlob, ObjectKey};

/// A blob that was uploaded.
pub(super) struct Upload<'c> {
    pub(super) leaf: Leaf,
    pub(super) encoding: Encoding,
    pub(super) place: &'c BlobPlace,
    /// The registry among whose objects its bytes are, if its writer said so.
    pub(super) owner: Option<RegistryId>,
    /// An object whose bytes are lost.
    pub(super) instead_of: Option<ObjectKey>,
    /// Whether its writer understands the answer that the blob keeps another object.
    pub(super) asks_what_is_kept: bool,
}

// === impl Upload ===

impl Upload<'_> {
    pub(super) const fn object(&self) -> Option<ObjectKey> {
        match self.place {
            BlobPlace::Inline(_) => None,
            BlobPlace::Stored(object) => Some(*object),
        }
    }

    /// The object that a blob keeps instead of the uploaded one, if its writer asks.
    pub(super) fn other_object(&self, known: &Blob) -> Option<ObjectKey> {
        let kept = match known.place {
            BlobPlace::Inline(_) => None,
            BlobPlace::Stored(object) => Some(object),
        };
        kept.filter(|kept| self.asks_what_is_kept && Some(*kept) != self.object())
    }

    /// Whether it brings back the bytes of a blob: its writer found lost what the blob names now.
    pub(super) fn heals(&self, known: &Blob) -> bool {
        match (&known.place, self.instead_of) {
            (BlobPlace::Stored(object), Some(lost)) => {
                guard::stands(Guard::LostIsReplaced) && *object == lost
            }
            _ => false,
        }
    }
}

impl<'c> From<&'c NewBlob> for Upload<'c> {
    fn from(new: &'c NewBlob) -> Self {
        Self {
            leaf: new.blob,
            encoding: new.encoding,
            place: &new.place,
            owner: new.owner,
            instead_of: new.instead_of,
            asks_what_is_kept: true,
        }
    }
}

impl<'c> From<&'c ArrivedBlob> for Upload<'c> {
    fn from(arrived: &'c ArrivedBlob) -> Self {
        Self {
            leaf: arrived.blob,
            encoding: arrived.encoding,
            place: &arrived.place,
            owner: arrived.owner,
            instead_of: arrived.instead_of,
            asks_what_is_kept: true,
        }
    }
}
