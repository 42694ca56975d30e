//! What pushing and pulling cost, in CPU-seconds per GB of this process (user and system).
//!
//! `cargo run --release -p meridian-blobstore --example cost -- <folder> [MiB] [runs]`
//!
//! * `push`: bytes from a socket are hashed and written durably; `none` hashes only, `plain` and
//!   `dontcache` write 1 MiB at a time through the page cache without this crate, `store` is this
//!   crate. The time of the last step, sync or commit, stands beside.
//! * `pull`: a cached object is read to its end, by ranges of the store's own chunks.
//! * `small`: objects of 10 kB are pushed, by so many clients at once.
//!
//! The ways alternate, so that what else the machine does hits all of them alike. Compare ratios.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool, not a part of the registry"
)]

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::future::join_all;
use meridian_blobstore::{BlobKey, BlobStore, BlobWriter, DiskBlobStore, DiskConfig};
use rustix::io::{ReadWriteFlags, pwritev2};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;

/// `RWF_DONTCACHE`: written out at once, and dropped from the page cache then.
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);
const PIECE: usize = 1 << 20;

/// Where pushed bytes go.
enum Sink {
    None,
    Raw(Arc<File>, ReadWriteFlags),
    Store(Box<dyn BlobWriter>),
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| args.get(index).map_or(default, |n| n.parse().unwrap());
    match args.first().map(String::as_str) {
        Some("send") => send(&args[1], number(2, 0)),
        Some(folder) => {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(measure(Path::new(folder), number(1, 512), number(2, 7)));
        }
        None => println!("usage: cost <folder> [MiB] [runs]"),
    }
}

async fn measure(folder: &Path, mib: u64, runs: u64) {
    let root = folder.join("cost");
    let store = DiskBlobStore::open(DiskConfig::new(&root)).await.unwrap();
    let ways = ["none", "plain", "dontcache", "store"];
    let total = mib << 20;
    let mut generation = 0;
    for run in 0..runs {
        for step in 0..4 {
            let way = ways[usize::try_from((run + step) % 4).unwrap()];
            generation += 1;
            let path = root.join("raw");
            let sink = match way {
                "none" => Sink::None,
                "store" => Sink::Store(store.create(&key(generation)).await.unwrap()),
                _ => {
                    let flags = if way == "dontcache" {
                        DONT_CACHE
                    } else {
                        ReadWriteFlags::empty()
                    };
                    Sink::Raw(Arc::new(File::create(&path).unwrap()), flags)
                }
            };
            let (used, whole, last) = push(sink, total).await;
            report("push", way, total, used, whole);
            println!("    last step {:.1} ms", last.as_secs_f64() * 1e3);
            let _raw = std::fs::remove_file(&path);
            if way == "store" {
                for _ in 0..3 {
                    let (used, whole) = pull(&store, &key(generation)).await;
                    report("pull", way, total, used, whole);
                }
                store.delete(&key(generation)).await.unwrap();
            }
        }
        for clients in [1, 4, 16, 64] {
            generation = small(&store, generation, clients).await;
        }
    }
    std::fs::remove_dir_all(&root).unwrap();
}

fn key(generation: u64) -> BlobKey {
    BlobKey {
        registry: "cost".parse().unwrap(),
        epoch: 1,
        generation,
    }
}

/// CPU time of this process, of all threads, user and system.
fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

fn report(what: &str, way: &str, bytes: u64, used: Duration, whole: Duration) {
    let gb = Duration::from_nanos(bytes).as_secs_f64();
    let (used, rate) = (used.as_secs_f64() / gb, gb / whole.as_secs_f64());
    println!("{what:5} {way:10} {used:.3} CPU-s/GB  {rate:.2} GB/s");
}

