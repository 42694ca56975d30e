//! Into which parts an object is cut.
//!
//! Keeps the invariant that S3's 10 000 parts suffice for the largest object, and that small objects
//! do not pay for it with large buffers: parts have the size that is asked for at first, and double
//! after each five hundred up to the smallest size with which the largest object still fits.

/// No part but the last may be smaller.
pub(super) const LEAST_PART: u64 = 5 << 20;

/// No part may be larger.
pub(super) const GREATEST_PART: u64 = 5 << 30;

/// How many parts an object has at most.
const MOST_PARTS: u64 = 10_000;

/// How many parts are of one size before it doubles.
const STEP: u64 = 500;

const MIB: u64 = 1 << 20;

/// The sizes of the parts of an object, by their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartPlan {
    first: u64,
    greatest: u64,
}

// === impl PartPlan ===

impl PartPlan {
    /// Parts of `first` bytes, for objects of up to `max_object` bytes.
    pub(super) fn new(first: u64, max_object: u64) -> Self {
        let fits = |greatest| Self { first, greatest }.capacity() >= max_object;
        if fits(first) {
            return Self {
                first,
                greatest: first,
            };
        }
        // The capacity grows with the cap: the smallest that fits is found by halving.
        let (mut low, mut high) = (first / MIB, max_object.div_ceil(MIB).max(first / MIB + 1));
        while high - low > 1 {
            let middle = low.midpoint(high);
            if fits(middle * MIB) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Self {
            first,
            greatest: high * MIB,
        }
    }

    /// The size of the part at `index`, counted from 0, unless it is the last.
    pub(super) fn size(&self, index: usize) -> usize {
        let size = self.size_in(index as u64 / STEP);
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// The largest of all parts.
    pub(super) const fn greatest(&self) -> u64 {
        self.greatest
    }

    fn size_in(&self, step: u64) -> u64 {
        let doubled = u32::try_from(step)
            .ok()
            .and_then(|step| 1_u64.checked_shl(step))
            .map_or(u64::MAX, |factor| self.first.saturating_mul(factor));
        doubled.min(self.greatest)
    }

    fn capacity(&self) -> u64 {
        let steps = 0..MOST_PARTS / STEP;
        let capacity = |step| self.size_in(step).saturating_mul(STEP);
        steps.map(capacity).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn ten_thousand_parts_hold_the_largest_object() {
        for first in [LEAST_PART, 8 * MIB, 100 * MIB] {
            for max in [1, GIB, 78 * GIB, 79 * GIB, 1024 * GIB, 5 * 1024 * GIB] {
                let plan = PartPlan::new(first, max);
                let sum: u64 = (0..10_000).map(|index| plan.size(index) as u64).sum();
                assert!(sum >= max, "{first} {max}");
                assert_eq!(plan.size(0) as u64, first);
                let least = (0..9_999).map(|index| plan.size(index)).min();
                assert!(least >= Some(5 << 20));
            }
        }
    }

    #[test]
    fn parts_are_no_larger_than_they_have_to_be() {
        let plan = PartPlan::new(8 * MIB, 50 * GIB);
        assert_eq!(plan.greatest(), 8 * MIB);
        let plan = PartPlan::new(8 * MIB, 1024 * GIB);
        assert_eq!((plan.size(499), plan.size(500)), (8 << 20, 16 << 20));
        let greatest = plan.greatest() / MIB;
        assert!((105..200).contains(&greatest), "{greatest} MiB");
        let less = PartPlan {
            greatest: plan.greatest() - MIB,
            ..plan
        };
        assert!(less.capacity() < 1024 * GIB);
    }
}
