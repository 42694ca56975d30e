//! The rules on which the safety of collection and of merging rests, each of which the race tests or
//! those of convergence break.
//!
//! In every build but the crate's own unit tests a guard stands, and costs nothing. There, one can
//! be lowered for the present thread, to prove that the tests would see its absence.

/// A rule that stands between a race and a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A manifest is put only upon leaves that are present.
    LeavesPresent,
    /// A leaf that a manifest needs is not deleted.
    NeededStays,
    /// Whatever leases a blob takes it back from collection.
    LeaseRevives,
    /// Whatever needs a blob takes it back from collection.
    ManifestRevives,
    /// A blob is judged where it is condemned, whatever the collector believed.
    JudgedAtCondemn,
    /// A blob is judged again where it is removed.
    JudgedAtRemove,
    /// A storage key is named once.
    NamedOnce,
    /// What the sweep dooms can never be named.
    DoomedIsSpent,
    /// What a blob names is not doomed by the sweep.
    NamedIsKept,
    /// Bytes that were lost are brought back by whoever uploads them again.
    LostIsReplaced,
    /// An older deletion changes nothing.
    DelIsAJoin,
    /// An older value of a tag changes nothing.
    TagIsARegister,
    /// The newest put decides the media type, not the one that arrives last.
    PutVersionDecidesMediaType,
    /// A put whose tags all lose raises what it stands on all the same.
    LoserRaises,
    /// What a present manifest needs is present.
    NeedKeepsPresent,
    /// A winner that can never be shown hides what was shown before.
    DeadWinnerHides,
    /// Whoever waits for something is told when it is there.
    WaitersAreTold,
    /// Events are merged without a gap.
    CursorIsDense,
    /// A push elsewhere is told of when its image is complete here.
    ImagesAreAwaited,
    /// A push here is told of when all other regions have completed its image.
    AllAreAwaited,
    /// Tombstones go only when everybody has merged all that is older.
    FloorIsMerged,
    /// What is older than the tombstones that went is no news from outside the log.
    SettledIsDiscarded,
    /// Nothing of another region is merged before both count on each other.
    StrangersAreIgnored,
    /// A new region takes no writes before all others count on it.
    NewcomersMeetFirst,
    /// One that was not counted on, and does not know what others have forgotten, is met no more.
    OutdatedStayOut,
    /// A registry's name belongs to the oldest of those that were created with it.
    OldestBearsName,
    /// An older value of an attribute changes nothing.
    AttributeIsARegister,
    /// An older deletion of a repository changes nothing.
    DeletionIsAJoin,
    /// What is older than the deletion of its repository stays deleted, however late it comes.
    DeletionCovers,
    /// What a deleted repository held is hidden before it is swept.
    CoveredIsHidden,
    /// Attributes end with their repository.
    AttributesEnd,
    /// A lock refuses what it forbids.
    LocksHold,
    /// An older definition of a webhook changes nothing.
    WebhookIsARegister,
}

/// Whether a rule is in force.
#[cfg(not(test))]
pub(crate) const fn stands(_: Guard) -> bool {
    true
}

#[cfg(test)]
pub(crate) use lowered::{lower, stands};

#[cfg(test)]
mod lowered {
    use super::Guard;

    meridian_simulation::lowerable!(Guard);
}