/// Receives, hashes and writes `total` bytes: CPU time, time, and time of the last step.
async fn push(mut sink: Sink, total: u64) -> (Duration, Duration, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let me = std::env::current_exe().unwrap();
    let mut sender: Child = Command::new(me)
        .args(["send", &address, &total.to_string()])
        .spawn()
        .unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut socket = tokio::net::TcpStream::from_std(socket).unwrap();

    let (used, begun) = (cpu(), Instant::now());
    let mut hash = Sha256::new();
    let mut room = BytesMut::new();
    let mut gathered = Vec::new();
    let (mut size, mut at) = (0, 0);
    let mut write = spawn_blocking(|| ());
    loop {
        room.reserve(256 << 10);
        let read = (&mut room).limit(256 << 10);
        if socket.read_buf(&mut { read }).await.unwrap() == 0 {
            break;
        }
        let chunk = room.split().freeze();
        hash.update(&chunk);
        match &mut sink {
            Sink::None => {}
            Sink::Store(writer) => writer.append(chunk).await.unwrap(),
            Sink::Raw(file, flags) => {
                size += chunk.len();
                gathered.push(chunk);
                if size >= PIECE {
                    write.await.unwrap();
                    let (file, flags) = (Arc::clone(file), *flags);
                    let piece = std::mem::take(&mut gathered);
                    write = spawn_blocking(move || write_all(&file, piece, at, flags));
                    at += size as u64;
                    size = 0;
                }
            }
        }
    }
    write.await.unwrap();
    let last = Instant::now();
    match sink {
        Sink::None => {}
        Sink::Raw(file, flags) => {
            let finish = move || {
                write_all(&file, gathered, at, flags);
                file.sync_data().unwrap();
            };
            spawn_blocking(finish).await.unwrap();
        }
        Sink::Store(writer) => assert_eq!(writer.commit().await.unwrap(), total),
    }
    hash.finalize();
    let outcome = (cpu() - used, begun.elapsed(), last.elapsed());
    drop(socket);
    sender.wait().unwrap();
    outcome
}

fn write_all(file: &File, mut piece: Vec<Bytes>, mut at: u64, flags: ReadWriteFlags) {
    while !piece.is_empty() {
        let slices: Vec<_> = piece.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut written = pwritev2(file, &slices, at, flags).unwrap();
        at += written as u64;
        piece.retain_mut(|chunk| {
            let part = chunk.split_to(chunk.len().min(written));
            written -= part.len();
            !chunk.is_empty()
        });
    }
}

async fn pull(store: &DiskBlobStore, key: &BlobKey) -> (Duration, Duration) {
    let (used, begun) = (cpu(), Instant::now());
    let mut reader = store.open(key, None).await.unwrap();
    let mut left = reader.len();
    while let Some(chunk) = reader.next().await {
        left -= chunk.unwrap().len() as u64;
    }
    assert_eq!(left, 0);
    (cpu() - used, begun.elapsed())
}

/// Pushes small objects, and returns the last generation.
async fn small(store: &DiskBlobStore, first: u64, clients: u64) -> u64 {
    let each = 1_000 / clients + 20;
    let bytes = Bytes::from(vec![7; 10_000]);
    let (used, begun) = (cpu(), Instant::now());
    let client = |client: u64| {
        let bytes = &bytes;
        async move {
            for number in 1..=each {
                let key = key(first + client * each + number);
                let mut writer = store.create(&key).await.unwrap();
                writer.append(bytes.clone()).await.unwrap();
                writer.commit().await.unwrap();
            }
        }
    };
    join_all((0..clients).map(client)).await;
    let (count, used, whole) = (clients * each, cpu() - used, begun.elapsed());
    let rate = Duration::from_micros(count).as_secs_f64() * 1e6 / whole.as_secs_f64();
    let each_used = used / u32::try_from(count).unwrap();
    println!("small {clients:2} clients  {rate:6.0} objects/s  {each_used:?} CPU each");
    for generation in first + 1..=first + count {
        store.delete(&key(generation)).await.unwrap();
    }
    first + count
}

/// The other end of the socket, in its own process.
fn send(address: &str, total: u64) {
    let mut socket = TcpStream::connect(address).unwrap();
    let bytes = vec![5; 256 << 10];
    let mut left = total;
    while left > 0 {
        let next = usize::try_from(left).unwrap().min(bytes.len());
        socket.write_all(&bytes[..next]).unwrap();
        left -= next as u64;
    }
    socket.shutdown(Shutdown::Write).unwrap();
    let _closed = socket.read(&mut [0]);
}
