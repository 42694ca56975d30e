//! The services that a process runs.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;

/// A service that a process can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Role {
    /// Speaks HTTP with clients; keeps nothing
    Frontend,
    /// Owns bytes: uploads, ranged reads, garbage collection
    Blob,
    /// Owns names, manifests and the event log
    Metadata,
}

/// The services of one process. Among themselves they call each other directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cast {
    roles: BTreeSet<Role>,
    serves_others: bool,
}

// === impl Role ===

impl Role {
    /// Its section in the settings, and its name to people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Blob => "blob",
            Self::Metadata => "metadata",
        }
    }

    const fn keeps_data(self) -> bool {
        !matches!(self, Self::Frontend)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Cast ===

impl Cast {
    /// All services, which serve each other and no other process.
    pub(crate) fn whole() -> Self {
        Self {
            roles: BTreeSet::from([Role::Frontend, Role::Blob, Role::Metadata]),
            serves_others: false,
        }
    }

    /// Some services, which other processes reach over gRPC.
    pub(crate) fn of(roles: &[Role]) -> Self {
        Self {
            roles: roles.iter().copied().collect(),
            serves_others: true,
        }
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether other processes call a service of this one.
    pub(crate) fn serves(&self, role: Role) -> bool {
        self.serves_others && self.has(role)
    }

    /// Whether anything of this process has to be on disk.
    pub(crate) fn keeps_data(&self) -> bool {
        self.roles.iter().any(|role| role.keeps_data())
    }

    /// The only role, if it is one.
    pub(crate) fn only(&self) -> Option<Role> {
        let mut roles = self.roles.iter();
        roles.next().filter(|_| roles.next().is_none()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_registry_needs_no_port_between_its_services() {
        let whole = Cast::whole();
        for role in [Role::Frontend, Role::Blob, Role::Metadata] {
            assert!(whole.has(role) && !whole.serves(role), "{role}");
        }
    }

    #[test]
    fn roles_count_once_however_often_they_are_named() {
        let cast = Cast::of(&[Role::Blob, Role::Blob]);
        assert_eq!(cast.only(), Some(Role::Blob));
        assert!(cast.serves(Role::Blob) && !cast.has(Role::Frontend));
        assert_eq!(Cast::of(&[Role::Blob, Role::Metadata]).only(), None);
    }

    #[test]
    fn a_frontend_keeps_nothing() {
        assert!(!Cast::of(&[Role::Frontend]).keeps_data());
        assert!(Cast::of(&[Role::Frontend, Role::Blob]).keeps_data());
    }
}
