use std::sync::LazyLock;

use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::pacer::LARGEST_TURN;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Flows over one lane in time of its own. Sources always have more, up to a bound; sinks take all.
struct Lab {
    start: Instant,
    now: Instant,
    pacer: Pacer,
    path: Path,
    flows: Vec<Subject>,
}

struct Subject {
    flow: Flow,
    /// What the source still has.
    left: usize,
    taken: usize,
    arrived: usize,
    /// When how much had arrived.
    arrivals: Vec<(Duration, usize)>,
    takes: bool,
}

// === impl Lab ===

impl Lab {
    fn new(profile: &str) -> Self {
        let profile: Profile = profile.parse().unwrap();
        let condition = Condition {
            profile,
            whole: true,
        };
        let start = Instant::now();
        Self {
            start,
            now: start,
            pacer: Pacer::new(profile.bandwidth(), start),
            path: Path {
                out: condition,
                back: condition,
            },
            flows: Vec::new(),
        }
    }

    /// Adds a flow whose source has so many bytes.
    fn with(mut self, bytes: usize) -> Self {
        let random = ChaCha8Rng::seed_from_u64(self.flows.len() as u64);
        self.add(bytes, random);
        self
    }

    fn add(&mut self, bytes: usize, random: ChaCha8Rng) {
        self.flows.push(Subject {
            flow: Flow::new(self.path, self.now, random),
            left: bytes,
            taken: 0,
            arrived: 0,
            arrivals: Vec::new(),
            takes: true,
        });
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for subject in &mut self.flows {
                subject.step(self.start, self.now, &mut self.pacer);
            }
            let wakes = self.flows.iter().filter_map(|it| it.flow.wake(self.now));
            match wakes.min() {
                Some(at) if at < end => self.now = at,
                _ => break,
            }
        }
        self.now = end;
    }

    fn set(&mut self, change: impl FnOnce(&mut Path)) {
        change(&mut self.path);
        self.pacer.set_bandwidth(self.path.out.profile.bandwidth());
        for subject in &mut self.flows {
            subject.flow.follow(self.path, self.now, &mut self.pacer);
        }
    }

    fn only(&self) -> &Subject {
        &self.flows[0]
    }
}

// === impl Subject ===

impl Subject {
    fn step(&mut self, start: Instant, now: Instant, pacer: &mut Pacer) {
        loop {
            let due: usize = self.flow.due(now).map(<[u8]>::len).sum();
            if self.takes && due > 0 {
                self.check(now);
                self.flow.deliver(due, now);
                self.arrived += due;
                self.arrivals.push((now - start, due));
                continue;
            }
            let room = self.flow.room(now).min(self.left);
            if room == 0 {
                return;
            }
            self.flow.take(text(self.taken, room), now, pacer);
            self.taken += room;
            self.left -= room;
        }
    }

    /// What arrives is what comes next.
    fn check(&self, now: Instant) {
        let mut position = self.arrived;
        for bytes in self.flow.due(now) {
            assert!(text(position, bytes.len()) == bytes, "out of order");
            position += bytes.len();
        }
    }

    fn arrived_in(&self, from: Duration, to: Duration) -> usize {
        let within = |(at, _): &&(Duration, usize)| (from..to).contains(at);
        self.arrivals.iter().filter(within).map(|it| it.1).sum()
    }

    fn first(&self) -> Duration {
        self.arrivals[0].0
    }

    fn last(&self) -> Duration {
        self.arrivals[self.arrivals.len() - 1].0
    }
}

/// What a source has from there on.
fn text(position: usize, bytes: usize) -> Bytes {
    static LETTERS: LazyLock<Bytes> = LazyLock::new(|| {
        let letters = (0..=250_u8).cycle();
        letters.take(251 + LARGEST_TURN).collect()
    });
    let position = position % 251;
    LETTERS.slice(position..position + bytes)
}

/// Within one in a hundred.
#[track_caller]
fn assert_near(measured: usize, exact: usize) {
    assert!(
        measured.abs_diff(exact) * 100 <= exact,
        "{measured} is not {exact}"
    );
}

