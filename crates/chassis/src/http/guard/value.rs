//! The values of the two headers that frame a body, byte by byte.

use super::Violation;

const CHUNKED: &[u8] = b"chunked";

/// A length that does not fit a signed 64-bit number is nobody's body.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// The value of `Content-Length`: one plain number, with optional white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Number {
    #[default]
    Before,
    Digits(u64),
    After(u64),
}

/// The value of `Transfer-Encoding`: the word `chunked`, as far as it was read, with optional
/// white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Word {
    #[default]
    Before,
    Read(u8),
    After,
}

/// Where a value stands after a byte.
pub(super) enum Next<P, T> {
    More(P),
    /// The byte was the CR that ends the line.
    Done(T),
}

// === impl Number ===

impl Number {
    pub(super) fn next(self, byte: u8) -> Result<Next<Self, u64>, Violation> {
        Ok(Next::More(match (self, byte) {
            (Self::Before, b' ' | b'\t') => Self::Before,
            (Self::Before, b'0'..=b'9') => Self::Digits(u64::from(byte - b'0')),
            (Self::Digits(value), b'0'..=b'9') => Self::Digits(append(value, byte)?),
            (Self::Digits(value) | Self::After(value), b' ' | b'\t') => Self::After(value),
            (Self::Digits(value) | Self::After(value), b'\r') => return Ok(Next::Done(value)),
            (_, b'\n') => return Err(Violation::BareLineFeed),
            _ => return Err(Violation::ContentLength),
        }))
    }
}

fn append(value: u64, digit: u8) -> Result<u64, Violation> {
    let value = value
        .checked_mul(10)
        .and_then(|value| value.checked_add(u64::from(digit - b'0')));
    value
        .filter(|value| *value <= MAX_LENGTH)
        .ok_or(Violation::ContentLength)
}

// === impl Word ===

impl Word {
    pub(super) fn next(self, byte: u8) -> Result<Next<Self, ()>, Violation> {
        let complete = match self {
            Self::Before => false,
            Self::Read(read) => usize::from(read) == CHUNKED.len(),
            Self::After => true,
        };
        Ok(Next::More(match (self, byte) {
            (Self::Before, b' ' | b'\t') => Self::Before,
            (_, b'\r') if complete => return Ok(Next::Done(())),
            (_, b' ' | b'\t') if complete => Self::After,
            (_, b'\n') => return Err(Violation::BareLineFeed),
            (Self::Before, byte) => spell(0, byte)?,
            (Self::Read(read), byte) => spell(read, byte)?,
            (Self::After, _) => return Err(Violation::TransferCoding),
        }))
    }
}

fn spell(read: u8, byte: u8) -> Result<Word, Violation> {
    match CHUNKED.get(usize::from(read)) {
        Some(expected) if expected.eq_ignore_ascii_case(&byte) => Ok(Word::Read(read + 1)),
        _ => Err(Violation::TransferCoding),
    }
}
