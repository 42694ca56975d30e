//! What may be on the wire of an HTTP/1 connection.
//!
//! Owns a sans-IO scanner that follows a connection's bytes from head to body framing to the next
//! head, and says which of them the HTTP library may see. Keeps the invariant that the library
//! never sees a head, nor a chunk, about whose end two parsers could disagree (RFC 9112, sections
//! 2.2, 5.1, 6.3, 7.1 and 11.2): those are how requests are smuggled. Memory is constant, bodies
//! are skipped by their length, and how the bytes are cut into reads changes nothing. Leaves to
//! the library the meaning of a head, and to `reception` what can be judged from that meaning.

mod chunk;
mod head;
mod value;

use chunk::Chunks;
use head::Head;

pub(super) use head::Limits;

/// Follows the bytes of one connection.
#[derive(Debug)]
pub(super) struct Scanner {
    limits: Limits,
    heads: u64,
    place: Place,
}

/// What became of the bytes that were fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fed {
    /// How many of them, from the first, may be passed on. Those after belong to a head that is
    /// not complete, or to nothing that may ever be passed on. Any number above zero also clears
    /// the bytes of that head that were fed before.
    pub(super) cleared: usize,
    /// What is wrong with the byte after the last good one. Nothing is scanned from there on.
    pub(super) violation: Option<Violation>,
}

/// Why bytes are not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// A line ends with LF instead of CRLF.
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// A CR that no LF follows.
    #[error("a carriage return stands inside a line")]
    BareCarriageReturn,
    /// More than a few empty lines before a request.
    #[error("empty lines stand before the request")]
    EmptyLines,
    /// The method is not a token, or is longer than any.
    #[error("the method is malformed")]
    Method,
    /// A byte that no request target has.
    #[error("the request target is malformed")]
    Target,
    /// The request target is longer than the limit.
    #[error("the request target is too long")]
    TargetTooLong,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("the protocol version is not HTTP/1.1")]
    Version,
    /// A header name that is not a token, or is followed by a space.
    #[error("a header name is malformed")]
    HeaderName,
    /// A header continued on the next line.
    #[error("a header is folded")]
    FoldedHeader,
    /// A control byte in a header.
    #[error("a header contains a control character")]
    HeaderValue,
    /// More headers than the limit.
    #[error("there are too many headers")]
    TooManyHeaders,
    /// A head longer than the limit.
    #[error("the request head is too large")]
    HeadTooLarge,
    /// A length that is not a plain number, or larger than any body.
    #[error("the content length is malformed")]
    ContentLength,
    /// Two lengths, equal or not.
    #[error("there is more than one content length")]
    RepeatedLength,
    /// A transfer coding other than exactly one `chunked`.
    #[error("the transfer coding is not `chunked`")]
    TransferCoding,
    /// A length and a transfer coding.
    #[error("there are both a content length and a transfer coding")]
    LengthAndCoding,
    /// A transfer coding in HTTP/1.0.
    #[error("HTTP/1.0 has no transfer coding")]
    CodingInHttp10,
    /// A chunk size that is not a hexadecimal number, or larger than any body.
    #[error("a chunk size is malformed")]
    ChunkSize,
    /// Chunk extensions of a length that only an attack has, or with control bytes.
    #[error("a chunk extension is malformed or too long")]
    ChunkExtension,
    /// A chunk that does not end where its size says.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// Trailers that are malformed or longer than the limit.
    #[error("the trailers are malformed or too large")]
    Trailer,
}

#[derive(Debug)]
enum Place {
    Head(Head),
    Length(u64),
    Chunks(Chunks),
    Refused { in_head: bool },
}

/// How the body that follows a head is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// A parser's answer to the bytes it was given.
enum Step<T> {
    /// All bytes were taken, and more are needed.
    More,
    /// It is complete after this many bytes.
    Done(usize, T),
    /// The byte at this offset cannot be.
    Bad(usize, Violation),
}

// === impl Scanner ===

impl Scanner {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            heads: 0,
            place: Place::Head(Head::new(limits)),
        }
    }

    /// Follows the next bytes of the connection.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Fed {
        let mut at = 0;
        let mut cleared = 0;
        let mut violation = None;
        while at < bytes.len() && violation.is_none() {
            let in_body = matches!(self.place, Place::Length(_) | Place::Chunks(_));
            let (taken, complete) = match self.step(&bytes[at..]) {
                Step::More => (bytes.len() - at, false),
                Step::Done(taken, ()) => (taken, true),
                Step::Bad(taken, why) => {
                    violation = Some(why);
                    self.place = Place::Refused { in_head: !in_body };
                    (taken, false)
                }
            };
            at += taken;
            if in_body || complete {
                cleared = at;
            }
        }
        Fed { cleared, violation }
    }

    /// Whether no request has begun that is not complete.
    pub(super) const fn between_requests(&self) -> bool {
        match &self.place {
            Place::Head(head) => !head.has_begun(),
            _ => false,
        }
    }

    /// Whether a request has begun whose head is not complete.
    pub(super) const fn in_head(&self) -> bool {
        match &self.place {
            Place::Head(head) => head.has_begun(),
            _ => false,
        }
    }

    /// Whether what is wrong was wrong with a head.
    pub(super) const fn refused_in_head(&self) -> bool {
        matches!(self.place, Place::Refused { in_head: true })
    }

    /// How many heads were complete so far.
    pub(super) const fn heads(&self) -> u64 {
        self.heads
    }

    fn step(&mut self, bytes: &[u8]) -> Step<()> {
        match &mut self.place {
            Place::Head(head) => match head.feed(bytes) {
                Step::Done(taken, framing) => {
                    self.heads += 1;
                    self.begin_body(framing);
                    Step::Done(taken, ())
                }
                Step::More => Step::More,
                Step::Bad(at, why) => Step::Bad(at, why),
            },
            Place::Length(left) => {
                let taken = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                if *left == 0 {
                    self.begin_head();
                }
                Step::Done(taken, ())
            }
            Place::Chunks(chunks) => {
                let step = chunks.feed(bytes);
                if let Step::Done(..) = step {
                    self.begin_head();
                }
                step
            }
            Place::Refused { .. } => Step::More,
        }
    }

    fn begin_body(&mut self, framing: Framing) {
        match framing {
            Framing::Length(0) => self.begin_head(),
            Framing::Length(length) => self.place = Place::Length(length),
            Framing::Chunked => self.place = Place::Chunks(Chunks::default()),
        }
    }

    fn begin_head(&mut self) {
        self.place = Place::Head(Head::new(self.limits));
    }
}

/// Bytes of RFC 9110's `token`.
const fn is_token(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z'
            | b'|' | b'~'
    )
}

/// Bytes of a field value, which may be of any charset but have no control bytes.
const fn is_field(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests;