#[test]
fn a_message_takes_its_latency_and_its_time_on_the_lane() {
    let mut lab = Lab::new("80ms,20MB/s").with(1000);
    lab.run(SECOND);
    assert_eq!(lab.only().first(), 40 * MS + Duration::from_micros(50));
}

#[test]
fn jitter_is_more_or_less_than_the_latency() {
    let times: Vec<_> = (0..200)
        .map(|seed| {
            let mut lab = Lab::new("200ms,jitter=80ms");
            lab.add(1000, ChaCha8Rng::seed_from_u64(seed));
            lab.run(SECOND);
            lab.only().first()
        })
        .collect();
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!((60 * MS..65 * MS).contains(least), "{least:?}");
    assert!((135 * MS..=140 * MS).contains(most), "{most:?}");
}

#[test]
fn a_connection_gets_the_bandwidth_once_its_window_is_open() {
    let mut lab = Lab::new("80ms,20MB/s").with(usize::MAX);
    lab.run(12 * SECOND);
    assert_near(lab.only().arrived_in(2 * SECOND, 12 * SECOND), 200_000_000);
    // Ten segments, twenty, forty …: as long as a real connection needs.
    assert!(lab.only().arrived_in(Duration::ZERO, 160 * MS) < 100_000);
}

#[test]
fn no_stretch_of_time_carries_more_than_the_bandwidth() {
    let mut lab = Lab::new("10ms,1MB/s").with(3_000_000).with(3_000_000);
    lab.run(7 * SECOND);
    for second in 0..7 {
        let (from, to) = (SECOND * second, SECOND * (second + 1));
        let arrived: usize = lab.flows.iter().map(|it| it.arrived_in(from, to)).sum();
        assert!(arrived <= 1_000_000 + SEGMENT, "{arrived}");
    }
    assert!(lab.flows.iter().all(|it| it.arrived == 3_000_000));
    let last = lab.flows.iter().map(Subject::last).max().unwrap();
    assert!(
        last >= 6 * SECOND && last < 6 * SECOND + 20 * MS,
        "{last:?}"
    );
}

#[test]
fn connections_share_a_lane_evenly() {
    for profile in ["80ms,20MB/s", "80ms,5Mbit/s", "20ms,1Gbit/s"] {
        let mut lab = Lab::new(profile);
        for _ in 0..8 {
            lab = lab.with(usize::MAX);
        }
        let bandwidth = lab.path.out.profile.bandwidth().unwrap().get();
        let share = usize::try_from(bandwidth).unwrap() * 10 / 8;
        lab.run(12 * SECOND);
        for subject in &lab.flows {
            assert_near(subject.arrived_in(2 * SECOND, 12 * SECOND), share);
        }
    }
}

#[test]
fn a_connection_carries_no_more_than_its_window_per_round_trip() {
    let mut lab = Lab::new("80ms,1Gbit/s,window=2MB").with(usize::MAX);
    lab.run(12 * SECOND);
    let arrived = lab.only().arrived_in(2 * SECOND, 12 * SECOND);
    // A window of the first turn begins to arrive a turn later.
    assert!((245_000_000..=250_000_000).contains(&arrived), "{arrived}");
}

#[test]
fn without_a_bandwidth_only_the_window_bounds() {
    let mut lab = Lab::new("80ms").with(1_000_000);
    lab.run(SECOND);
    assert_eq!(lab.only().arrived, 1_000_000);
    let mut wire = Lab::new("0ms").with(1_000_000);
    wire.run(MS);
    assert_eq!(wire.only().last(), Duration::ZERO);
}

