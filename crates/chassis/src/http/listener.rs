//! Where connections come in: TCP ports and Unix sockets.
//!
//! Owns binding and accepting. Keeps the invariant that a Unix socket can be connected to by its
//! owner only, from the moment it exists. Leaves who may be served to `admission`.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use meridian_error::{Classify, Code};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::address::ListenAddress;
use super::transport::Transport;

/// Connections that the kernel may hold ready for us.
const BACKLOG: i32 = 1024;

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    socket: ListenSocket,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A process of this machine, of the socket's owner.
    Unix,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it.
    #[error("{address} is in use by another process")]
    InUse {
        /// The address.
        address: ListenAddress,
    },
    /// The system says no.
    #[error("cannot listen on {address}")]
    Refused {
        /// The address.
        address: ListenAddress,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[derive(Debug)]
enum ListenSocket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket, removed when the listener is dropped if it is still ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

// === impl Listener ===

impl Listener {
    /// Binds `address`. To be called on a runtime.
    ///
    /// A Unix socket that nobody answers on any more is replaced.
    ///
    /// # Errors
    ///
    /// When the address is in use, or the system refuses it.
    pub fn bind(address: &ListenAddress) -> Result<Self, BindError> {
        let bound = match address {
            ListenAddress::Tcp(address) => bind_tcp(*address),
            ListenAddress::Unix(path) => bind_unix(path),
        };
        let socket = bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse {
                address: address.clone(),
            },
            _ => BindError::Refused {
                address: address.clone(),
                source,
            },
        })?;
        Ok(Self { socket })
    }

    /// The port that was bound, for a TCP listener.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            ListenSocket::Tcp(listener) => listener.local_addr().ok(),
            ListenSocket::Unix(..) => None,
        }
    }

    /// What is listened on, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> Option<ListenAddress> {
        match &self.socket {
            ListenSocket::Tcp(_) => self.tcp_address().map(ListenAddress::Tcp),
            ListenSocket::Unix(_, file) => Some(ListenAddress::Unix(file.path.clone())),
        }
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Transport, Peer)>> {
        match &self.socket {
            ListenSocket::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, address)| {
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                (Transport::tcp(stream), Peer::Tcp(address))
            }),
            ListenSocket::Unix(listener, _file) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _address)| (Transport::unix(stream), Peer::Unix)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self {
            socket: ListenSocket::Tcp(listener),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<ListenSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into()).map(ListenSocket::Tcp)
}

/// Binds under a name that nobody looks for, restricts, and only then moves to `path`: between
/// the two, the socket has the mode that the process's umask gives it.
fn bind_unix(path: &Path) -> io::Result<ListenSocket> {
    refuse_to_replace(path)?;
    let mut hidden = path.as_os_str().to_owned();
    hidden.push("~");
    let hidden = PathBuf::from(hidden);
    remove_if_present(&hidden)?;
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&hidden, path)?;
    let inode = std::fs::symlink_metadata(path)?.ino();
    let path = path.to_owned();
    Ok(ListenSocket::Unix(listener, SocketFile { path, inode }))
}

/// What stands at `path` is replaced only if it is a socket that nobody listens on.
fn refuse_to_replace(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is no socket is in the way",
        ));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _answered_or_busy => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

// === impl SocketFile ===

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|it| it.ino() == self.inode);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}

// === impl BindError ===

impl Classify for BindError {
    fn code(&self) -> Code {
        match self {
            Self::InUse { .. } => Code::AlreadyExists,
            Self::Refused { .. } => Code::InvalidArgument,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.tcp_address().unwrap();
        let error = Listener::bind(&address.into()).unwrap_err();
        assert_eq!(error.code(), Code::AlreadyExists);
        assert!(
            error
                .to_string()
                .starts_with(&format!("{address} is in use"))
        );
    }

    #[tokio::test]
    async fn a_unix_socket_is_its_owners_and_leaves_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let address = ListenAddress::Unix(path.clone());
        let listener = Listener::bind(&address).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(
            Listener::bind(&address),
            Err(BindError::InUse { .. })
        ));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_unix_socket_that_nobody_listens_on_is_replaced_but_no_other_file_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let address = ListenAddress::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(Listener::bind(&address).unwrap());
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&address).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
