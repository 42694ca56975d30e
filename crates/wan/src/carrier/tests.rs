//! With pipes instead of sockets, and time that stands still until all wait for it: what is measured is
//! exact up to a tick of the timer.

use std::future::poll_fn;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinSet;

use super::*;
use crate::profile::Profile;

const MS: Duration = Duration::from_millis(1);
/// The pipes hold little, so that what is counted is on the lane.
const PIPE: usize = 64 * 1024;

/// A connection's two ends with a path between them.
struct Rig {
    near: DuplexStream,
    far: DuplexStream,
    lane: Lane,
    tasks: JoinSet<State>,
}

// === impl Rig ===

impl Rig {
    fn new(profile: &str) -> Self {
        let profile: Profile = profile.parse().unwrap();
        let (lane, back) = (Lane::new(profile), Lane::new(profile));
        let ((near, near_relay), (far, far_relay)) = (duplex(PIPE), duplex(PIPE));
        let ((near_out, near_in), (far_out, far_in)) = (split(near_relay), split(far_relay));
        let mut tasks = JoinSet::new();
        tasks.spawn(run(carrier(near_out, far_in, &lane, &back)));
        tasks.spawn(run(carrier(far_out, near_in, &back, &lane)));
        Self {
            near,
            far,
            lane,
            tasks,
        }
    }
}

type Half = Carrier<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

fn carrier(
    source: ReadHalf<DuplexStream>,
    sink: WriteHalf<DuplexStream>,
    out: &Lane,
    back: &Lane,
) -> Half {
    let path = Path {
        out: out.condition(),
        back: back.condition(),
    };
    let flow = Flow::new(path, Instant::now(), ChaCha8Rng::seed_from_u64(1));
    Carrier::new(source, sink, flow, out.clone())
}

async fn run(mut carrier: Half) -> State {
    poll_fn(|cx| match carrier.advance(cx) {
        State::Carrying => Poll::Pending,
        ended => Poll::Ready(ended),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_byte_and_its_answer_take_a_round_trip() {
    let mut rig = Rig::new("80ms,20MB/s");
    for _ in 0..10 {
        let asked = Instant::now();
        rig.near.write_u8(1).await.unwrap();
        rig.far.read_u8().await.unwrap();
        rig.far.write_u8(2).await.unwrap();
        rig.near.read_u8().await.unwrap();
        let took = asked.elapsed();
        assert!(took >= 80 * MS && took <= 83 * MS, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bulk_takes_its_time_on_the_lane() {
    let mut rig = Rig::new("20ms,10MB/s");
    let began = Instant::now();
    let sent = vec![7; 20_000_000];
    let (mut near, mut arrived) = (rig.near, Vec::new());
    rig.tasks.spawn(async move {
        near.write_all(&sent).await.unwrap();
        near.shutdown().await.unwrap();
        // The other direction stays open.
        near.read_u8().await.unwrap();
        State::Carrying
    });
    rig.far.read_to_end(&mut arrived).await.unwrap();
    let took = began.elapsed();
    assert_eq!(arrived.len(), 20_000_000);
    assert!(took >= 2010 * MS && took < 2200 * MS, "{took:?}");
    let traffic = rig.lane.traffic();
    assert_eq!((traffic.sent, traffic.delivered), (20_000_000, 20_000_000));
    // And works.
    rig.far.write_u8(1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_nothing_holds_up_its_source() {
    let mut rig = Rig::new("80ms,20MB/s");
    let written = async {
        for total in (0..).step_by(1000) {
            let write = rig.near.write_all(&[7; 1000]);
            if tokio::time::timeout(10_000 * MS, write).await.is_err() {
                return total;
            }
        }
        0
    };
    let written = written.await;
    // The window, which is not wide open so early, and a pipe at each end.
    assert!(
        (14_000..1_900_000 + 2 * PIPE).contains(&written),
        "{written}"
    );
    let mut arrived = vec![0; written];
    rig.far.read_exact(&mut arrived).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_gone_is_seen_when_something_arrives() {
    let mut rig = Rig::new("80ms");
    drop(rig.far);
    rig.near.write_all(b"for nobody").await.unwrap();
    let mut ends = Vec::new();
    while let Some(end) = rig.tasks.join_next().await {
        ends.push(end.unwrap());
        if ends.len() == 2 {
            break;
        }
    }
    assert!(ends.contains(&State::Broken) && ends.contains(&State::Finished));
}
