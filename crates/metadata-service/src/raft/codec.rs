//! How the log's records look on disk: a format byte, a CRC-32 of what follows, and postcard.
//!
//! The checksum is ours, so that a record which rotted is told from one that was never written,
//! whatever the storage below notices.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

const FORMAT: u8 = 1;
const HEAD: usize = 5;
/// Room for most records: postcard writes piece by piece.
const ROOM: usize = 512;

/// Encodes a record.
pub(crate) fn encode<T: Serialize>(record: &T) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(ROOM);
    head.extend([FORMAT, 0, 0, 0, 0]);
    let mut bytes = postcard::to_extend(record, head).map_err(io::Error::other)?;
    let checksum = crc32fast::hash(&bytes[HEAD..]);
    bytes[1..HEAD].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// Decodes a record.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let (head, body) = bytes
        .split_at_checked(HEAD)
        .ok_or_else(|| damaged("a record of the log is cut short"))?;
    if head[0] != FORMAT {
        return Err(damaged("a record of the log has an unknown format"));
    }
    if head[1..] != crc32fast::hash(body).to_le_bytes() {
        return Err(damaged("a record of the log fails its checksum"));
    }
    postcard::from_bytes(body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_seen() {
        let bytes = encode(&("a record", 7_u64)).unwrap();
        assert_eq!(decode::<(String, u64)>(&bytes).unwrap().1, 7);
        for bit in 0..bytes.len() * 8 {
            let mut rotten = bytes.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(String, u64)>(&rotten).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_short_record_is_seen() {
        assert!(decode::<u64>(&[1, 2]).is_err());
    }
}
