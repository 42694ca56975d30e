//! Which trace a mutation belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The trace, and the span in it, of the request that made a mutation (W3C Trace Context, version
/// 00). Of a fixed size, whatever a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// Why a string is no context of a trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the context of a trace reads `00-<32 hexadecimal digits>-<16 of them>-<2 of them>`")]
pub struct ParseTraceContextError;

type Raw = ([u8; 16], [u8; 8], u8);

// === impl TraceContext ===

impl TraceContext {
    /// The trace, in hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace))
    }

    fn new((trace, span, flags): Raw) -> Option<Self> {
        let is_one = trace != [0; 16] && span != [0; 8];
        is_one.then_some(Self { trace, span, flags })
    }
}

/// As the header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = u64::from_be_bytes(self.span);
        write!(f, "00-{}-{span:016x}-{:02x}", self.trace_id(), self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = ParseTraceContextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let rest = text.strip_prefix("00-")?;
            let (trace, rest) = rest.split_once('-')?;
            let (span, flags) = rest.split_once('-')?;
            let trace = u128::from_str_radix(trace, 16).ok()?.to_be_bytes();
            let span = u64::from_str_radix(span, 16).ok()?.to_be_bytes();
            Self::new((trace, span, u8::from_str_radix(flags, 16).ok()?))
        };
        // What is written differently is somebody else's: signs, capitals, missing digits.
        parse()
            .filter(|context| context.to_string() == text)
            .ok_or(ParseTraceContextError)
    }
}

/// Text for people, 25 bytes for machines.
impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return to.collect_str(self);
        }
        (self.trace, self.span, self.flags).serialize(to)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            let text = String::deserialize(from)?;
            return text.parse().map_err(de::Error::custom);
        }
        let raw = Raw::deserialize(from)?;
        Self::new(raw).ok_or_else(|| de::Error::custom(ParseTraceContextError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn text_round_trips() {
        let context: TraceContext = TEXT.parse().unwrap();
        assert_eq!(context.to_string(), TEXT);
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else",
        ] {
            assert_eq!(
                text.parse::<TraceContext>(),
                Err(ParseTraceContextError),
                "{text}"
            );
        }
    }
}
