//! A budget for what is asked of a region, on the wire.

use std::time::{Duration, Instant};

use harness::{Content, digest, eventually, seed};

use crate::apart::{Apart, SOON};

/// Bytes per second: a hundredth of what the machine could do.
const BUDGET: u64 = 2_000_000;

const SETTINGS: [(&str, &str); 1] = [("MERIDIAN_REPLICATION__PEERS__EU__BUDGET", "2MB")];

/// How much had come, and between which moments that was looked at.
#[derive(Clone, Copy)]
struct Sample {
    before: Instant,
    carried: u64,
    after: Instant,
}

// === impl Sample ===

impl Sample {
    fn take(regions: &Apart) -> Self {
        let before = Instant::now();
        Self {
            before,
            carried: regions.carried(0),
            after: Instant::now(),
        }
    }

    /// How many bytes came per second since an earlier one; no more than there really were.
    fn rate_since(&self, earlier: &Self) -> f64 {
        let bytes = approximate(self.carried - earlier.carried);
        bytes / self.after.duration_since(earlier.before).as_secs_f64()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate is no count")]
fn approximate(bytes: u64) -> f64 {
    bytes as f64
}

/// Looks until so many bytes have come since the first look.
async fn watch(regions: &Apart, bytes: u64) -> Vec<Sample> {
    let mut samples = vec![Sample::take(regions)];
    eventually("it has come", SOON, || {
        let sample = Sample::take(regions);
        samples.push(sample);
        let is_all = sample.carried - samples[0].carried >= bytes;
        async move { is_all.then_some(()) }
    })
    .await;
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_kept_and_used_on_the_wire() {
    let regions = Apart::start(1, "20ms", &SETTINGS).await;
    let image = Content::new(seed(71)).image(&[3_000_000; 10]);
    let before = regions.carried(0);
    let pushing = async {
        let pushed = regions.eu().push_image("team/app", "1", &image).await;
        pushed.unwrap().expect(201);
    };
    let watching = async {
        eventually("it comes", SOON, || async {
            (regions.carried(0) > before + BUDGET / 10).then_some(())
        })
        .await;
        watch(&regions, 28_000_000).await
    };
    let ((), samples) = tokio::join!(pushing, watching);
    let budget = approximate(BUDGET);

    // All in all, with what may be made up for at once.
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let whole = last.rate_since(&first);
    assert!(whole <= budget * 1.1, "{whole} of {budget}");

    // A machine that stands still for a moment saves nothing up, so that not all the time is used: some three
    // seconds in the middle are.
    let window = Duration::from_secs(3);
    let ends = samples.iter().filter_map(|begin| {
        let mut later = samples.iter();
        let end = later.find(|end| end.before.duration_since(begin.after) >= window)?;
        Some(end.rate_since(begin))
    });
    let highest = ends.fold(0.0, f64::max);
    assert!(highest >= budget * 0.9, "{highest} of {budget}");
    eventually("all is there", SOON, || async { regions.is_even(0) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_waits_for_goes_before_what_is_left_of_a_budget() {
    let regions = Apart::start(1, "20ms", &SETTINGS).await;
    let mut content = Content::new(seed(72));
    let [backlog, small] = [&[3_000_000; 10][..], &[500_000]].map(|layers| content.image(layers));
    let before = regions.carried(0);
    for (repository, image) in [("team/backlog", &backlog), ("team/small", &small)] {
        let pushed = regions.eu().push_image(repository, "1", image).await;
        pushed.unwrap().expect(201);
    }
    let us = regions.us();
    eventually("it is answered", SOON, || async {
        let answer = us.manifest("team/small", "1").await.unwrap();
        (answer.body == small.manifest).then_some(())
    })
    .await;
    for blob in &small.blobs {
        eventually("it is answered", SOON, || async {
            let answer = us.blob("team/small", digest(blob)).await.unwrap();
            (answer.body == *blob).then_some(())
        })
        .await;
    }
    // It was pushed last, and much of what was pushed before it is still to come.
    let carried = regions.carried(0) - before;
    assert!(carried < 25_000_000, "{carried} had come by then");
    eventually("the rest is there", SOON, || async { regions.is_even(0) }).await;
}
