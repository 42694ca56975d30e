//! What manifests need, from both sides.
//!
//! Owns the rows that tie a manifest to its leaves, its subject and its bytes. They come and go
//! with its presence, all together.

use std::collections::BTreeSet;

use meridian_event::{Leaf, RegistryId};
use meridian_oci::{Digest, RepositoryName};

use crate::apply::turn::Turn;
use crate::apply::{Result, blob};
use crate::key;
use crate::row::{Link, Manifest, Needs, Referrer};
use crate::{CatalogError, NewManifest, Write};

/// Writes how a manifest shows itself among the referrers of its subject, which its media type is
/// part of: so also if it is there already.
pub(super) fn refer<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
) -> Result<(), S> {
    if let (Some(subject), Some((artifact_type, descriptor))) = (new.subject, &new.referrer) {
        let referrer = Referrer {
            artifact_type: artifact_type.clone(),
            descriptor: descriptor.clone(),
        };
        let key = key::referrers(registry, &new.repository)
            .digest(subject)
            .digest(new.digest);
        turn.put(&key, &referrer)?;
    }
    Ok(())
}

/// The blobs of a manifest that need not be in its repository, and are.
pub(super) fn linked_foreign<S: Write>(
    turn: &Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
) -> Result<Vec<Leaf>, S> {
    let mut linked = Vec::new();
    for leaf in &new.foreign {
        if turn.exists(&key::links(registry, &new.repository).digest(leaf.digest))? {
            linked.push(*leaf);
        }
    }
    Ok(linked)
}

/// Writes what a manifest is and needs.
pub(super) fn settle<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    let repository = &new.repository;
    let needs = Needs {
        blobs: [&new.blobs, foreign].concat(),
        children: new.children.clone(),
        subject: new.subject,
    };
    let body = key::bodies(registry, repository).digest(new.digest);
    turn.put_bytes(&body, &new.bytes)?;
    turn.put(&key::needs(registry, repository).digest(new.digest), &needs)?;
    for leaf in leaves(&needs) {
        let holder = key::holders(registry, repository)
            .digest(leaf)
            .digest(new.digest);
        turn.put_bytes(&holder, &[])?;
    }
    Ok(())
}

/// Lets a manifest that was there before hold what came after it.
pub(super) fn adopt<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    let needs_key = key::needs(registry, &new.repository).digest(new.digest);
    let mut needs = needs_of(turn, &needs_key)?;
    let held = leaves(&needs);
    for leaf in foreign.iter().filter(|leaf| !held.contains(&leaf.digest)) {
        needs.blobs.push(*leaf);
        let holders = key::holders(registry, &new.repository).digest(leaf.digest);
        turn.put_bytes(&holders.digest(new.digest), &[])?;
    }
    turn.put(&needs_key, &needs)
}

fn needs_of<S: Write>(turn: &Turn<'_, S>, key: &[u8]) -> Result<Needs, S> {
    turn.read::<Needs>(key)?
        .ok_or(CatalogError::Damaged("needs of a manifest"))
}

/// Raises what a put stands on, so that an older delete from anywhere loses against it.
pub(super) fn raise_leaves<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    new: &NewManifest,
    foreign: &[Leaf],
) -> Result<(), S> {
    let repository = &new.repository;
    for leaf in new.blobs.iter().chain(foreign).chain(&new.children) {
        let link_key = key::links(registry, repository).digest(leaf.digest);
        if let Some(mut link) = turn.read::<Link>(&link_key)? {
            link.add = turn.version;
            turn.put(&link_key, &link)?;
            blob::revive(turn, registry, leaf.digest)?;
        }
    }
    for leaf in &new.children {
        let cell_key = key::manifests(registry, repository).digest(leaf.digest);
        // A deleted manifest is not what it stands on, but a blob of the same digest.
        let cell = turn.read::<Manifest>(&cell_key)?;
        if let Some(mut cell) = cell.filter(Manifest::is_present) {
            cell.add = turn.version;
            turn.put(&cell_key, &cell)?;
        }
    }
    Ok(())
}

/// Removes what a manifest was and needed. A leaf that nothing needs any more begins its grace.
pub(super) fn unsettle<S: Write>(
    turn: &mut Turn<'_, S>,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<(), S> {
    let needs_key = key::needs(registry, repository).digest(digest);
    let needs = needs_of(turn, &needs_key)?;
    turn.remove(&needs_key)?;
    turn.remove(&key::bodies(registry, repository).digest(digest))?;
    for leaf in leaves(&needs) {
        let of_leaf = key::holders(registry, repository).digest(leaf);
        turn.remove(&of_leaf.clone().digest(digest))?;
        let is_blob = turn.exists(&key::links(registry, repository).digest(leaf))?;
        if is_blob && turn.suffixes(&of_leaf, 1)?.is_empty() {
            blob::release(turn, registry, leaf)?;
        }
    }
    if let Some(subject) = needs.subject {
        let referrer = key::referrers(registry, repository)
            .digest(subject)
            .digest(digest);
        turn.remove(&referrer)?;
    }
    Ok(())
}

fn leaves(needs: &Needs) -> BTreeSet<Digest> {
    let all = needs.blobs.iter().chain(&needs.children);
    all.map(|leaf| leaf.digest).collect()
}
