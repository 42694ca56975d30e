//! The head of a request, byte by byte.

use super::value::{Next, Number, Word};
use super::{Framing, Step, Violation, is_field, is_token};

/// Longer than every registered method.
const MAX_METHOD: u8 = 32;

/// RFC 9112, section 2.2: a server should ignore at least one empty line before a request.
const MAX_EMPTY_LINES: u8 = 4;

const VERSION: &[u8] = b"HTTP/1.";
const LENGTH: &[u8] = b"content-length";
const CODING: &[u8] = b"transfer-encoding";

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Limits {
    /// Bytes of a whole head.
    pub(in crate::http) head: usize,
    /// Bytes of a request target.
    pub(in crate::http) target: usize,
    /// Number of headers.
    pub(in crate::http) headers: usize,
}

#[derive(Debug)]
pub(super) struct Head {
    limits: Limits,
    at: At,
    bytes: usize,
    target: usize,
    headers: usize,
    http10: bool,
    name: Name,
    length: Option<u64>,
    chunked: bool,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    EmptyLines(u8),
    EmptyLineEnd(u8),
    Method(u8),
    Target,
    Version(u8),
    LineEnd,
    HeaderStart,
    Name,
    Value,
    Length(Number),
    Coding(Word),
    HeadEnd,
}

/// As much of a header's name as it takes to know the two that frame bodies.
#[derive(Debug, Clone, Copy, Default)]
struct Name {
    bytes: [u8; CODING.len()],
    len: usize,
}

// === impl Head ===

impl Head {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            at: At::EmptyLines(0),
            bytes: 0,
            target: 0,
            headers: 0,
            http10: false,
            name: Name {
                bytes: [0; CODING.len()],
                len: 0,
            },
            length: None,
            chunked: false,
        }
    }

    /// Whether more than empty lines were fed.
    pub(super) const fn has_begun(&self) -> bool {
        !matches!(self.at, At::EmptyLines(_) | At::EmptyLineEnd(_))
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step<Framing> {
        let room = self.limits.head - self.bytes;
        let window = &bytes[..bytes.len().min(room)];
        let mut at = 0;
        while at < window.len() {
            let skipped = self.skip(&window[at..]);
            at += skipped;
            let Some(byte) = window.get(at) else {
                break;
            };
            match self.next(*byte) {
                Ok(None) => at += 1,
                Ok(Some(framing)) => return Step::Done(at + 1, framing),
                Err(violation) => return Step::Bad(at, violation),
            }
        }
        self.bytes += at;
        if window.len() < bytes.len() {
            return Step::Bad(at, Violation::HeadTooLarge);
        }
        Step::More
    }

    /// Takes the run of bytes that change nothing, which most bytes of a head do.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        let run = |plain: fn(u8) -> bool| {
            let end = bytes.iter().position(|byte| !plain(*byte));
            end.unwrap_or(bytes.len())
        };
        match self.at {
            At::Value => run(is_field),
            At::Target if self.target > 0 => {
                let taken = run(is_target).min(self.limits.target - self.target);
                self.target += taken;
                taken
            }
            _ => 0,
        }
    }

    fn next(&mut self, byte: u8) -> Result<Option<Framing>, Violation> {
        self.at = match self.at {
            At::EmptyLines(count) => empty_line(count, byte)?,
            At::EmptyLineEnd(count) => line_feed(byte, At::EmptyLines(count))?,
            At::Method(len) => method(len, byte)?,
            At::Target => self.target(byte)?,
            At::Version(read) => self.version(read, byte)?,
            At::LineEnd => line_feed(byte, At::HeaderStart)?,
            At::HeaderStart => self.header(byte)?,
            At::Name => self.name(byte)?,
            At::Value => value_end(byte)?,
            At::Length(number) => self.length(number, byte)?,
            At::Coding(word) => self.coding(word, byte)?,
            At::HeadEnd => {
                line_feed(byte, At::HeadEnd)?;
                return self.framing().map(Some);
            }
        };
        Ok(None)
    }

    /// Takes the first byte of a target, or the one behind it.
    const fn target(&mut self, byte: u8) -> Result<At, Violation> {
        match byte {
            byte if self.target == 0 && begins_target(byte) => {
                self.target = 1;
                Ok(At::Target)
            }
            _ if self.target == 0 => Err(Violation::Target),
            b' ' => Ok(At::Version(0)),
            byte if is_target(byte) => Err(Violation::TargetTooLong),
            _ => Err(Violation::Target),
        }
    }

    fn version(&mut self, read: u8, byte: u8) -> Result<At, Violation> {
        let expected = VERSION.get(usize::from(read));
        match (expected, byte) {
            (Some(expected), byte) if *expected == byte => Ok(At::Version(read + 1)),
            (None, b'0' | b'1') if usize::from(read) == VERSION.len() => {
                self.http10 = byte == b'0';
                Ok(At::Version(read + 1))
            }
            (None, b'\r') if usize::from(read) > VERSION.len() => Ok(At::LineEnd),
            (None, b'\n') if usize::from(read) > VERSION.len() => Err(Violation::BareLineFeed),
            _ => Err(Violation::Version),
        }
    }

    fn header(&mut self, byte: u8) -> Result<At, Violation> {
        match byte {
            b'\r' => return Ok(At::HeadEnd),
            b'\n' => return Err(Violation::BareLineFeed),
            b' ' | b'\t' => return Err(Violation::FoldedHeader),
            byte if !is_token(byte) => return Err(Violation::HeaderName),
            _ => {}
        }
        if self.headers == self.limits.headers {
            return Err(Violation::TooManyHeaders);
        }
        self.headers += 1;
        self.name = Name::default();
        self.name.push(byte);
        Ok(At::Name)
    }

    fn name(&mut self, byte: u8) -> Result<At, Violation> {
        match byte {
            b':' => match self.name.known() {
                Some(LENGTH) if self.length.is_some() => Err(Violation::RepeatedLength),
                Some(LENGTH) => Ok(At::Length(Number::default())),
                Some(CODING) if self.chunked => Err(Violation::TransferCoding),
                Some(CODING) => Ok(At::Coding(Word::default())),
                _ => Ok(At::Value),
            },
            byte if is_token(byte) => {
                self.name.push(byte);
                Ok(At::Name)
            }
            _ => Err(Violation::HeaderName),
        }
    }

    fn length(&mut self, number: Number, byte: u8) -> Result<At, Violation> {
        Ok(match number.next(byte)? {
            Next::More(number) => At::Length(number),
            Next::Done(length) => {
                self.length = Some(length);
                At::LineEnd
            }
        })
    }

    fn coding(&mut self, word: Word, byte: u8) -> Result<At, Violation> {
        Ok(match word.next(byte)? {
            Next::More(word) => At::Coding(word),
            Next::Done(()) => {
                self.chunked = true;
                At::LineEnd
            }
        })
    }

    const fn framing(&self) -> Result<Framing, Violation> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Violation::LengthAndCoding),
            (None, true) if self.http10 => Err(Violation::CodingInHttp10),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::Length(0)),
        }
    }
}

