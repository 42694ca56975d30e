use proptest::prelude::*;

use super::*;

fn profile(text: &str) -> Profile {
    text.parse().unwrap()
}

fn fault(text: &str) -> String {
    text.parse::<Profile>().unwrap_err().to_string()
}

fn bandwidth(text: &str) -> u64 {
    profile(text).bandwidth().unwrap().get()
}

#[test]
fn the_time_is_a_round_trip_and_each_lane_takes_half_of_it() {
    let profile = profile("80ms,20MB/s,jitter=5ms");
    assert_eq!(profile.round_trip(), Duration::from_millis(80));
    assert_eq!(profile.latency(), Duration::from_millis(40));
    assert_eq!(profile.jitter(), Duration::from_micros(2500));
}

#[test]
fn parts_come_in_any_order_and_most_may_be_left_out() {
    let all = profile("80ms,20MB/s,jitter=5ms,loss=0.1%,window=4MiB");
    assert_eq!(
        all,
        profile("loss=0.1%, window=4MiB, 20MB/s, jitter=5ms, 80ms")
    );
    assert_eq!((all.loss(), all.window()), (0.001, 4 << 20));
    assert_eq!(profile("0ms"), Profile::default());
    assert_eq!(profile("1Gbit/s").round_trip(), Duration::ZERO);
    assert_eq!(profile("80ms").bandwidth(), None);
}

#[test]
fn bandwidths_have_the_units_that_networks_use() {
    assert_eq!(bandwidth("20MB/s"), 20_000_000);
    assert_eq!(bandwidth("1.5MB/s"), 1_500_000);
    assert_eq!(bandwidth("1MiB/s"), 1 << 20);
    assert_eq!(bandwidth("5Mbit/s"), 625_000);
    assert_eq!(bandwidth("1Gbit/s"), 125_000_000);
    assert_eq!(bandwidth("2500B/s"), 2_500);
}

#[test]
fn a_profile_is_shown_as_it_would_be_written() {
    for text in [
        "0ms",
        "80ms",
        "80ms,20MB/s",
        "1s,125MB/s",
        "200ms,625kB/s,jitter=80ms,loss=2%",
        "1500us,loss=0.0001%,window=4kB",
        "80ms,20MB/s,jitter=5ms,loss=0.1%,window=4MB",
    ] {
        assert_eq!(profile(text).to_string(), text);
    }
}

#[test]
fn a_text_that_is_none_says_why() {
    let unknown = "is no part of a profile";
    for (text, why) in [
        ("", unknown),
        ("80ms,", unknown),
        ("-80ms", unknown),
        ("fast", unknown),
        ("rtt=80ms", unknown),
        ("80", "is no round trip: a decimal number and one of s, ms"),
        ("80 ms", "is no round trip"),
        ("1.2.3ms", "is no round trip"),
        ("0.1ns", "is no round trip"),
        (
            "20Mb/s",
            "is no bandwidth: a decimal number and one of GB/s",
        ),
        ("20MB/s/s", "is no bandwidth"),
        ("99999999999999999999GB/s", "is no bandwidth"),
        ("80ms,jitter=5", "is no jitter"),
        ("loss=0.1", "is no loss: a decimal number and one of %"),
        ("loss=0.00001%", "is no loss"),
        ("window=.5MB", "is no window"),
        ("61s", "a round trip of 61s is not between 0ms and 60s"),
        (
            "0B/s",
            "a bandwidth of 0B/s is not between 1kB/s and 100GB/s",
        ),
        ("loss=51%", "a loss of 51% is not between 0% and 50%"),
        ("window=1B", "a window of 1B is not between 1kB and 1GB"),
        ("80ms,20MB/s,30MB/s", "the bandwidth is given twice"),
        ("80ms,90ms", "the round trip is given twice"),
        (
            "80ms,jitter=81ms",
            "the jitter is longer than the round trip",
        ),
        ("jitter=1ms", "the jitter is longer than the round trip"),
    ] {
        let told = fault(text);
        assert!(told.contains(why), "{text:?}: {told}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_read_as_the_same(
        round_trip in 0..=60_000_000_000_u64,
        share in 0..=100_u64,
        bandwidth in prop::option::of(1_000..=100_000_000_000_u64),
        loss in 0..=500_000_u32,
        window in 1_000..=1_000_000_000_usize,
    ) {
        let profile = Profile {
            round_trip: Duration::from_nanos(round_trip),
            jitter: Duration::from_nanos(round_trip / 100 * share),
            bandwidth: bandwidth.and_then(NonZeroU64::new),
            loss,
            window,
        };
        prop_assert_eq!(profile.to_string().parse(), Ok(profile));
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,40}|[0-9.]{0,30}[a-zA-Z/%=,]{0,8}") {
        if let Ok(profile) = text.parse::<Profile>() {
            prop_assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }
}
