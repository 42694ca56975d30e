//! What went wrong, in words for people.

use meridian_replication::{PeerFailure, Trouble};

/// What went wrong with content.
pub(crate) fn trouble(trouble: Trouble) -> String {
    match trouble {
        Trouble::BrokeOff(region) => format!("a transfer from {region} broke off"),
        Trouble::Corrupt(region) => {
            format!("what {region} sent is not what its digest says")
        }
        Trouble::Missing => "no region has it".to_owned(),
        Trouble::Unreachable => "the regions that may have it do not answer".to_owned(),
        Trouble::NotStored => "it could not be stored here".to_owned(),
    }
}

/// What went wrong with a region.
pub(crate) const fn failure(failure: PeerFailure) -> &'static str {
    match failure {
        PeerFailure::NoAnswer => "it did not answer a question",
        PeerFailure::BrokeOff => "a transfer broke off",
        PeerFailure::Stalled => "a transfer delivered nothing for too long",
        PeerFailure::Corrupt => "it sent something that is not what its digest says",
    }
}
