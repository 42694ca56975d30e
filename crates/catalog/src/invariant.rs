//! What holds of every state, by name.
//!
//! Owns the checks of the README's invariants and of the agreement between rows that say the same
//! thing twice. They read the whole state, so they are for tests and for a replica that is under
//! suspicion, not for every entry. What a state must have become is the reference model's, in this
//! crate's tests.

mod census;
mod collection;
mod counters;
mod indexes;
mod leaves;
mod notices;
mod order;
mod repositories;
mod tombstones;
mod webhooks;

use std::fmt;

use crate::Read;
use census::Census;

/// Something that does not hold of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What breaks it.
    pub offender: String,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

/// Checks a whole state. An empty one, which was never initialized, is fine.
///
/// # Errors
///
/// When the storage fails. A row that cannot be read is a violation.
pub fn check<S: Read>(store: &S) -> Result<Vec<Violation>, S::Error> {
    let mut findings = Findings::default();
    let census = Census::take(store, &mut findings)?;
    leaves::check(&census, &mut findings);
    indexes::check(&census, &mut findings);
    collection::check(&census, &mut findings);
    counters::check(&census, &mut findings);
    notices::check(&census, &mut findings);
    order::check(&census, &mut findings);
    tombstones::check(&census, &mut findings);
    tombstones::check_regions(&census, &mut findings);
    repositories::check(&census, &mut findings);
    webhooks::check(&census, &mut findings);
    Ok(findings.0)
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.offender)
    }
}

impl Findings {
    /// Notes a violation unless `holds`.
    fn demand(&mut self, invariant: &'static str, holds: bool, offender: &dyn fmt::Debug) {
        if !holds {
            self.0.push(Violation {
                invariant,
                offender: format!("{offender:?}"),
            });
        }
    }
}
