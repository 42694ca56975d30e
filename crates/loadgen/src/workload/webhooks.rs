//! W1, W2 and W4: receivers of webhooks, beside those of distribution's notifications.
//!
//! Receivers live in the generator. An operation is a notice: a push that a receiver is told of. Each row looks
//! whether receivers were told of everything, and first of each push in the order of the repository's; W3, which waits
//! for a first attempt, stands with E1.

mod backlog;
mod neighbours;
mod pending;
mod pushers;

pub(super) use backlog::Backlog;
pub(super) use neighbours::Neighbours;
pub(super) use pending::Pending;

use super::LoadError;
use crate::receiver::Book;

/// Fails if a receiver was told of something out of turn, or again under another name.
pub(super) fn in_order(book: &Book) -> Result<(), LoadError> {
    let faults = book.faults();
    if faults.out_of_order == 0 && faults.renamed == 0 {
        return Ok(());
    }
    let (out_of_order, renamed) = (faults.out_of_order, faults.renamed);
    Err(LoadError::Told(format!(
        "{out_of_order} first attempts came behind a later one of their repository, {renamed} repetitions had another identifier"
    )))
}
