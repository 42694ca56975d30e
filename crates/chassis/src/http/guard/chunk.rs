//! A chunked body, byte by byte (RFC 9112, section 7.1).

use super::{Step, Violation, is_field, is_token};

/// No client of a registry sends extensions at all.
const MAX_EXTENSION: u16 = 256;

/// Over all chunks of a body.
const MAX_EXTENSIONS: u16 = 4096;

const MAX_TRAILERS: u16 = 8192;

/// A size that does not fit a signed 64-bit number is nobody's chunk.
const MAX_SIZE: u64 = i64::MAX as u64;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    extension: u16,
    extensions: u16,
    trailers: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataEnd,
    TrailerStart,
    Trailer,
    TrailerEnd,
    BodyEnd,
}

// === impl Chunks ===

impl Chunks {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step<()> {
        let mut at = 0;
        while at < bytes.len() {
            if let At::Data { left } = &mut self.at {
                let rest = bytes.len() - at;
                let taken = rest.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                at += taken;
                if *left == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            match self.next(bytes[at]) {
                Ok(true) => return Step::Done(at + 1, ()),
                Ok(false) => at += 1,
                Err(violation) => return Step::Bad(at, violation),
            }
        }
        Step::More
    }

    /// Takes one byte of framing. True when it was the last of the body.
    fn next(&mut self, byte: u8) -> Result<bool, Violation> {
        self.at = match (self.at, byte) {
            (At::BodyEnd, b'\n') => return Ok(true),
            (At::Size { digits: 1.., size }, b'\r') => At::SizeEnd { size },
            (At::Size { digits: 1.., size }, b';' | b' ' | b'\t') => self.extend(size)?,
            (At::Size { digits, size }, byte) => grow(digits, size, byte)?,
            (At::Extension { size }, b'\r') => {
                self.extension = 0;
                At::SizeEnd { size }
            }
            (At::Extension { size }, byte) if is_field(byte) => self.extend(size)?,
            (At::Extension { .. }, b'\n') => return Err(Violation::BareLineFeed),
            (At::Extension { .. }, _) => return Err(Violation::ChunkExtension),
            (At::SizeEnd { size: 0 }, b'\n') => At::TrailerStart,
            (At::SizeEnd { size }, b'\n') => At::Data { left: size },
            (At::DataReturn, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => At::default(),
            (At::DataReturn | At::DataEnd, _) => return Err(Violation::ChunkEnd),
            (At::TrailerStart, b'\r') => At::BodyEnd,
            (At::TrailerStart, byte) if is_token(byte) => self.trail()?,
            (At::Trailer, b'\r') => At::TrailerEnd,
            (At::Trailer, byte) if is_field(byte) => self.trail()?,
            (At::TrailerStart | At::Trailer, b'\n') => return Err(Violation::BareLineFeed),
            (At::TrailerStart | At::Trailer, _) => return Err(Violation::Trailer),
            (At::TrailerEnd, b'\n') => At::TrailerStart,
            (At::SizeEnd { .. } | At::TrailerEnd | At::BodyEnd, _) => {
                return Err(Violation::BareCarriageReturn);
            }
            (At::Data { .. }, _) => unreachable!("data is taken by the run"),
        };
        Ok(false)
    }

    fn extend(&mut self, size: u64) -> Result<At, Violation> {
        self.extension += 1;
        self.extensions += 1;
        if self.extension > MAX_EXTENSION || self.extensions > MAX_EXTENSIONS {
            return Err(Violation::ChunkExtension);
        }
        Ok(At::Extension { size })
    }

    fn trail(&mut self) -> Result<At, Violation> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(Violation::Trailer);
        }
        Ok(At::Trailer)
    }
}

// === impl At ===

impl Default for At {
    fn default() -> Self {
        Self::Size { digits: 0, size: 0 }
    }
}

fn grow(digits: u8, size: u64, byte: u8) -> Result<At, Violation> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\n' if digits > 0 => return Err(Violation::BareLineFeed),
        _ => return Err(Violation::ChunkSize),
    };
    let size = size
        .checked_mul(16)
        .map(|size| size + u64::from(digit))
        .filter(|size| *size <= MAX_SIZE && digits < 16)
        .ok_or(Violation::ChunkSize)?;
    Ok(At::Size {
        digits: digits + 1,
        size,
    })
}
