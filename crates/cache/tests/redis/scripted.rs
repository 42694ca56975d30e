//! A server that says what a test wants: enough of Redis to be connected to, and no more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How the server behaves, and what it saw.
#[derive(Default)]
pub(crate) struct Behaviour {
    /// Says nothing at all, also to a new connection.
    pub(crate) is_mute: AtomicBool,
    /// Takes commands, and does not answer.
    pub(crate) is_stuck: AtomicBool,
    /// Cuts the connection at the next command.
    pub(crate) cuts: AtomicBool,
    pub(crate) connections: AtomicUsize,
    pub(crate) commands: AtomicUsize,
}

/// The server. It ends when it is dropped.
pub(crate) struct Scripted {
    pub(crate) address: String,
    pub(crate) behaviour: Arc<Behaviour>,
    tasks: Mutex<JoinSet<()>>,
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(crate) async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let behaviour = Arc::new(Behaviour::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&behaviour)));
        Self {
            address,
            behaviour,
            tasks: Mutex::new(tasks),
        }
    }

    /// Ends, with all connections.
    pub(crate) async fn stop(self) {
        let mut tasks = self.tasks.into_inner().unwrap();
        tasks.shutdown().await;
    }
}

async fn serve(listener: TcpListener, behaviour: Arc<Behaviour>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        behaviour.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(converse(stream, Arc::clone(&behaviour)));
    }
}

/// Answers each command, of which several may come at once.
async fn converse(mut stream: TcpStream, behaviour: Arc<Behaviour>) {
    let mut seen = String::new();
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        seen.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        while let Some(command) = take_command(&mut seen) {
            if behaviour.is_mute.load(Ordering::SeqCst) {
                continue;
            }
            if command == "PING" {
                stream.write_all(b"+PONG\r\n").await.unwrap();
                continue;
            }
            behaviour.commands.fetch_add(1, Ordering::SeqCst);
            if behaviour.cuts.swap(false, Ordering::SeqCst) {
                return;
            }
            if !behaviour.is_stuck.load(Ordering::SeqCst) {
                stream.write_all(b"$-1\r\n").await.unwrap();
            }
        }
    }
}

/// The name of a command that came whole: `*<words>`, then `$<length>` and the word for each.
fn take_command(seen: &mut String) -> Option<String> {
    let lines: Vec<&str> = seen.split_inclusive("\r\n").collect();
    let words: usize = lines.first()?.trim_end().strip_prefix('*')?.parse().ok()?;
    let wanted = 1 + 2 * words;
    if lines.len() < wanted || !lines[wanted - 1].ends_with("\r\n") {
        return None;
    }
    let name = lines[2].trim_end().to_owned();
    let len: usize = lines[..wanted].iter().map(|line| line.len()).sum();
    seen.drain(..len);
    Some(name)
}