#[test]
fn a_sink_that_takes_nothing_stops_its_source() {
    for (profile, bound) in [
        ("80ms,20MB/s", 1_600_000 + BUFFER),
        ("200ms,5Mbit/s", 125_000 + BUFFER),
        ("80ms,1Gbit/s", 2_500_000),
        ("80ms,20MB/s,window=100kB", 100_000),
    ] {
        let mut lab = Lab::new(profile).with(usize::MAX);
        lab.run(2 * SECOND);
        lab.flows[0].takes = false;
        lab.run(60 * SECOND);
        let held = lab.only().taken - lab.only().arrived;
        assert!(held <= bound && held > bound / 2, "{profile}: {held}");
        lab.flows[0].takes = true;
        let before = lab.only().arrived;
        lab.run(SECOND);
        assert!(lab.only().arrived > before + held);
    }
}

#[test]
fn crumbs_fill_a_path_by_their_number() {
    let mut lab = Lab::new("80ms").with(20_000_000);
    lab.run(10 * SECOND);
    let (now, flow) = (lab.now, &mut lab.flows[0].flow);
    let mut taken = 0;
    while flow.room(now) > 0 {
        flow.take(text(taken, 1), now, &mut lab.pacer);
        taken += 1;
    }
    assert_eq!(taken, MOST_CHUNKS);
    assert_eq!(flow.wake(now), Some(now + 40 * MS));
}

#[test]
fn a_lost_segment_comes_round_trips_later() {
    let mut seen = [0; 3];
    for seed in 0..200 {
        let mut lab = Lab::new("80ms,loss=25%");
        lab.add(100, ChaCha8Rng::seed_from_u64(seed));
        lab.run(10 * SECOND);
        let late = lab.only().first() - 40 * MS;
        let trips = usize::try_from(late.as_nanos() / (80 * MS).as_nanos()).unwrap();
        assert_eq!(late, 80 * MS * u32::try_from(trips).unwrap());
        seen[trips.min(2)] += 1;
    }
    assert!(seen[0] > 120 && seen[1] > 20 && seen[2] > 2, "{seen:?}");
}

#[test]
fn losses_cost_what_they_cost_a_real_connection() {
    // Mathis et al., 1997: 1.22 segments per round trip and root of the loss.
    for (profile, expected) in [
        ("80ms,1Gbit/s,loss=0.1%", 698_000),
        ("200ms,20MB/s,loss=1%", 88_000),
    ] {
        let mut lab = Lab::new(profile).with(usize::MAX);
        lab.run(120 * SECOND);
        let rate = lab.only().arrived_in(20 * SECOND, 120 * SECOND) / 100;
        assert!(
            (expected / 2..expected * 2).contains(&rate),
            "{profile}: {rate}"
        );
    }
}

#[test]
fn nothing_crosses_a_cut_and_all_of_it_is_sent_again_after_it() {
    let mut lab = Lab::new("80ms,1MB/s").with(usize::MAX);
    lab.run(SECOND);
    lab.set(|path| path.out.whole = false);
    let before = lab.only().arrived;
    lab.run(60 * SECOND);
    assert_eq!(lab.only().arrived, before);
    let held = lab.only().taken - before;
    assert!(held <= 80_000 + BUFFER, "{held}");
    lab.set(|path| path.out.whole = true);
    let healed = lab.now - lab.start;
    lab.run(SECOND);
    let subject = lab.only();
    assert_eq!(subject.arrived_in(healed, healed + 40 * MS), 0);
    // What is sent again takes its time on the lane again.
    assert!(subject.arrived_in(healed, healed + 50 * MS) <= 10_000);
    assert!(subject.arrived_in(healed, healed + SECOND) > 900_000);
}

#[test]
fn what_had_arrived_before_a_cut_is_not_sent_again() {
    let mut lab = Lab::new("80ms").with(1000);
    lab.flows[0].takes = false;
    lab.run(SECOND);
    lab.set(|path| path.out.whole = false);
    lab.flows[0].takes = true;
    lab.run(SECOND);
    assert_eq!(lab.only().arrived, 0);
    lab.set(|path| path.out.whole = true);
    lab.run(MS);
    assert_eq!(lab.only().first(), 2 * SECOND);
}

