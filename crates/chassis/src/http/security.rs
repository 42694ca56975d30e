//! What protects a connection, and who does the handshake.

use std::io;

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::listener::Peer;
use super::transport::Transport;
use crate::Spawner;
use crate::identity::{Identity, Introduction};
use crate::tls::Tls;

/// What connections to a TCP listener begin with.
#[derive(Clone)]
pub(super) enum Handshake {
    /// The server shows a certificate; the client may be anybody.
    OneSided(Tls),
    /// Both show one.
    Mutual(Identity),
}

/// How a connection is protected.
#[derive(Debug, Clone)]
pub(super) enum Security {
    /// Not at all, or by being a Unix socket.
    Plain,
    /// By TLS, where the client may have said who it is.
    Tls(Option<Introduction>),
}

// === impl Handshake ===

impl Handshake {
    /// What this connection's handshake is done with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        match self {
            Self::OneSided(tls) => tls.acceptor().clone(),
            Self::Mutual(identity) => identity.acceptor(),
        }
    }

    /// How a connection is protected whose handshake is done.
    pub(super) fn security(&self, transport: &Transport) -> Security {
        let Some(session) = transport.session() else {
            return Security::Plain;
        };
        match self {
            Self::OneSided(_) => Security::Tls(None),
            Self::Mutual(identity) => {
                let shown = session.peer_certificates().unwrap_or_default();
                Security::Tls(Some(identity.introduce(shown)))
            }
        }
    }

    /// Takes note of a handshake that failed, if anybody can do something about it.
    pub(super) fn failed(&self, peer: Peer, error: &io::Error) {
        if let Self::Mutual(identity) = self {
            identity.refused(&peer, error);
        }
    }

    /// Keeps the certificate up to date. An identity is renewed by the process that has it.
    pub(super) fn maintain(&self, spawner: &Spawner, stop: CancellationToken) {
        if let Self::OneSided(tls) = self {
            spawner.spawn_child("tls certificate", tls.renew(stop));
        }
    }
}

// === impl Security ===

impl Security {
    pub(super) const fn introduction(&self) -> Option<&Introduction> {
        match self {
            Self::Tls(introduction) => introduction.as_ref(),
            Self::Plain => None,
        }
    }
}
