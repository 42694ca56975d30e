//! The rules that the simulator must be able to miss.
//!
//! In every build without the feature `testing` a guard stands, and costs nothing. With it, one can
//! be lowered for the present thread, to prove that the tests would see its absence.

/// A rule of replication.
#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "tests name it, and only they")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// What is proposed continues the cursor, event by event.
    Consecutive,
    /// The epoch of a cursor never goes back.
    EpochRises,
    /// An event from the future waits for our clock.
    FutureWaits,
    /// An undecodable record stops its stream.
    UndecodableStops,
    /// A gap that nobody closes is closed from the origin.
    GapRefilled,
    /// One body is fetched once, however many want it.
    SingleFlight,
    /// What broke off goes on where it broke off.
    Resumes,
    /// What is not what its digest says is thrown away.
    CorruptDiscarded,
    /// What a client waits for goes before all else.
    DemandFirst,
    /// Registries take turns by bytes.
    RegistriesTakeTurns,
    /// No peer is asked for more bytes than its budget allows.
    BudgetKept,
    /// A peer that says nothing is given up.
    StallsEnd,
    /// What nobody wants any more is not fetched.
    UnwantedCancelled,
    /// Only so much is held in memory.
    RoomIsLimited,
    /// Bodies that did not fit are found again in the state.
    StateIsSearched,
}

/// Whether a rule is in force.
#[cfg(not(feature = "testing"))]
pub(crate) const fn stands(_: Guard) -> bool {
    true
}

#[cfg(feature = "testing")]
pub use lowered::lower;
#[cfg(feature = "testing")]
pub(crate) use lowered::stands;

#[cfg(feature = "testing")]
mod lowered {
    use super::Guard;

    meridian_simulation::lowerable!(Guard);
}
