//! The `Range` of a download (RFC 9110, section 14).
//!
//! Owns the answer to which part of a representation a request gets. What is malformed, has another
//! unit or asks for several ranges is ignored, as the RFC allows, and gets the whole: that bounds
//! the work of any header. One reading is stricter than the RFC: `bytes=500-0` is not ignored but
//! unsatisfiable, as the conformance suite expects.

/// One range of bytes, not yet held against a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `<first>-<last>`, both inclusive.
    Between {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// `<first>-`: from here to the end.
    From {
        /// Offset of the first byte.
        first: u64,
    },
    /// `-<length>`: so many at the end.
    Suffix {
        /// How many bytes.
        length: u64,
    },
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// 200 with everything.
    Whole,
    /// 206 with this part, which lies inside of the representation and is not empty.
    Part {
        /// Offset of the first byte.
        start: u64,
        /// Offset of the last byte.
        end_inclusive: u64,
    },
    /// 416.
    Unsatisfiable,
}

impl ByteRange {
    /// What a request with this `Range` header gets of a representation of `total` bytes.
    #[must_use]
    pub fn resolve(header: Option<&str>, total: u64) -> Resolved {
        header
            .and_then(Self::parse)
            .map_or(Resolved::Whole, |range| range.within(total))
    }

    /// Reads a header that asks for exactly one range of bytes. Positions beyond 2⁶⁴ count as the
    /// greatest one, which lies beyond every end.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, range) = header.split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim_matches([' ', '\t']).split_once('-')?;
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => position(last).map(|length| Self::Suffix { length }),
            (false, true) => position(first).map(|first| Self::From { first }),
            (false, false) => Some(Self::Between {
                first: position(first)?,
                last: position(last)?,
            }),
        }
    }

    /// What this range selects of `total` bytes.
    #[must_use]
    pub fn within(self, total: u64) -> Resolved {
        let (start, last) = match self {
            Self::Between { first, last } => (first, last),
            Self::From { first } => (first, u64::MAX),
            // Of nothing, the last so many bytes are all there is; no part can say so.
            Self::Suffix { length } if length > 0 && total == 0 => return Resolved::Whole,
            Self::Suffix { length } => (total.saturating_sub(length), u64::MAX),
        };
        if start >= total || last < start {
            return Resolved::Unsatisfiable;
        }
        Resolved::Part {
            start,
            end_inclusive: last.min(total - 1),
        }
    }
}

fn position(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |value, digit| {
        digit.is_ascii_digit().then(|| {
            value
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const fn part(start: u64, end_inclusive: u64) -> Resolved {
        Resolved::Part {
            start,
            end_inclusive,
        }
    }

    #[test]
    fn each_form_gets_its_answer() {
        let thousand = format!("bytes={}", vec!["0-1"; 1000].join(","));
        for (header, expected) in [
            ("bytes=500-1499", part(500, 1499)),
            ("bytes=500-", part(500, 2047)),
            ("bytes=-500", part(1548, 2047)),
            ("bytes=2000-5000", part(2000, 2047)),
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-", part(0, 2047)),
            ("bytes=2047-2047", part(2047, 2047)),
            ("bytes=-5000", part(0, 2047)),
            ("BYTES= 1-2 ", part(1, 2)),
            ("bytes=1-99999999999999999999999", part(1, 2047)),
            ("bytes=-99999999999999999999999", part(0, 2047)),
            ("bytes=500-0", Resolved::Unsatisfiable),
            ("bytes=5-1", Resolved::Unsatisfiable),
            ("bytes=5000-10000", Resolved::Unsatisfiable),
            ("bytes=2048-", Resolved::Unsatisfiable),
            ("bytes=99999999999999999999999-", Resolved::Unsatisfiable),
            ("bytes=-0", Resolved::Unsatisfiable),
            ("bytes=0-1,3-4", Resolved::Whole),
            ("bytes=0-1,0-1,1-0", Resolved::Whole),
            ("bytes=0-1,", Resolved::Whole),
            (&thousand, Resolved::Whole),
            ("items=0-1", Resolved::Whole),
            ("bytes", Resolved::Whole),
            ("bytes=", Resolved::Whole),
            ("bytes=-", Resolved::Whole),
            ("bytes=--1", Resolved::Whole),
            ("bytes=1", Resolved::Whole),
            ("bytes=a-b", Resolved::Whole),
            ("bytes=+1-2", Resolved::Whole),
            ("bytes=1-2-3", Resolved::Whole),
            ("bytes=1 - 2", Resolved::Whole),
            ("bytes =1-2", Resolved::Whole),
            ("bytes 1-2", Resolved::Whole),
            ("", Resolved::Whole),
        ] {
            assert_eq!(ByteRange::resolve(Some(header), 2048), expected, "{header}");
        }
        assert_eq!(ByteRange::resolve(None, 2048), Resolved::Whole);
    }

    #[test]
    fn nothing_can_be_cut_from_an_empty_blob() {
        for (header, expected) in [
            ("bytes=0-", Resolved::Unsatisfiable),
            ("bytes=0-0", Resolved::Unsatisfiable),
            ("bytes=-0", Resolved::Unsatisfiable),
            ("bytes=-1", Resolved::Whole),
        ] {
            assert_eq!(ByteRange::resolve(Some(header), 0), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_inside_and_is_not_empty(first: u64, last: u64, total: u64) {
            for header in [format!("bytes={first}-{last}"), format!("bytes={first}-"), format!("bytes=-{last}")] {
                if let Resolved::Part { start, end_inclusive } = ByteRange::resolve(Some(&header), total) {
                    prop_assert!(start <= end_inclusive && end_inclusive < total);
                }
            }
        }

        #[test]
        fn a_satisfiable_range_is_what_slicing_gives(first in 0..40_u64, last in 0..40_u64, total in 1..30_u64) {
            let offsets: Vec<u64> = (0..total).filter(|at| (first..=last).contains(at)).collect();
            let expected = match offsets.as_slice() {
                [] => Resolved::Unsatisfiable,
                [start, .., end] => part(*start, *end),
                [only] => part(*only, *only),
            };
            prop_assert_eq!(ByteRange::resolve(Some(&format!("bytes={first}-{last}")), total), expected);
        }

        #[test]
        fn no_header_makes_it_panic(header in "bytes=[0-9,-]{0,30}|\\PC{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..40), total: u64) {
            let _ = ByteRange::resolve(Some(&header), total);
            let _ = ByteRange::resolve(Some(&String::from_utf8_lossy(&bytes)), total);
        }
    }
}
