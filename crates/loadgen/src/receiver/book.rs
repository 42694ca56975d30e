//! What all receivers of a case were told, and whether that is as it should be.
//!
//! Keeps these of each receiver: what it was told first of each push, in which order that was within a repository, and
//! whether what it was told again had the same identifier. Pushes to a repository are numbered in the order of their
//! commits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Told;

/// Shared by those who are told and those who look.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// By receiver and push.
    told: HashMap<(u32, u64), First>,
    /// The push that was told last, by receiver and repository.
    last: HashMap<(u32, u32), u64>,
    faults: Faults,
    /// How many were told for the first time.
    firsts: u64,
    last_at: Option<Instant>,
}

#[derive(Clone, Copy)]
struct First {
    at: Instant,
    id: u64,
}

/// What went wrong, and what did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// First attempts behind a later one of the same repository.
    pub(crate) out_of_order: u64,
    /// Repetitions under another identifier.
    pub(crate) renamed: u64,
    /// All repetitions, which are no fault.
    pub(crate) repeated: u64,
}

// === impl Book ===

impl Book {
    /// Says whether it was told for the first time.
    pub(crate) fn note(&self, told: &Told) -> bool {
        let mut pages = self.pages();
        match pages.told.entry((told.endpoint, told.number)) {
            Entry::Occupied(first) => {
                let is_renamed = first.get().id != told.id;
                pages.faults.repeated += 1;
                pages.faults.renamed += u64::from(is_renamed);
                return false;
            }
            Entry::Vacant(vacant) => {
                vacant.insert(First {
                    at: told.at,
                    id: told.id,
                });
            }
        }
        let place = (told.endpoint, told.repository);
        let last = pages.last.insert(place, told.number);
        pages.faults.out_of_order += u64::from(last.is_some_and(|last| last > told.number));
        pages.firsts += 1;
        pages.last_at = Some(told.at);
        true
    }

    /// How many were told for the first time, and when the last of them was.
    pub(crate) fn firsts(&self) -> (u64, Option<Instant>) {
        let pages = self.pages();
        (pages.firsts, pages.last_at)
    }

    /// When a receiver was told of a push.
    pub(crate) fn told_at(&self, endpoint: u32, number: u64) -> Option<Instant> {
        let pages = self.pages();
        pages.told.get(&(endpoint, number)).map(|first| first.at)
    }

    pub(crate) fn faults(&self) -> Faults {
        self.pages().faults
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(endpoint: u32, repository: u32, number: u64, id: u64) -> Told {
        Told {
            endpoint,
            repository,
            number,
            id,
            at: Instant::now(),
        }
    }

    #[test]
    fn first_attempts_are_in_order_within_a_receiver_and_a_repository() {
        let book = Book::default();
        for (endpoint, repository, number) in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 2)] {
            assert!(book.note(&told(endpoint, repository, number, number)));
        }
        assert_eq!(book.faults(), Faults::default());
        book.note(&told(1, 0, 5, 5));
        book.note(&told(1, 0, 4, 4));
        assert_eq!(book.faults().out_of_order, 1);
        assert_eq!(book.firsts().0, 6);
    }

    #[test]
    fn what_is_told_again_has_the_same_identifier() {
        let book = Book::default();
        let first = told(0, 0, 1, 7);
        assert!(book.note(&first));
        assert!(!book.note(&told(0, 0, 1, 7)));
        assert_eq!((book.faults().repeated, book.faults().renamed), (1, 0));
        book.note(&told(0, 0, 1, 8));
        assert_eq!((book.faults().repeated, book.faults().renamed), (2, 1));
        assert_eq!(book.told_at(0, 1), Some(first.at));
        assert_eq!(book.told_at(1, 1), None);
    }
}
