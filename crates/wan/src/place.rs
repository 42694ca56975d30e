//! The network in which the sockets of a region are made.
//!
//! A socket stays in the network in which it was made, whoever uses it. So a link may listen in one network and
//! connect in another, and be all that leads from the one to the other.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpSocket;

/// What the kernel may hold at either side of a path, beside what is on its way. It would take far more
/// on this machine than a connection over a wide-area network ever gets.
const SOCKET_BUFFER: u32 = 256 * 1024;

/// Makes a socket of the family of an address.
type Make = dyn Fn(SocketAddr) -> io::Result<TcpSocket> + Send + Sync;

/// Makes the sockets of a region: in the network that this process is in, unless it is said how.
#[derive(Clone)]
pub struct Place(Arc<Make>);

/// An address, and where it is one.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) place: Place,
}

// === impl Place ===

impl Place {
    /// One whose sockets `make` makes, each of the family of the address that it is told.
    pub fn new(make: impl Fn(SocketAddr) -> io::Result<TcpSocket> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new(|address| match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        })
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

// === impl Site ===

impl Site {
    /// A socket to or at that address, with bounded buffers.
    pub(crate) fn socket(&self) -> io::Result<TcpSocket> {
        let socket = (self.place.0)(self.address)?;
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
        Ok(socket)
    }
}

impl From<SocketAddr> for Site {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            place: Place::default(),
        }
    }
}
