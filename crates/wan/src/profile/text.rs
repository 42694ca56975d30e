//! A profile as text: `80ms,20MB/s,jitter=5ms,loss=0.1%`.
//!
//! Owns the grammar. Numbers are decimal and exact, never rounded: what is read is shown as it was
//! meant, and reading what is shown gives the same profile.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::{Profile, WINDOW};

/// Units, the largest first.
type Units = &'static [(&'static str, u64)];

const TIMES: Units = &[
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
const RATES: Units = &[
    ("GB/s", 1_000_000_000),
    ("MB/s", 1_000_000),
    ("kB/s", 1_000),
    ("B/s", 1),
    ("GiB/s", 1 << 30),
    ("MiB/s", 1 << 20),
    ("KiB/s", 1 << 10),
    ("Gbit/s", 125_000_000),
    ("Mbit/s", 125_000),
    ("kbit/s", 125),
];
const SIZES: Units = &[
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];
const SHARES: Units = &[("%", 10_000)];

/// Longer ones are mistakes.
const LONGEST: u64 = 60_000_000_000;
/// At less, a single segment takes seconds.
const SLOWEST: u64 = 1_000;
const FASTEST: u64 = 100_000_000_000;
/// With more, hardly anything arrives.
const MOST_LOSS: u64 = 500_000;
const NARROWEST: u64 = 1_000;
const WIDEST: u64 = 1_000_000_000;

/// Why a text is not a profile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseProfileError {
    /// A part is none of those that a profile has.
    #[error(
        "{0:?} is no part of a profile such as \"80ms,20MB/s,jitter=5ms,loss=0.1%\": \
         a round trip, a bandwidth, jitter=, loss= or window="
    )]
    Unknown(String),
    /// A part is there twice.
    #[error("the {0} is given twice")]
    Twice(&'static str),
    /// A part is not a number with a unit.
    #[error("{text:?} is no {what}: a decimal number and one of {units}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
        /// What could follow the number.
        units: String,
    },
    /// A part is too small or too large.
    #[error("a {what} of {text} is not between {least} and {most}")]
    OutOfRange {
        /// Which part.
        what: &'static str,
        /// What it is.
        text: String,
        /// The least it may be.
        least: String,
        /// The most it may be.
        most: String,
    },
    /// The jitter would have bytes arrive before they were sent.
    #[error("the jitter is longer than the round trip, which is missing or too short")]
    JitterAboveRoundTrip,
}

/// A kind of part: what it is called, its units, and its bounds.
struct Kind {
    what: &'static str,
    units: Units,
    least: u64,
    most: u64,
}

const ROUND_TRIP: Kind = Kind::new("round trip", TIMES, 0, LONGEST);
const BANDWIDTH: Kind = Kind::new("bandwidth", RATES, SLOWEST, FASTEST);
const JITTER: Kind = Kind::new("jitter", TIMES, 0, LONGEST);
const LOSS: Kind = Kind::new("loss", SHARES, 0, MOST_LOSS);
const WINDOW_SIZE: Kind = Kind::new("window", SIZES, NARROWEST, WIDEST);

/// The parts, as far as they were read.
#[derive(Default)]
struct Parts {
    round_trip: Option<u64>,
    bandwidth: Option<u64>,
    jitter: Option<u64>,
    loss: Option<u64>,
    window: Option<u64>,
}

// === impl Profile ===

impl FromStr for Profile {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Parts::default();
        for part in text.split(',') {
            parts.read(part.trim())?;
        }
        parts.profile()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(nanos(self.round_trip), TIMES))?;
        if let Some(bandwidth) = self.bandwidth {
            write!(f, ",{}", shown(bandwidth.get(), RATES))?;
        }
        if !self.jitter.is_zero() {
            write!(f, ",jitter={}", shown(nanos(self.jitter), TIMES))?;
        }
        if self.loss > 0 {
            write!(f, ",loss={}", shown(self.loss.into(), SHARES))?;
        }
        if self.window != WINDOW {
            write!(f, ",window={}", shown(self.window as u64, SIZES))?;
        }
        Ok(())
    }
}

