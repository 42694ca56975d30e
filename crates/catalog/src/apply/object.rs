//! Stored objects: named once, then doomed, then gone.
//!
//! Keeps the half of invariant 5 that fences storage: an object is bound to one blob or doomed,
//! and a generation that was ever bound or doomed is spent, so that no command which comes late, or
//! comes again after its request was forgotten, can name bytes that are deleted meanwhile. What was
//! spent is never forgotten, because nothing bounds how late a command may come: a process may be
//! paused for any time between the last byte and the record. It costs a bit, in one row for 64
//! generations, and only generations that were given out can be spent.

use meridian_event::RegistryId;
use meridian_oci::Digest;

use super::Result;
use super::guard::{self, Guard};
use super::turn::Turn;
use crate::key;
use crate::row::{Owner, Spent};
use crate::{ObjectKey, Write};

/// Whether a command named or doomed the object before.
pub(super) fn is_spent<S: Write>(turn: &Turn<'_, S>, object: ObjectKey) -> Result<bool, S> {
    if !guard::stands(Guard::NamedOnce) {
        return Ok(false);
    }
    let (block, bit) = place(object);
    let spent = turn.read::<Spent>(&block)?;
    Ok(spent.is_some_and(|spent| spent.bits & bit != 0))
}

/// Whether the generation was given to somebody. Of an earlier epoch it is not known how far that
/// had come.
pub(super) const fn was_given<S: Write>(turn: &Turn<'_, S>, object: ObjectKey) -> bool {
    let (epoch, next) = (turn.system.epoch, turn.system.next_generation);
    object.generation != 0
        && (object.epoch < epoch || object.epoch == epoch && object.generation < next)
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

/// Dooms an object that lies in the store and that no blob names: from here on none can. Returns
/// whether it did. What this state knows nothing of is left alone, be it of a registry that is not
/// here or of a generation that nobody was given: then store and state do not belong together, and
/// a state that is older than its store must not empty it.
pub(super) fn disown<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    object: ObjectKey,
) -> Result<bool, S> {
    let ObjectKey { epoch, generation } = object;
    let is_named =
        guard::stands(Guard::NamedIsKept) && turn.exists(&key::object(epoch, generation))?;
    if is_named
        || !was_given(turn, object)
        || !turn.exists(&key::usage(registry))?
        || turn.exists(&key::doomed(epoch, generation))?
    {
        return Ok(false);
    }
    if guard::stands(Guard::DoomedIsSpent) {
        spend(turn, object)?;
    }
    turn.put(&key::doomed(epoch, generation), &registry)?;
    Ok(true)
}

/// Dooms the object of a blob that is removed, or that has its bytes elsewhere now.
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
