//! Registries by name, and names by registry.

use std::ops::{Bound, ControlFlow};

use meridian_event::RegistryId;
use meridian_oci::RegistryName;

use super::Result;
use crate::access::read;
use crate::key::{self, end_of};
use crate::row::Row;
use crate::{CatalogError, Read};

/// The registry that bears a name.
pub fn registry<S: Read>(store: &S, name: &RegistryName) -> Result<Option<RegistryId>, S> {
    read(store, &key::registry_name(name.as_str()))
}

/// The name that a registry bears. There are few registries, so all of them are looked at.
pub fn registry_name<S: Read>(store: &S, id: RegistryId) -> Result<Option<RegistryName>, S> {
    let damaged = || CatalogError::Damaged("name of a registry");
    let end = end_of(key::REGISTRY_NAMES);
    let range = (
        Bound::Included(key::REGISTRY_NAMES),
        Bound::Excluded(end.as_slice()),
    );
    let mut found = Ok(None);
    let visit = &mut |key: &[u8], value: &[u8]| {
        let name = || key::parse(&key[key::REGISTRY_NAMES.len()..]);
        found = match RegistryId::decode::<S::Error>(value) {
            Ok(bearer) if bearer != id => return ControlFlow::Continue(()),
            Ok(_) => name().ok_or_else(damaged).map(Some),
            Err(error) => Err(error),
        };
        ControlFlow::Break(())
    };
    store.scan(range, visit).map_err(CatalogError::Store)?;
    found
}
