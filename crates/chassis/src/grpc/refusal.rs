//! Why a call gets no further than the gate.

use meridian_error::{Classify, Code};

use crate::identity::{Role, Stranger};

/// A call that is not made. Displays as what the caller may know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It carries the credentials of a client of the registry.
    #[error(
        "services take no tokens: a call with an `authorization` header is refused; tokens are for \
         the frontend"
    )]
    Token,
    /// It came over a connection that shows no certificate where one is needed.
    #[error("the connection has no identity")]
    Nobody,
    /// Its caller's certificate makes nobody a peer.
    #[error(transparent)]
    Stranger(Stranger),
    /// Its caller's role may not.
    #[error(
        "{callers} may not call `{service}` of {server}; look at the role in the caller's certificate, \
         and at the endpoints in its `services`"
    )]
    Role {
        callers: String,
        server: Role,
        service: String,
    },
}

// === impl Refusal ===

impl Refusal {
    /// By which the log counts.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Nobody => "nobody",
            Self::Stranger(_) => "stranger",
            Self::Role { .. } => "role",
        }
    }
}

impl Classify for Refusal {
    fn code(&self) -> Code {
        match self {
            Self::Token | Self::Nobody => Code::Unauthenticated,
            Self::Stranger(Stranger::Region { .. } | Stranger::TrustDomain { .. }) => Code::Denied,
            Self::Stranger(_) => Code::Unauthenticated,
            Self::Role { .. } => Code::Denied,
        }
    }
}