#[test]
fn while_the_way_back_is_cut_a_connection_goes_on_for_its_window() {
    let mut lab = Lab::new("80ms,1Gbit/s").with(usize::MAX);
    lab.run(MS);
    lab.set(|path| path.back.whole = false);
    lab.run(60 * SECOND);
    assert_eq!(lab.only().arrived, 10 * SEGMENT);
    lab.set(|path| path.back.whole = true);
    // That it has arrived is heard a latency later, and what is sent then arrives another one later.
    lab.run(80 * MS);
    assert_eq!(lab.only().arrived, 10 * SEGMENT);
    lab.run(SECOND);
    assert!(lab.only().arrived > 10_000_000);
}

#[test]
fn ends_come_last() {
    let mut lab = Lab::new("80ms,1MB/s").with(5_000);
    lab.run(MS);
    let now = lab.now;
    let flow = &mut lab.flows[0].flow;
    flow.end(End::Finish, now);
    assert_eq!(flow.room(now), 0);
    assert_eq!(flow.ended(now + 40 * MS), None);
    lab.run(SECOND);
    assert_eq!(lab.only().arrived, 5_000);
    let now = lab.now;
    let flow = &mut lab.flows[0].flow;
    assert_eq!(flow.ended(now), Some(End::Finish));
    flow.end(End::Reset, now);
    flow.end(End::Finish, now);
    assert_eq!(flow.ended(now + 39 * MS), None);
    assert_eq!(flow.wake(now), Some(now + 40 * MS));
    assert_eq!(flow.ended(now + 40 * MS), Some(End::Reset));
}

#[test]
fn an_end_does_not_cross_a_cut_either() {
    let mut lab = Lab::new("80ms").with(0);
    let now = lab.now;
    lab.flows[0].flow.end(End::Finish, now);
    lab.set(|path| path.out.whole = false);
    // Nor does that of a flow which begins only now.
    lab = lab.with(0);
    lab.flows[1].flow.end(End::Finish, now + MS);
    lab.now = now + SECOND;
    let ended = |lab: &Lab| lab.flows.iter().any(|it| it.flow.ended(lab.now).is_some());
    assert!(!ended(&lab));
    lab.set(|path| path.out.whole = true);
    assert!(!ended(&lab));
    for subject in &lab.flows {
        assert_eq!(subject.flow.wake(lab.now), Some(lab.now + 40 * MS));
    }
}

#[test]
fn a_profile_can_change_under_way() {
    let mut lab = Lab::new("200ms,1MB/s").with(usize::MAX);
    lab.run(2 * SECOND);
    lab.set(|path| {
        let profile = "20ms,10MB/s".parse().unwrap();
        path.out.profile = profile;
        path.back.profile = profile;
    });
    lab.run(12 * SECOND);
    let rate = lab.only().arrived_in(4 * SECOND, 14 * SECOND) / 10;
    assert_near(rate, 10_000_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Order and completeness are asserted where bytes arrive.
    #[test]
    fn all_arrives_in_order_and_never_early(
        seed in any::<u64>(),
        millis in 0..200_u32,
        share in 0..=100_u32,
        loss in 0..20_u32,
        bandwidth in 100..100_000_u32,
        cuts in prop::collection::vec((1..500_u32, any::<bool>(), any::<bool>()), 0..6),
    ) {
        let jitter = millis * share / 100;
        let mut lab = Lab::new(&format!(
            "{millis}ms,{bandwidth}kB/s,jitter={jitter}ms,loss={loss}%"
        ));
        for number in 0..3 {
            lab.add(100_000, ChaCha8Rng::seed_from_u64(seed ^ number));
        }
        for (time, out, back) in cuts {
            lab.run(MS * time);
            lab.set(|path| (path.out.whole, path.back.whole) = (out, back));
        }
        lab.set(|path| (path.out.whole, path.back.whole) = (true, true));
        lab.run(1000 * SECOND);
        for subject in &lab.flows {
            prop_assert_eq!(subject.arrived, 100_000);
            prop_assert!(subject.first() >= MS * (millis - jitter) / 2);
        }
        let last = lab.flows.iter().map(Subject::last).max().unwrap();
        prop_assert!(last >= MS * (300_000 / bandwidth));
    }
}
