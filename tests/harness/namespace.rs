//! The network of a region from which nothing leads, and the doors into it.
//!
//! A network namespace with a loopback of its own and no other interface. It is that of a process which is
//! there already, the region's broker. A socket stays in the network in which it was made, so that whoever
//! holds sockets of two networks may lead from one to the other: a [`Door`], by which tests come in, or a
//! link of the wide-area network. Keeps the invariant that no door leads out. Needs root.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::linux::fs::MetadataExt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use meridian_wan::Place;
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A network that is not that of this machine.
#[derive(Debug, Clone)]
pub struct Namespace {
    path: String,
    file: Arc<File>,
}

/// A way in: who connects outside is connected inside. It is closed when it is dropped.
pub struct Door {
    address: SocketAddr,
    _open: JoinSet<()>,
}

// === impl Namespace ===

impl Namespace {
    /// That of a process.
    ///
    /// # Panics
    ///
    /// When the process is in the network of this machine.
    pub fn of(process: Pid) -> Self {
        let path = format!("/proc/{}/ns/net", process.as_raw_nonzero());
        let file = File::open(&path).unwrap();
        let ours = std::fs::metadata("/proc/self/ns/net").unwrap();
        let is_ours = file.metadata().unwrap().st_ino() == ours.st_ino();
        assert!(!is_ours, "process {process:?} has no network of its own");
        let file = Arc::new(file);
        Self { path, file }
    }

    /// What has to start a program so that it runs in there.
    pub fn entrance(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net={}", self.path)]
    }

    /// Does something in there, on a thread of its own.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let act = || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.file.as_fd(), network).unwrap();
            act()
        };
        let done = thread::scope(|scope| scope.spawn(act).join());
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A socket of that network, for such an address.
    pub fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        self.within(|| match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        })
    }

    /// Listens in there.
    pub fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        listen(self.socket(address)?, address)
    }

    /// The same, to the wide-area network.
    pub fn place(&self) -> Place {
        let namespace = self.clone();
        Place::new(move |address| namespace.socket(address))
    }
}

fn listen(socket: TcpSocket, address: SocketAddr) -> io::Result<TcpListener> {
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

// === impl Door ===

impl Door {
    /// Leads from an address of this machine, or a free port of it, to one in there.
    ///
    /// # Panics
    ///
    /// When nobody can listen at the address outside.
    pub fn open(outside: SocketAddr, namespace: &Namespace, inside: SocketAddr) -> Self {
        let listener = TcpSocket::new_v4().and_then(|socket| listen(socket, outside));
        let listener = listener.unwrap_or_else(|error| panic!("a door at {outside}: {error}"));
        let address = listener.local_addr().unwrap();
        let namespace = namespace.clone();
        let mut open = JoinSet::new();
        open.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                connections.spawn(lead(near, namespace.clone(), inside));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            _open: open,
        }
    }

    /// Where it is, outside.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Carries a connection until both sides have ended it. If either breaks off, so does the other.
async fn lead(mut near: TcpStream, namespace: Namespace, inside: SocketAddr) {
    let Ok(mut far) = connect(&namespace, inside).await else {
        drop(near.set_zero_linger());
        return;
    };
    let is_whole = near.set_nodelay(true).is_ok()
        && far.set_nodelay(true).is_ok()
        && copy_bidirectional(&mut near, &mut far).await.is_ok();
    if !is_whole {
        // It fails where the connection is gone already.
        drop((near.set_zero_linger(), far.set_zero_linger()));
    }
}

async fn connect(namespace: &Namespace, inside: SocketAddr) -> io::Result<TcpStream> {
    namespace.socket(inside)?.connect(inside).await
}
