//! Images that are pushed one after the other, each when the one before it has arrived.

use std::time::{Duration, Instant};

use super::ground::Ground;
use super::image::LayeredImage;
use super::path::{Path, approximate};
use crate::drive::Block;
use crate::metric::Metric;
use crate::sample::{Latencies, Sample};
use crate::workload::LoadError;

/// An image to push, of whose layers the first ones are there.
pub(super) struct Travel {
    pub(super) image: LayeredImage,
    pub(super) first: usize,
}

/// Goes on for a block, at least once. Bytes are those of what is new.
pub(super) async fn travels(
    ground: &mut Ground,
    path: Path,
    block: &Block,
    mut next: impl FnMut(&mut Ground) -> Travel,
) -> Result<(Sample, Vec<LayeredImage>), LoadError> {
    let start = Instant::now();
    let round_trip = ground.far.wan.round_trip().await;
    let (mut sample, mut carried, mut images) = (Sample::default(), 0, Vec::new());
    while sample.operations == 0 || start.elapsed() < block.length {
        let Travel { image, first } = next(ground);
        let before = ground.far.wan.carried();
        ground.travel(&image, first).await?;
        carried += ground.far.wan.carried() - before;
        sample.operations += 1;
        sample.bytes += image.size_from(first);
        images.push(image);
    }
    sample.elapsed = start.elapsed();
    let lags = ground.arrivals.close().latencies;
    sample.figures = figures(path, round_trip, &lags, &sample);
    let carried = approximate(carried) / approximate(sample.bytes);
    sample.figures.push((Metric::WanBytes, carried));
    Ok((sample, images))
}

/// The median lag, beside what the network alone would take for an image of this size.
fn figures(
    path: Path,
    round_trip: Duration,
    lags: &Latencies,
    sample: &Sample,
) -> Vec<(Metric, f64)> {
    let bytes = approximate(sample.bytes) / approximate(sample.operations);
    let floor = path.floor(round_trip, bytes);
    let (lag, round_trip) = (lags.quantile(0.5).as_secs_f64(), round_trip.as_secs_f64());
    vec![
        (Metric::P50, lag * 1000.0),
        (Metric::Floor, floor * 1000.0),
        (Metric::OverFloor, (lag - 2.0 * round_trip) / floor),
        (Metric::RoundTrips, lag / round_trip),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_told_beside_its_floor() {
        let mut lags = Latencies::new();
        lags.record(Duration::from_secs(2));
        let sample = Sample {
            operations: 2,
            bytes: 25_000_000,
            ..Sample::default()
        };
        let figures = figures(Path::SLOW, Duration::from_millis(80), &lags, &sample);
        let wanted = [2000.0, 1040.0, 1.84 / 1.04, 25.0];
        for ((_, figure), wanted) in figures.iter().zip(wanted) {
            assert!((figure / wanted - 1.0).abs() < 0.001, "{figures:?}");
        }
    }
}
