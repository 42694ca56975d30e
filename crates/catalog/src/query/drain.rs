//! Whether clients are to go to other regions.

use super::Result;
use crate::access::read;
use crate::row::Drained;
use crate::{Read, key};

/// Since when, and why, if they are.
pub fn drained<S: Read>(store: &S) -> Result<Option<Drained>, S> {
    read(store, key::DRAINED)
}