// === impl Parts ===

impl Parts {
    fn read(&mut self, part: &str) -> Result<(), ParseProfileError> {
        let unknown = || ParseProfileError::Unknown(part.to_owned());
        let (kind, text, place) = match part.split_once('=') {
            Some(("jitter", text)) => (&JITTER, text, &mut self.jitter),
            Some(("loss", text)) => (&LOSS, text, &mut self.loss),
            Some(("window", text)) => (&WINDOW_SIZE, text, &mut self.window),
            None if !part.starts_with(|it: char| it.is_ascii_digit()) => return Err(unknown()),
            None if part.contains('/') => (&BANDWIDTH, part, &mut self.bandwidth),
            None => (&ROUND_TRIP, part, &mut self.round_trip),
            Some(_) => return Err(unknown()),
        };
        if place.replace(kind.read(text)?).is_some() {
            return Err(ParseProfileError::Twice(kind.what));
        }
        Ok(())
    }

    fn profile(self) -> Result<Profile, ParseProfileError> {
        let round_trip = Duration::from_nanos(self.round_trip.unwrap_or(0));
        let jitter = Duration::from_nanos(self.jitter.unwrap_or(0));
        if jitter > round_trip {
            return Err(ParseProfileError::JitterAboveRoundTrip);
        }
        Ok(Profile {
            round_trip,
            jitter,
            bandwidth: self.bandwidth.and_then(NonZeroU64::new),
            loss: within(self.loss, 0),
            window: within(self.window, WINDOW),
        })
    }
}

/// All bounds are far below what the type holds.
fn within<T: TryFrom<u64>>(value: Option<u64>, default: T) -> T {
    value.and_then(|it| T::try_from(it).ok()).unwrap_or(default)
}

// === impl Kind ===

impl Kind {
    const fn new(what: &'static str, units: Units, least: u64, most: u64) -> Self {
        Self {
            what,
            units,
            least,
            most,
        }
    }

    fn read(&self, text: &str) -> Result<u64, ParseProfileError> {
        let value = measure(text, self.units).ok_or_else(|| self.malformed(text))?;
        if (self.least..=self.most).contains(&value) {
            return Ok(value);
        }
        Err(ParseProfileError::OutOfRange {
            what: self.what,
            text: text.to_owned(),
            least: shown(self.least, self.units),
            most: shown(self.most, self.units),
        })
    }

    fn malformed(&self, text: &str) -> ParseProfileError {
        let units: Vec<_> = self.units.iter().map(|(name, _)| *name).collect();
        ParseProfileError::Malformed {
            what: self.what,
            text: text.to_owned(),
            units: units.join(", "),
        }
    }
}

/// A number and its unit, in the smallest unit; none if that would need rounding.
fn measure(text: &str, units: Units) -> Option<u64> {
    let end = text
        .find(|it: char| !it.is_ascii_digit() && it != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, unit) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = whole.parse::<u64>().ok()?.checked_mul(*unit)?;
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = u128::from(fraction.parse::<u64>().ok()?) * u128::from(*unit);
    if fraction % u128::from(scale) != 0 {
        return None;
    }
    whole.checked_add(u64::try_from(fraction / u128::from(scale)).ok()?)
}

/// In the largest unit that leaves no fraction; in the only one, with a fraction.
fn shown(value: u64, units: Units) -> String {
    if value == 0 {
        return format!("0{}", if units == TIMES { "ms" } else { units[0].0 });
    }
    let whole = units.iter().find(|(_, unit)| value.is_multiple_of(*unit));
    if let Some((name, unit)) = whole {
        return format!("{}{name}", value / unit);
    }
    let (name, unit) = units[0];
    let decimals = format!("{:04}", value % unit);
    format!("{}.{}{name}", value / unit, decimals.trim_end_matches('0'))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
