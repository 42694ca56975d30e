//! Medians and their uncertainty.
//!
//! The bootstrap draws with a fixed seed: the same pairs always give the same interval.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

const RESAMPLES: usize = 10_000;

/// A median with its 95 % interval, from a percentile bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// How many values it rests on.
    pub(crate) values: usize,
}

// === impl Estimate ===

impl Estimate {
    /// Nothing without finite values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|it| it.is_finite()).collect();
        let median = median(&mut values)?;
        let mut random = ChaCha8Rng::seed_from_u64(95);
        let mut medians = Vec::with_capacity(RESAMPLES);
        let mut drawn = vec![0.0; values.len()];
        for _ in 0..RESAMPLES {
            for slot in &mut drawn {
                *slot = values[random.random_range(0..values.len())];
            }
            medians.extend(self::median(&mut drawn));
        }
        medians.sort_by(f64::total_cmp);
        Some(Self {
            median,
            low: medians[RESAMPLES / 40],
            high: medians[RESAMPLES - 1 - RESAMPLES / 40],
            values: values.len(),
        })
    }

    /// The median of ours / theirs, pair by pair. Pairs without a finite ratio do not count.
    pub(crate) fn of_ratios(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        Self::of(pairs.into_iter().map(|(ours, theirs)| ours / theirs))
    }
}

/// The middle value, or the mean of the two middle ones. Sorts its argument.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], upper)
    } else {
        upper
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn equal_values_have_a_point_for_an_interval() {
        let estimate = Estimate::of([2.0; 11]).unwrap();
        assert_eq!(
            (estimate.low, estimate.median, estimate.high),
            (2.0, 2.0, 2.0)
        );
        assert_eq!(estimate.values, 11);
    }

    #[test]
    fn the_interval_lies_within_the_values_and_holds_the_median() {
        let values = [0.9, 1.1, 1.0, 1.3, 0.8, 1.05, 0.95, 1.02, 0.97, 1.2, 1.01];
        let estimate = Estimate::of(values).unwrap();
        assert_eq!(estimate.median, 1.01);
        assert!(estimate.low < estimate.median && estimate.median < estimate.high);
        assert!(estimate.low >= 0.8 && estimate.high <= 1.3);
        assert_eq!(Estimate::of(values), Some(estimate));
    }

    #[test]
    fn the_interval_covers_the_true_median_about_as_often_as_it_says() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let covered = (0..200)
            .filter(|_| {
                let values = (0..11).map(|_| random.random_range(0.0..2.0));
                let estimate = Estimate::of(values.collect::<Vec<f64>>()).unwrap();
                estimate.low <= 1.0 && 1.0 <= estimate.high
            })
            .count();
        assert!((176..=200).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn ratios_are_taken_pair_by_pair_and_infinite_ones_do_not_count() {
        let estimate = Estimate::of_ratios([(1.0, 2.0), (10.0, 20.0), (1.0, 0.0)]).unwrap();
        assert_eq!((estimate.median, estimate.values), (0.5, 2));
        assert_eq!(Estimate::of_ratios([(0.0, 0.0)]), None);
    }
}
