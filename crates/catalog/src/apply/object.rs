//! Stored objects: named once, then doomed, then gone.
//!
//! Keeps the half of invariant 5 that fences storage: an object is bound to one blob or doomed,
//! and a generation that was ever named is spent, so that a command which comes again after its
//! request was forgotten cannot name bytes that were deleted meanwhile. What was spent is never
//! forgotten; it costs a bit.

use meridian_event::RegistryId;
use meridian_oci::Digest;

use super::Result;
use super::guard::{self, Guard};
use super::turn::Turn;
use crate::key;
use crate::row::{Owner, Spent};
use crate::{ObjectKey, Write};

/// Whether a command named the object before.
pub(super) fn is_spent<S: Write>(turn: &Turn<'_, S>, object: ObjectKey) -> Result<bool, S> {
    if !guard::stands(Guard::NamedOnce) {
        return Ok(false);
    }
    let (block, bit) = place(object);
    let spent = turn.read::<Spent>(&block)?;
    Ok(spent.is_some_and(|spent| spent.bits & bit != 0))
}

/// Makes an object the bytes of a blob.
pub(super) fn bind<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    digest: Digest,
    object: ObjectKey,
) -> Result<(), S> {
    spend(turn, object)?;
    let owner = Owner { registry, digest };
    turn.put(&key::object(object.epoch, object.generation), &owner)
}

/// Dooms an object that nobody needs: it will be deleted physically.
pub(super) fn doom<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    object: ObjectKey,
) -> Result<(), S> {
    spend(turn, object)?;
    turn.put(&key::doomed(object.epoch, object.generation), &registry)
}

/// Dooms the object of a blob that is removed.
pub(super) fn release<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    object: ObjectKey,
) -> Result<(), S> {
    turn.remove(&key::object(object.epoch, object.generation))?;
    turn.put(&key::doomed(object.epoch, object.generation), &registry)
}

/// Forgets a doomed object that is physically gone. Returns whether it was doomed.
pub(super) fn forget<S: Write>(turn: &mut Turn<'_, S>, object: ObjectKey) -> Result<bool, S> {
    let doomed = key::doomed(object.epoch, object.generation);
    let was_doomed = turn.exists(&doomed)?;
    if was_doomed {
        turn.remove(&doomed)?;
    }
    Ok(was_doomed)
}

fn spend<S: Write>(turn: &mut Turn<'_, S>, object: ObjectKey) -> Result<(), S> {
    let (block, bit) = place(object);
    let mut spent = turn.read::<Spent>(&block)?.unwrap_or_default();
    spent.bits |= bit;
    turn.put(&block, &spent)
}

fn place(object: ObjectKey) -> (key::Key, u64) {
    let ObjectKey { epoch, generation } = object;
    let block = key::spent(epoch, generation / Spent::BITS);
    (block, 1 << (generation % Spent::BITS))
}
