//! What a connection costs, and what happens when the system has nothing left to give.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use meridian_chassis::Supervisor;
use meridian_chassis::http::{HttpConfig, HttpServer, Listener, RequestBody};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{ALLOCATOR, TURN};

const REQUEST: &[u8] =
    b"GET /v2/ HTTP/1.1\r\nHost: localhost:5000\r\nUser-Agent: docker/28.0.0\r\n\
    Accept: application/vnd.oci.image.index.v1+json\r\nAccept-Encoding: gzip\r\n\r\n";

/// KiB that a connection which waits for its next request may hold: half of what the performance notes allow
/// for it, because the allocator's own share is not counted. It is missed if connections do not give back
/// their buffers, of which one alone has 8.
const MAX_IDLE: f64 = 6.0;

/// How long connections may take to give them back.
const SOON: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let address = runtime.block_on(async {
            let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
            let address = listener.tcp_address().unwrap();
            let service = tower::service_fn(answer);
            let config = HttpConfig::default();
            let server = HttpServer::new([listener], config, None, service).unwrap();
            let supervisor = Supervisor::new();
            supervisor.spawn("http", server.run(supervisor.spawner()));
            address
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }
}

async fn answer(_: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("{}")))
}

fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut space = [0; 1024];
    while !answer.ends_with(b"{}") {
        let read = stream.read(&mut space)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&space[..read]);
    }
    Ok(())
}

/// What is allocated. How much of what was freed the allocator gives back to the system, and when, is
/// its own affair, and differs from run to run.
fn allocated_kib() -> f64 {
    ALLOCATOR.allocated() as f64 / 1024.0
}

/// KiB that each of `count` connections holds after `prepare`, once they have given back what they do not
/// need.
fn slope(server: &Server, count: usize, prepare: impl Fn(&mut TcpStream)) -> f64 {
    let open = |count| {
        let mut opened = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = server.connect();
            prepare(&mut stream);
            opened.push(stream);
        }
        opened
    };
    let warm = open(10);
    let before = allocated_kib();
    let opened = open(count);
    let cost = || (allocated_kib() - before) / count as f64;
    let deadline = Instant::now() + SOON;
    while cost() > MAX_IDLE && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let cost = cost();
    drop((warm, opened));
    cost
}

#[test]
fn an_idle_connection_is_cheap() {
    let _turn = TURN.lock();
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .unwrap();
    let count = usize::try_from(hard / 2)
        .unwrap_or(usize::MAX)
        .saturating_sub(1000)
        .min(5000);
    let idle = slope(&Server::start(), count, |stream| ask(stream).unwrap());
    println!("KiB per connection over {count}: {idle:.1} idle after a request");
    assert!(idle <= MAX_IDLE, "{idle:.1} KiB");
}

#[test]
fn a_server_without_file_descriptors_goes_on_when_there_are_some() {
    let _turn = TURN.lock();
    let server = Server::start();
    let mut first = server.connect();
    ask(&mut first).unwrap();

    let limit = getrlimit(Resource::Nofile);
    let scarce = Rlimit {
        current: Some(256),
        ..limit
    };
    setrlimit(Resource::Nofile, scarce).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    drop(taken.pop());
    let mut client = server.connect();
    client
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(ask(&mut client).is_err(), "nothing is left to accept with");

    drop(taken);
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    ask(&mut first).unwrap();
    setrlimit(Resource::Nofile, limit).unwrap();
}
