//! What a process is to the others.

use std::fmt;
use std::str::FromStr;

/// What a process does, as its certificate says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Speaks HTTP with clients.
    Frontend,
    /// Owns bytes.
    Blob,
    /// Owns names, manifests and the event log.
    Metadata,
    /// Brings changes from one region to another.
    Replication,
    /// Tells subscribers what happened.
    Webhooks,
    /// A person, or a tool in that person's name.
    Operator,
}

/// A text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of frontend, blob, metadata, replication, webhooks, operator")]
pub struct ParseRoleError;

// === impl Role ===

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Frontend,
        Self::Blob,
        Self::Metadata,
        Self::Replication,
        Self::Webhooks,
        Self::Operator,
    ];

    /// Its name in a certificate.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Blob => "blob",
            Self::Metadata => "metadata",
            Self::Replication => "replication",
            Self::Webhooks => "webhooks",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |role: &Self| role.name() == text;
        Self::ALL.into_iter().find(named).ok_or(ParseRoleError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_round_trip() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        for text in ["", "Blob", "blob ", "admin"] {
            assert_eq!(text.parse::<Role>(), Err(ParseRoleError));
        }
    }
}
