//! What went wrong, in words for people, and what they can do about it.

use meridian_replication::{Condition, Halt, PeerFailure, StreamId, Trouble};

/// How a stream is doing, if somebody is to be called. `at` is where in its log it is stopped.
pub(crate) fn alarm(stream: StreamId, condition: Condition, at: Option<u64>) -> Option<String> {
    if !condition.is_alarming() {
        return None;
    }
    let StreamId { origin, shard } = stream;
    let place = at.map(|offset| format!(" (offset {offset} of partition {shard} of its topic)"));
    let skip = format!("`meridian replication skip {origin} {shard}` goes on behind it");
    let advice = match condition {
        Condition::Halted(Halt::Undecodable) => format!(
            "; if a newer version has written it, upgrade this region's agent; if it is no event, {skip}"
        ),
        Condition::Halted(Halt::Misplaced(_)) => {
            format!("; find out who else writes to the topic, then {skip}")
        }
        Condition::Halted(Halt::Diverged(_)) => {
            "; find out who else writes to the topic, and whether two processes take themselves for \
             the same member of that region"
                .to_owned()
        }
        _ => String::new(),
    };
    Some(format!("{condition}{}{advice}", place.unwrap_or_default()))
}

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
        Trouble::NoRoom => {
            "there is no room for it while it comes: see `replication.spool_bytes`, and the disk"
                .to_owned()
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_says_where_and_what_to_do() {
        let stream = StreamId {
            origin: "eu".parse().unwrap(),
            shard: 3,
        };
        let halted = Condition::Halted(Halt::Undecodable);
        let told = alarm(stream, halted, Some(17)).unwrap();
        for words in ["offset 17 of partition 3", "meridian replication skip eu 3"] {
            assert!(told.contains(words), "{told}");
        }
        assert_eq!(alarm(stream, Condition::Following, None), None);
    }
}
