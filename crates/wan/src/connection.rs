//! A connection through a link: its handshake, its two directions, and how both end together.
//!
//! Owns both sockets. Keeps the invariant that a connection which was not ended by both sides, but by a
//! reset, by an order or by the end of its link, is reset on both, so that nobody takes what he has got
//! for the whole. Leaves it to the link which connections there are.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::carrier::{Carrier, State};
use crate::flow::{Condition, Flow, Path};
use crate::lane::Lane;
use crate::place::Site;

/// The two lanes of a path, seen from who opens connections over it.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    pub(crate) forward: Lane,
    pub(crate) backward: Lane,
}

/// The seed of all connections of a link, and the number of this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed {
    pub(crate) link: u64,
    pub(crate) connection: u64,
}

/// Both sockets.
struct Ends {
    near: TcpStream,
    far: Option<TcpStream>,
    /// Whether both sides have ended it.
    finished: bool,
}

/// Both directions.
struct Both<F, B> {
    lanes: Lanes,
    forward: F,
    backward: B,
}

/// Carries a connection that was accepted to its server, until it has ended. If this is dropped before,
/// the connection is reset.
pub(crate) async fn carry(near: TcpStream, server: Site, lanes: Lanes, seed: Seed) {
    let mut ends = Ends {
        near,
        far: None,
        finished: false,
    };
    // Both sides write what they have at once; a relay must not wait for more.
    if ends.near.set_nodelay(true).is_err() {
        return;
    }
    let Ok(far) = shake_hands(&server, &lanes).await else {
        return;
    };
    let far = ends.far.insert(far);
    let ((near_out, near_in), (far_out, far_in)) = (ends.near.split(), far.split());
    let opens = Instant::now();
    let (out, back) = (lanes.forward.clone(), lanes.backward.clone());
    let late = out.condition().profile.latency();
    let forward = Flow::new(path(&out, &back), opens, seed.random(0));
    // The server may speak when the last packet of the handshake has got there.
    let backward = Flow::new(path(&back, &out), opens + late, seed.random(1));
    let both = Both {
        forward: Carrier::new(near_out, far_in, forward, out),
        backward: Carrier::new(far_out, near_in, backward, back),
        lanes,
    };
    ends.finished = both.run().await == State::Finished;
}

/// The first two packets of a handshake; the third one goes with the first bytes.
async fn shake_hands(server: &Site, lanes: &Lanes) -> io::Result<TcpStream> {
    lanes.forward.cross().await;
    let dialled = dial(server).await;
    lanes.backward.cross().await;
    dialled
}

async fn dial(server: &Site) -> io::Result<TcpStream> {
    let stream = server.socket()?.connect(server.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn path(out: &Lane, back: &Lane) -> Path {
    Path {
        out: out.condition(),
        back: back.condition(),
    }
}

// === impl Seed ===

impl Seed {
    fn random(self, direction: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.link);
        random.set_stream(self.connection * 2 + direction);
        random
    }
}

// === impl Ends ===

impl Drop for Ends {
    fn drop(&mut self) {
        if !self.finished {
            for socket in [Some(&self.near), self.far.as_ref()].into_iter().flatten() {
                // It fails only if the connection is gone already.
                _ = socket.set_zero_linger();
            }
        }
    }
}

// === impl Both ===

impl<R, W, S, T> Both<Carrier<R, W>, Carrier<S, T>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: AsyncRead + Unpin,
    T: AsyncWrite + Unpin,
{
    /// Until both sides have finished, or one of them has reset.
    async fn run(mut self) -> State {
        let mut forward: watch::Receiver<Condition> = self.lanes.forward.conditions();
        let mut backward = self.lanes.backward.conditions();
        // A condition may have changed since the flows were made.
        forward.mark_changed();
        loop {
            tokio::select! {
                biased;
                _ = forward.changed() => {}
                _ = backward.changed() => {}
                end = poll_fn(|cx| self.poll(cx)) => return end,
            }
            self.follow();
        }
    }

    fn follow(&mut self) {
        let Lanes { forward, backward } = &self.lanes;
        self.forward.follow(path(forward, backward));
        self.backward.follow(path(backward, forward));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<State> {
        use State::{Broken, Finished, Reset};
        let mut forward = self.forward.advance(cx);
        if forward == Broken {
            self.backward.break_off();
        }
        let backward = self.backward.advance(cx);
        if backward == Broken && forward != Broken {
            self.forward.break_off();
            forward = self.forward.advance(cx);
        }
        match (forward, backward) {
            (Finished, Finished) => Poll::Ready(Finished),
            (Reset, _) | (_, Reset) | (Broken, Broken) => Poll::Ready(Reset),
            _ => Poll::Pending,
        }
    }
}
