//! The checksum that goes with every byte: CRC-32, which S3 verifies as it takes a body.
//!
//! It guards the way, not the content: what a blob hashes to is verified by whoever knows its
//! digest. Of all that S3 offers it costs the least, and those of consecutive pieces combine into
//! that of the whole, so nothing is read twice.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc32fast::Hasher;

/// The checksum of some bytes, which knows how many they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) crc: u32,
    pub(super) len: u64,
}

// === impl Checksum ===

impl Checksum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            crc: crc32fast::hash(bytes),
            len: bytes.len() as u64,
        }
    }

    /// That of these bytes and `next` behind them.
    #[must_use]
    pub(super) fn then(self, next: Self) -> Self {
        let mut whole = Hasher::new_with_initial_len(self.crc, self.len);
        whole.combine(&Hasher::new_with_initial_len(next.crc, next.len));
        Self {
            crc: whole.finalize(),
            len: self.len + next.len,
        }
    }

    /// As S3 writes it.
    pub(super) fn text(self) -> String {
        STANDARD.encode(self.crc.to_be_bytes())
    }
}

/// Whether what S3 says of a finished object is the checksum of an object of these parts. It may be
/// that of the bytes, or, of a multipart upload, that of the checksums of the parts; which of the two
/// is told by a suffix, except by some.
pub(super) fn is_of_parts(text: &str, parts: &[Checksum]) -> bool {
    let (text, is_composite) = match text.split_once('-') {
        Some((text, _count)) => (text, true),
        None => (text, false),
    };
    let mut composite = Hasher::new();
    for part in parts {
        composite.update(&part.crc.to_be_bytes());
    }
    let composite = STANDARD.encode(composite.finalize().to_be_bytes());
    let whole = || {
        let whole = parts
            .iter()
            .fold(Checksum::default(), |all, part| all.then(*part));
        whole.text()
    };
    text == composite || (!is_composite && text == whole())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_pieces_combine() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        let whole = Checksum::of(&bytes);
        for cut in [0, 1, 4_096, 99_999, 100_000] {
            let (front, back) = bytes.split_at(cut);
            assert_eq!(Checksum::of(front).then(Checksum::of(back)), whole);
        }
    }

    #[test]
    fn both_forms_of_a_finished_object_are_known() {
        // What S3 answers for the parts "a" and "b".
        let parts = [Checksum::of(b"a"), Checksum::of(b"b")];
        let mut both = parts[0].crc.to_be_bytes().to_vec();
        both.extend(parts[1].crc.to_be_bytes());
        let composite = format!("{}-2", Checksum::of(&both).text());
        assert!(is_of_parts(&composite, &parts));
        assert!(is_of_parts(&Checksum::of(b"ab").text(), &parts));
        assert!(!is_of_parts(&Checksum::of(b"ba").text(), &parts));
        assert!(!is_of_parts(
            &format!("{}-2", Checksum::of(b"ab").text()),
            &parts
        ));
    }
}