// === impl Name ===

impl Name {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte.to_ascii_lowercase();
        }
        self.len += 1;
    }

    fn known(&self) -> Option<&'static [u8]> {
        let name = self.bytes.get(..self.len)?;
        [LENGTH, CODING].into_iter().find(|known| *known == name)
    }
}

fn empty_line(count: u8, byte: u8) -> Result<At, Violation> {
    match byte {
        b'\r' if count < MAX_EMPTY_LINES => Ok(At::EmptyLineEnd(count + 1)),
        b'\r' => Err(Violation::EmptyLines),
        b'\n' => Err(Violation::BareLineFeed),
        byte => method(0, byte),
    }
}

const fn method(len: u8, byte: u8) -> Result<At, Violation> {
    match byte {
        b' ' if len > 0 => Ok(At::Target),
        byte if is_token(byte) && len < MAX_METHOD => Ok(At::Method(len + 1)),
        _ => Err(Violation::Method),
    }
}

const fn line_feed(byte: u8, then: At) -> Result<At, Violation> {
    match byte {
        b'\n' => Ok(then),
        _ => Err(Violation::BareCarriageReturn),
    }
}

const fn value_end(byte: u8) -> Result<At, Violation> {
    match byte {
        b'\r' => Ok(At::LineEnd),
        b'\n' => Err(Violation::BareLineFeed),
        _ => Err(Violation::HeaderValue),
    }
}

/// Bytes that the HTTP library takes in a target: the visible ones of ASCII, but none of those
/// that only ever stand around a URI, and no fragment. Which of them a name may have is for its
/// parser to say.
const fn is_target(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'#' | b'<' | b'>' | b'`')
}

/// A path, the asterisk of `OPTIONS`, or a URI that begins with its scheme.
const fn begins_target(byte: u8) -> bool {
    matches!(byte, b'/' | b'*') || byte.is_ascii_alphanumeric()
}
