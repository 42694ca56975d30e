//! What a link carries, and what it costs: MB/s, and CPU-seconds per GB of the whole process, with and
//! without a link.
//!
//! `cargo run --release -p meridian-wan --example throughput -- [seconds] [profile[/connections] ...]`
//!
//! Client, link and server share this process. What the link costs is the difference to `none`, where
//! the client connects to the server itself. Then a round trip of a byte is measured.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool, not a part of the registry"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use meridian_wan::{Link, Profile};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

const PIECE: usize = 256 * 1024;
const CASES: &[&str] = &[
    "none/1",
    "0ms/1",
    "10Gbit/s/1",
    "10Gbit/s/8",
    "1Gbit/s/1",
    "1Gbit/s/8",
    "20ms,1Gbit/s/8",
    "80ms,1Gbit/s/1",
    "80ms,1Gbit/s/16",
    "80ms,100Mbit/s/1",
    "80ms,20MB/s/4",
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seconds = args.first().map_or(5, |it| it.parse().unwrap());
    let given: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    let cases = if given.is_empty() { CASES } else { &given };
    println!("profile                connections     MB/s  CPU-s/GB   RTT p50 ms  max ms");
    for case in cases {
        let (profile, connections) = case.rsplit_once('/').unwrap();
        let connections = connections.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(measure(profile, connections, Duration::from_secs(seconds)));
    }
}

async fn measure(profile: &str, connections: usize, time: Duration) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpListener::bind(any).await.unwrap();
    let server = listener.local_addr().unwrap();
    let link = (profile != "none").then(|| {
        let profile: Profile = profile.parse().unwrap();
        Link::start(any, server, profile, 1).unwrap()
    });
    let address = link.as_ref().map_or(server, Link::address);
    let arrived = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, Arc::clone(&arrived)));
    let (median, longest) = round_trips(address).await;
    for _ in 0..connections {
        tasks.spawn(send(address));
    }
    // Until windows are open.
    sleep(Duration::from_secs(2)).await;
    let (began, cpu, bytes) = (Instant::now(), processor(), arrived.load(Ordering::SeqCst));
    sleep(time).await;
    let (took, cpu) = (began.elapsed().as_secs_f64(), processor() - cpu);
    let megabytes = megabytes(arrived.load(Ordering::SeqCst) - bytes);
    println!(
        "{profile:22} {connections:11} {:8.1} {:9.2} {median:12.2} {longest:7.2}",
        megabytes / took,
        cpu / megabytes * 1e3,
    );
}

#[allow(clippy::cast_precision_loss, reason = "only shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

async fn serve(listener: TcpListener, arrived: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let arrived = Arc::clone(&arrived);
        connections.spawn(async move {
            let mut piece = vec![0; PIECE];
            while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
                arrived.fetch_add(bytes as u64, Ordering::SeqCst);
                // A single byte is a question.
                if bytes == 1 && stream.write_u8(1).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn send(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let piece = vec![7; PIECE];
    while stream.write_all(&piece).await.is_ok() {}
}

/// The median and the longest of some round trips, in milliseconds.
async fn round_trips(address: SocketAddr) -> (f64, f64) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times = Vec::new();
    for _ in 0..21 {
        let asked = Instant::now();
        stream.write_u8(1).await.unwrap();
        stream.read_u8().await.unwrap();
        times.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    // The first one pays for the connection.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    (times[10], times[19])
}

fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
    .as_secs_f64()
}
