//! The rules that the simulator must be able to miss.
//!
//! In every build without the feature `testing` a guard stands, and costs nothing. With it, one can
//! be lowered for the present thread, to prove that the tests would see its absence.

/// A rule of delivery.
#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "tests name it, and only they")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// First attempts of a repository are made one after the other.
    FirstInOrder,
    /// A cursor stays before what is not settled.
    SettledBelow,
    /// What failed is kept in the entry that moves the cursor past it.
    FailedIsKept,
    /// A message that comes again has the same id.
    SameId,
    /// What is offered continues what was offered before.
    Consecutive,
    /// A webhook that fell behind reads the log itself.
    BehindReads,
    /// A receiver that fails again and again is left alone.
    BreakerOpens,
    /// One that is left alone is asked with one message.
    ProbesWithOne,
    /// A receiver has only so many requests at once.
    SlotsPerEndpoint,
    /// A receiver that is slow has few requests at once.
    SlowHasFew,
    /// Only so many are under way.
    SlotsInAll,
    /// Receivers take turns.
    TurnsAreTaken,
    /// Only so much is held in memory.
    RoomIsLimited,
    /// A receiver that is gone is disabled.
    GoneDisables,
    /// One that failed for long enough is disabled.
    FailingDisables,
    /// A redirect is a failure.
    RedirectFails,
    /// Whoever is busy is not asked again at once.
    BusyWaits,
    /// A receiver says when to come again, within limits.
    RetryAfterHeard,
    /// What is attempted often enough is a dead letter.
    AttemptsEnd,
    /// A webhook of a region is told by that region only.
    RegionBound,
    /// A webhook of a region is told of a push when that region can serve it.
    PushWhenServed,
    /// A push is told when the regions of a condition have it.
    ConditionHolds,
    /// Nobody is told of what was before.
    NothingOlder,
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

#[cfg(feature = "testing")]
impl Guard {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::FirstInOrder,
        Self::SettledBelow,
        Self::FailedIsKept,
        Self::SameId,
        Self::Consecutive,
        Self::BehindReads,
        Self::BreakerOpens,
        Self::ProbesWithOne,
        Self::SlotsPerEndpoint,
        Self::SlowHasFew,
        Self::SlotsInAll,
        Self::TurnsAreTaken,
        Self::RoomIsLimited,
        Self::GoneDisables,
        Self::FailingDisables,
        Self::RedirectFails,
        Self::BusyWaits,
        Self::RetryAfterHeard,
        Self::AttemptsEnd,
        Self::RegionBound,
        Self::PushWhenServed,
        Self::ConditionHolds,
        Self::NothingOlder,
    ];
}
