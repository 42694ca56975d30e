//! The keys of what is known of other regions: how far their events are merged, and what they and this one
//! tell each other.

use meridian_clock::Region;
use meridian_event::EventId;

use super::{Key, parse, split_shard, take_u64};

/// Prefix of all cursors; a region, a zero byte and a shard follow.
pub const CURSORS: &[u8] = b"C";

/// How far a shard of another region's events is merged.
#[must_use]
pub fn cursor(region: Region, shard: u16) -> Key {
    Key::start(b'C').shard_of(region, shard)
}

/// The other regions. The one row of its kind.
pub const PEERS: &[u8] = b"N";

/// Clients are to go to other regions. The one row of its kind.
pub const DRAINED: &[u8] = b"!";

/// The last heartbeat of another region in a shard.
#[must_use]
pub fn heard(region: Region, shard: u16) -> Key {
    Key::start(b'H').shard_of(region, shard)
}

/// A heartbeat that is still to be looked through.
#[must_use]
pub fn unheard(region: Region, shard: u16) -> Key {
    Key::start(b'j').shard_of(region, shard)
}

/// Prefix of all shards that were copied; a region, a zero byte and a shard follow.
pub const COPIED: &[u8] = b"F";

/// A shard of another region that was copied, while what it put is not all here.
#[must_use]
pub fn copied(region: Region, shard: u16) -> Key {
    Key::start(b'F').shard_of(region, shard)
}

/// Prefix of all shards of which other regions are to be told something.
pub const TO_TELL: &[u8] = b"D";

/// A shard of which other regions are to be told something.
#[must_use]
pub fn to_tell(shard: u16) -> Key {
    Key::start(b'D').shard(shard)
}

/// Prefix of all pushes here that other regions have not completed.
pub const AWAITED: &[u8] = b"A";

/// Prefix of the pushes here that other regions have not completed; a `seq` follows.
#[must_use]
pub fn awaited(shard: u16, epoch: u64) -> Key {
    Key::start(b'A').shard(shard).number(epoch)
}

/// Reads what follows the prefix of [`AWAITED`]: a shard, an epoch and a `seq`.
#[must_use]
pub fn parse_awaited(suffix: &[u8]) -> Option<(u16, u64, u64)> {
    let (shard, rest) = split_shard(suffix)?;
    let (epoch, rest) = take_u64(rest)?;
    let (seq, rest) = take_u64(rest)?;
    rest.is_empty().then_some((shard, epoch, seq))
}

/// Prefix of the pushes of another region that are not complete here; a `seq` follows.
#[must_use]
pub fn incomplete(region: Region, shard: u16, epoch: u64) -> Key {
    Key::start(b'P').shard_of(region, shard).number(epoch)
}

/// Splits a region, the zero byte behind it and a shard off the front of a key.
#[must_use]
pub fn take_shard(key: &[u8]) -> Option<((Region, u16), &[u8])> {
    let end = key.iter().position(|byte| *byte == 0)?;
    let (shard, rest) = split_shard(&key[end + 1..])?;
    Some(((parse(&key[..end])?, shard), rest))
}

/// Reads the id of an event that fills the rest of a key.
#[must_use]
pub fn parse_event(key: &[u8]) -> Option<EventId> {
    let ((region, shard), rest) = take_shard(key)?;
    let (epoch, rest) = take_u64(rest)?;
    let (seq, rest) = take_u64(rest)?;
    rest.is_empty().then_some(EventId {
        region,
        epoch,
        shard,
        seq,
    })
}

/// What other regions know this one by. The one row of its kind.
pub const OWN: &[u8] = b"O";

/// Stands while this region has not met the others. The one row of its kind.
pub const JOINING: &[u8] = b"6";

/// How far this region and another one know each other.
#[must_use]
pub fn met(region: Region) -> Key {
    Key::start(b'3').text(region.as_str())
}

/// Prefix of all regions that were removed and of which another one may know more than this one; the
/// removed one, a zero byte and the other one follow.
pub const REMOVALS: &[u8] = b"X";

/// A region that was removed, and another one that may know more of it than this one.
#[must_use]
pub fn removal(removed: Region, with: Region) -> Key {
    let removed = Key::start(b'X').text(removed.as_str()).text("\0");
    removed.text(with.as_str())
}

/// Reads what follows the prefix of [`REMOVALS`].
#[must_use]
pub fn parse_removal(suffix: &[u8]) -> Option<(Region, Region)> {
    let end = suffix.iter().position(|byte| *byte == 0)?;
    Some((parse(&suffix[..end])?, parse(&suffix[end + 1..])?))
}

/// Stands while the state of a region is to be copied before its events are merged.
#[must_use]
pub fn uncopied(region: Region) -> Key {
    Key::start(b'4').text(region.as_str())
}
