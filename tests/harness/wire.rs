//! A way to a server, which can be cut, or lets nothing through.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where it begins is where its server seems to be.
pub struct Wire {
    address: String,
    state: watch::Sender<State>,
    taken: Arc<AtomicUsize>,
    connections: Arc<Mutex<JoinSet<()>>>,
    _listening: JoinSet<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Cut,
    Held,
}

// === impl Wire ===

impl Wire {
    /// To a server at `host:port`.
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = watch::Sender::new(State::Whole);
        let taken = Arc::new(AtomicUsize::new(0));
        let connections: Arc<Mutex<JoinSet<()>>> = Arc::default();
        let mut listening = JoinSet::new();
        let (seen, count) = (state.subscribe(), Arc::clone(&taken));
        let all = Arc::clone(&connections);
        listening.spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                if *seen.borrow() == State::Cut {
                    continue;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let (server, seen) = (server.clone(), seen.clone());
                all.lock().unwrap().spawn(async move {
                    if let Ok(far) = TcpStream::connect(server).await {
                        let (near_out, near_in) = near.into_split();
                        let (far_out, far_in) = far.into_split();
                        tokio::select! {
                            () = carry(near_out, far_in, seen.clone()) => {}
                            () = carry(far_out, near_in, seen) => {}
                        }
                    }
                });
            }
        });
        Self {
            address,
            state,
            taken,
            connections,
            _listening: listening,
        }
    }

    /// Where it begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How many connections it has let through.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// Ends all connections, and lets none through.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
        self.connections.lock().unwrap().abort_all();
    }

    /// Lets nothing through, and ends nothing: the server seems to hang.
    pub fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// Lets everything through again, also what was held.
    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }
}

/// Carries bytes one way until either end goes away.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if state.wait_for(|it| *it != State::Held).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
