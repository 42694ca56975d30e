//! Where the hash of an upload is best computed: what each place costs, in CPU-seconds per GB of
//! this process, and how fast it is.
//!
//! `cargo run --release -p meridian-blob-service --example ingest -- <folder> [MiB] [runs] [uploads]`
//!
//! * `none`: no hash, as the floor.
//! * `inline`: on the thread that read the bytes, while the store writes the piece behind. This is
//!   what the service does.
//! * `blocking`: each piece on a thread of the blocking pool, beside the store's write.
//! * `thread`: on a thread of its own for each upload, through a queue of four pieces.
//!
//! Bytes come from another process through a socket and go durably into a store in `folder`. The
//! places alternate, so that what else the machine does hits all of them alike. Compare ratios.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool, not a part of the registry"
)]

use std::io::Write;
use std::net::{Shutdown, TcpStream as StdTcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use meridian_blobstore::{BlobKey, BlobStore, BlobWriter, DiskBlobStore, DiskConfig};
use meridian_oci::{Algorithm, Digest, Hasher};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;

const PIECE: usize = 256 << 10;
const PLACES: [Place; 4] = [Place::None, Place::Inline, Place::Blocking, Place::Thread];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    None,
    Inline,
    Blocking,
    Thread,
}

/// Bytes of the socket in pieces.
struct Pieces {
    socket: TcpStream,
    buffer: BytesMut,
}

impl Pieces {
    async fn next(&mut self) -> Option<Bytes> {
        self.buffer.reserve(PIECE);
        let read = self.socket.read_buf(&mut self.buffer).await.unwrap();
        (read > 0).then(|| self.buffer.split().freeze())
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| args.get(index).map_or(default, |n| n.parse().unwrap());
    match args.first().map(String::as_str) {
        Some("send") => send(&args[1], number(2, 0)),
        Some(folder) => {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
            let measure = measure(
                Path::new(folder),
                number(1, 512),
                number(2, 7),
                number(3, 1),
            );
            runtime.block_on(measure);
        }
        None => println!("usage: ingest <folder> [MiB] [runs] [uploads at once]"),
    }
}

/// The other process: sends so many bytes, and waits until the receiver is done.
fn send(address: &str, total: u64) {
    let mut socket = StdTcpStream::connect(address).unwrap();
    let piece = vec![5; PIECE];
    let mut left = total;
    while left > 0 {
        let len = usize::try_from(left.min(PIECE as u64)).unwrap();
        socket.write_all(&piece[..len]).unwrap();
        left -= len as u64;
    }
    socket.shutdown(Shutdown::Write).unwrap();
}

async fn measure(folder: &Path, mib: u64, runs: u64, uploads: u64) {
    let store = DiskBlobStore::open(DiskConfig::new(folder.join("ingest")))
        .await
        .unwrap();
    let mut samples = vec![Vec::new(); PLACES.len()];
    let mut generation = 0;
    for run in 0..=runs {
        for step in 0..PLACES.len() {
            let index = (usize::try_from(run).unwrap() + step) % PLACES.len();
            let (wall, cpu) = (Instant::now(), cpu_time());
            let pushes = (0..uploads).map(|_| {
                generation += 1;
                push(&store, generation, PLACES[index], mib << 20)
            });
            join_all(pushes).await;
            let gigabytes = (uploads * (mib << 20)) as f64 / 1e9;
            let cpu = (cpu_time() - cpu).as_secs_f64() / gigabytes;
            let rate = gigabytes / wall.elapsed().as_secs_f64();
            // The first run warms up.
            if run > 0 {
                samples[index].push((cpu, rate));
            }
        }
    }
    println!("{uploads} uploads of {mib} MiB at once, medians of {runs} runs");
    for (place, samples) in PLACES.iter().zip(&samples) {
        let cpu = median(samples.iter().map(|(cpu, _)| *cpu));
        let rate = median(samples.iter().map(|(_, rate)| *rate));
        println!("{place:?}: {cpu:.3} CPU-s/GB, {rate:.2} GB/s");
    }
    std::fs::remove_dir_all(folder.join("ingest")).unwrap();
}

async fn push(store: &DiskBlobStore, generation: u64, place: Place, total: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sender = start_sender(&address, total);
    let (socket, _) = listener.accept().await.unwrap();
    let mut pieces = Pieces {
        socket,
        buffer: BytesMut::with_capacity(PIECE),
    };
    let key = BlobKey {
        registry: "0-0-eu".parse().unwrap(),
        epoch: 1,
        generation,
    };
    let mut writer = store.create(&key).await.unwrap();
    match place {
        Place::None => {
            while let Some(piece) = pieces.next().await {
                writer.append(piece).await.unwrap();
            }
        }
        Place::Inline => drop(inline(&mut pieces, &mut *writer).await),
        Place::Blocking => drop(blocking(&mut pieces, &mut *writer).await),
        Place::Thread => drop(thread(&mut pieces, &mut *writer).await),
    }
    assert_eq!(writer.commit().await.unwrap(), total);
    store.delete(&key).await.unwrap();
    sender.wait().unwrap();
}

async fn inline(pieces: &mut Pieces, writer: &mut dyn BlobWriter) -> Option<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while let Some(piece) = pieces.next().await {
        writer.append(piece.clone()).await.unwrap();
        hasher.update(&piece);
    }
    Some(hasher.finish())
}

async fn blocking(pieces: &mut Pieces, writer: &mut dyn BlobWriter) -> Option<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while let Some(piece) = pieces.next().await {
        let hashed = piece.clone();
        let hash = spawn_blocking(move || {
            hasher.update(&hashed);
            hasher
        });
        writer.append(piece).await.unwrap();
        hasher = hash.await.unwrap();
    }
    Some(hasher.finish())
}

async fn thread(pieces: &mut Pieces, writer: &mut dyn BlobWriter) -> Option<Digest> {
    let (queue, mut queued) = tokio::sync::mpsc::channel::<Bytes>(4);
    let hash = std::thread::spawn(move || {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        while let Some(piece) = queued.blocking_recv() {
            hasher.update(&piece);
        }
        hasher.finish()
    });
    while let Some(piece) = pieces.next().await {
        queue.send(piece.clone()).await.unwrap();
        writer.append(piece).await.unwrap();
    }
    drop(queue);
    spawn_blocking(move || hash.join().unwrap()).await.ok()
}

fn start_sender(address: &str, total: u64) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command
        .args(["send", address, &total.to_string()])
        .spawn()
        .unwrap()
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (time.tv_sec, time.tv_nsec);
    Duration::new(seconds.try_into().unwrap(), nanos.try_into().unwrap())
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut samples: Vec<_> = samples.collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
