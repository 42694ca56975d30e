//! The head of a segment: whose it is, and where each shard goes on in it.

use bytes::{Buf, BufMut};

use super::Damage;
use crate::{MAX_SHARDS, Topic};

const MAGIC: &[u8; 8] = b"MRDNELOG";
const VERSION: u16 = 1;

/// No header is longer: 1024 shards and a topic of 249 bytes leave room to spare.
pub(in crate::disk) const MAX_HEADER: usize = 16 << 10;

/// The head of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) struct Header {
    /// Which topic.
    pub(in crate::disk) topic: Topic,
    /// Which of its segments, from 0.
    pub(in crate::disk) number: u64,
    /// For each shard, the offset of its first record here or later.
    pub(in crate::disk) bases: Box<[u64]>,
}

/// Why a header cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::disk) enum HeaderFault {
    /// Another version of Meridian wrote it.
    Version(u16),
    /// It is not what was written.
    Damaged(Damage),
}

// === impl Header ===

impl Header {
    /// The bytes, and the seed for the checksums of the frames that follow.
    pub(in crate::disk) fn encode(&self) -> (Vec<u8>, u32) {
        let shards = u16::try_from(self.bases.len()).expect("a topic has at most 1024 shards");
        let topic = self.topic.as_str();
        let length = u16::try_from(topic.len()).expect("a topic's name has at most 249 bytes");
        let mut bytes = Vec::new();
        bytes.put_slice(MAGIC);
        bytes.put_u16_le(VERSION);
        bytes.put_u16_le(shards);
        bytes.put_u64_le(self.number);
        for base in &self.bases {
            bytes.put_u64_le(*base);
        }
        bytes.put_u16_le(length);
        bytes.put_slice(topic.as_bytes());
        let seed = crc32fast::hash(&bytes);
        bytes.put_u32_le(seed);
        (bytes, seed)
    }

    /// The header at the start of `bytes`, its length, and the seed of the frames that follow.
    pub(in crate::disk) fn decode(bytes: &[u8]) -> Result<(Self, usize, u32), HeaderFault> {
        const CUT: HeaderFault = HeaderFault::Damaged("the header is cut");
        let mut rest = bytes;
        if !rest.starts_with(MAGIC) {
            return Err(HeaderFault::Damaged(
                "this is not a segment of an event log",
            ));
        }
        rest.advance(MAGIC.len());
        let version = rest.try_get_u16_le().map_err(|_| CUT)?;
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let shards = rest.try_get_u16_le().map_err(|_| CUT)?;
        let number = rest.try_get_u64_le().map_err(|_| CUT)?;
        let bases: Result<Box<[u64]>, _> = (0..shards).map(|_| rest.try_get_u64_le()).collect();
        let bases = bases.map_err(|_| CUT)?;
        let length = rest.try_get_u16_le().map_err(|_| CUT)?;
        let name = rest.get(..usize::from(length)).ok_or(CUT)?;
        rest.advance(name.len());
        let covered = bytes.len() - rest.len();
        let seed = rest.try_get_u32_le().map_err(|_| CUT)?;
        if crc32fast::hash(&bytes[..covered]) != seed {
            return Err(HeaderFault::Damaged("the header's checksum does not match"));
        }
        let topic = std::str::from_utf8(name)
            .ok()
            .and_then(|name| name.parse().ok());
        let topic = topic.ok_or(HeaderFault::Damaged("the header names no topic"))?;
        if shards == 0 || shards > MAX_SHARDS {
            return Err(HeaderFault::Damaged("the header names no number of shards"));
        }
        let header = Self {
            topic,
            number,
            bases,
        };
        Ok((header, bytes.len() - rest.len(), seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            topic: "meridian.eu.events.v1".parse().unwrap(),
            number: 7,
            bases: [0, 1 << 31, (1 << 63) + 5].into(),
        }
    }

    #[test]
    fn a_header_round_trips() {
        let (mut bytes, seed) = header().encode();
        let length = bytes.len();
        bytes.extend_from_slice(b"what follows");
        assert_eq!(Header::decode(&bytes), Ok((header(), length, seed)));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let (bytes, _) = header().encode();
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1;
            assert!(Header::decode(&flipped).is_err(), "flipped at {position}");
            assert!(
                Header::decode(&bytes[..position]).is_err(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let (mut bytes, _) = header().encode();
        bytes[8] = 2;
        assert_eq!(Header::decode(&bytes), Err(HeaderFault::Version(2)));
    }
}
