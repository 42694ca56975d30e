//! A relay from an address to a server, over two lanes.
//!
//! Owns the listener and all tasks of its connections. Keeps the invariant that nothing of it is left
//! when it is dropped: its connections are reset, its address refuses. Leaves bytes to the connections,
//! and what the path is like to its lanes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::connection::{Lanes, Seed, carry};
use crate::lane::Lane;
use crate::place::{Place, Site};
use crate::profile::Profile;

/// More connections wait to be accepted until others have ended.
const MOST_CONNECTIONS: usize = 4096;
const BACKLOG: u32 = 1024;
/// After a failure to accept, of which a lack of file descriptors is the likely one.
const PAUSE: Duration = Duration::from_millis(50);

/// A way to a server, as long as a wide-area network would make it.
///
/// It listens where clients are, and whatever connects to it is carried to the server over its two
/// lanes: forward, away from the client, and backward.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    lanes: Lanes,
    orders: watch::Sender<Orders>,
    open: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

#[derive(Debug, Clone, Copy)]
struct Orders {
    server: SocketAddr,
    resets: u64,
}

struct Acceptor {
    listener: TcpListener,
    /// Where the server is.
    there: Place,
    lanes: Lanes,
    orders: watch::Receiver<Orders>,
    open: Arc<AtomicUsize>,
    seed: u64,
}

/// A connection that is there.
struct Counted(Arc<AtomicUsize>);

// === impl Link ===

impl Link {
    /// Listens at `listen` and carries connections to `server` over a path of its own. What is random
    /// is drawn from the seed, for each connection by its number.
    ///
    /// # Errors
    ///
    /// The address cannot be listened at.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of Tokio.
    pub fn start(
        listen: SocketAddr,
        server: SocketAddr,
        profile: Profile,
        seed: u64,
    ) -> io::Result<Self> {
        let (forward, backward) = (Lane::new(profile), Lane::new(profile));
        Self::over(listen, server, &forward, &backward, seed)
    }

    /// Listens at `listen` and carries connections to `server` over lanes that others may share.
    ///
    /// # Errors
    ///
    /// The address cannot be listened at.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of Tokio.
    pub fn over(
        listen: SocketAddr,
        server: SocketAddr,
        forward: &Lane,
        backward: &Lane,
        seed: u64,
    ) -> io::Result<Self> {
        Self::between(&listen.into(), server.into(), forward, backward, seed)
    }

    /// The same from one place to another.
    pub(crate) fn between(
        listen: &Site,
        server: Site,
        forward: &Lane,
        backward: &Lane,
        seed: u64,
    ) -> io::Result<Self> {
        let lanes = Lanes {
            forward: forward.clone(),
            backward: backward.clone(),
        };
        let listener = listener(listen)?;
        let address = listener.local_addr()?;
        let orders = watch::Sender::new(Orders {
            server: server.address,
            resets: 0,
        });
        let open = Arc::new(AtomicUsize::new(0));
        let acceptor = Acceptor {
            listener,
            there: server.place,
            lanes: lanes.clone(),
            orders: orders.subscribe(),
            open: Arc::clone(&open),
            seed,
        };
        let mut accepting = JoinSet::new();
        accepting.spawn(acceptor.run());
        Ok(Self {
            address,
            lanes,
            orders,
            open,
            _accepting: accepting,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Carries connections to another server from now on, such as one that was started anew.
    pub fn set_server(&self, server: SocketAddr) {
        self.orders.send_modify(|it| it.server = server);
    }

    /// The lane from clients to the server.
    #[must_use]
    pub const fn forward(&self) -> &Lane {
        &self.lanes.forward
    }

    /// The lane from the server to clients.
    #[must_use]
    pub const fn backward(&self) -> &Lane {
        &self.lanes.backward
    }

    /// Changes both lanes.
    pub fn set_profile(&self, profile: Profile) {
        self.lanes.forward.set_profile(profile);
        self.lanes.backward.set_profile(profile);
    }

    /// Cuts both lanes.
    pub fn cut(&self) {
        self.lanes.forward.cut();
        self.lanes.backward.cut();
    }

    /// Mends both lanes.
    pub fn heal(&self) {
        self.lanes.forward.heal();
        self.lanes.backward.heal();
    }

    /// Resets all connections that are there, at both ends and at once. New ones are accepted.
    pub fn reset(&self) {
        self.orders.send_modify(|it| it.resets += 1);
    }

    /// How many connections are there.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn listener(listen: &Site) -> io::Result<TcpListener> {
    let socket = listen.socket()?;
    // A link that is started again finds connections of the one before it on their way out.
    socket.set_reuseaddr(true)?;
    socket.bind(listen.address)?;
    socket.listen(BACKLOG)
}

// === impl Acceptor ===

impl Acceptor {
    async fn run(self) {
        let mut connections = JoinSet::new();
        for number in 0.. {
            let near = self.accept(&mut connections).await;
            self.lanes.forward.count_connection();
            connections.spawn(self.connection(near, number));
        }
    }

    /// Waits for a client, and takes in connections that have ended.
    async fn accept(&self, connections: &mut JoinSet<()>) -> TcpStream {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                    match accepted {
                        Ok((near, _)) => return near,
                        Err(_) => sleep(PAUSE).await,
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// A connection, which ends with its last byte or at the next reset.
    fn connection(&self, near: TcpStream, number: u64) -> impl Future<Output = ()> + use<> {
        let mut orders = self.orders.clone();
        let Orders { server, resets } = *orders.borrow_and_update();
        let server = Site {
            address: server,
            place: self.there.clone(),
        };
        let seed = Seed {
            link: self.seed,
            connection: number,
        };
        let carried = carry(near, server, self.lanes.clone(), seed);
        let counted = Counted::new(&self.open);
        async move {
            let _counted = counted;
            tokio::select! {
                () = carried => {}
                _ = orders.wait_for(|it| it.resets > resets) => {}
            }
        }
    }
}

// === impl Counted ===

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
