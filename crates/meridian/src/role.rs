//! The services that a process runs.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;
use meridian_chassis::identity;

/// A service that a process can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Role {
    /// Speaks HTTP with clients; keeps nothing
    Frontend,
    /// Owns bytes: uploads, ranged reads, garbage collection
    Blob,
    /// Owns names, manifests and the event log
    Metadata,
    /// Keeps the region like others
    Replication,
    /// Calls receivers of webhooks
    Webhooks,
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
            Self::Replication => "replication",
            Self::Webhooks => "webhooks",
        }
    }

    /// What it is called in certificates.
    pub(crate) const fn identity(self) -> identity::Role {
        match self {
            Self::Frontend => identity::Role::Frontend,
            Self::Blob => identity::Role::Blob,
            Self::Metadata => identity::Role::Metadata,
            Self::Replication => identity::Role::Replication,
            Self::Webhooks => identity::Role::Webhooks,
        }
    }

    /// The services that it calls. A region that has no others has no agent to call.
    const fn calls(self) -> &'static [Self] {
        match self {
            Self::Frontend => &[Self::Metadata, Self::Blob, Self::Replication],
            Self::Blob => &[Self::Metadata],
            Self::Metadata => &[],
            Self::Replication => &[Self::Metadata, Self::Blob],
            Self::Webhooks => &[Self::Metadata],
        }
    }

    /// Whether it calls other regions.
    const fn calls_abroad(self) -> bool {
        matches!(self, Self::Frontend | Self::Replication)
    }

    const fn keeps_data(self) -> bool {
        !matches!(self, Self::Frontend)
    }

    const fn uses_cache(self) -> bool {
        matches!(self, Self::Frontend | Self::Blob)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Cast ===

impl Cast {
    /// All services of a region without others, which serve each other and no other process.
    pub(crate) fn whole() -> Self {
        Self {
            roles: BTreeSet::from([Role::Frontend, Role::Blob, Role::Metadata, Role::Webhooks]),
            serves_others: false,
        }
    }

    /// All services of a region among others.
    pub(crate) fn whole_among_others() -> Self {
        let mut whole = Self::whole();
        whole.roles.insert(Role::Replication);
        whole
    }

    /// Some services, which other processes reach over gRPC.
    pub(crate) fn of(roles: &[Role]) -> Self {
        Self {
            roles: roles.iter().copied().collect(),
            serves_others: true,
        }
    }

    /// Whether no other process has a part in the region.
    pub(crate) const fn is_alone(&self) -> bool {
        !self.serves_others
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether other processes call a service of this one.
    pub(crate) fn serves(&self, role: Role) -> bool {
        self.serves_others && self.has(role)
    }

    /// Whether other processes run a service that this one calls.
    pub(crate) fn calls(&self, role: Role) -> bool {
        !self.has(role)
            && self
                .roles
                .iter()
                .any(|caller| caller.calls().contains(&role))
    }

    /// Whether it calls other regions, if there are any.
    pub(crate) fn calls_abroad(&self) -> bool {
        self.roles.iter().any(|role| role.calls_abroad())
    }

    /// Whether it speaks gRPC with anybody of its region.
    pub(crate) const fn has_peers(&self) -> bool {
        self.serves_others
    }

    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> {
        self.roles.iter().copied()
    }

    /// Whether anything of this process has to be on disk.
    pub(crate) fn keeps_data(&self) -> bool {
        self.roles.iter().any(|role| role.keeps_data())
    }

    /// Whether a service of this process has use for a cache.
    pub(crate) fn uses_cache(&self) -> bool {
        self.roles.iter().any(|role| role.uses_cache())
    }

    /// The only role, if it is one.
    pub(crate) fn only(&self) -> Option<Role> {
        let mut roles = self.roles.iter();
        roles.next().filter(|_| roles.next().is_none()).copied()
    }
}

impl fmt::Display for Cast {
    /// What it is called where all processes are seen together.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.roles.iter().map(|role| role.name()).collect();
        f.write_str(&names.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 5] = [
        Role::Frontend,
        Role::Blob,
        Role::Metadata,
        Role::Replication,
        Role::Webhooks,
    ];

    #[test]
    fn a_whole_registry_needs_no_port_between_its_services() {
        let whole = Cast::whole();
        for role in [Role::Frontend, Role::Blob, Role::Metadata, Role::Webhooks] {
            assert!(whole.has(role) && !whole.serves(role), "{role}");
        }
        assert!(!whole.has(Role::Replication));
        let among_others = Cast::whole_among_others();
        assert!(among_others.has(Role::Replication) && !among_others.serves(Role::Replication));
        assert!(!among_others.calls(Role::Replication));
    }

    #[test]
    fn roles_count_once_however_often_they_are_named() {
        let cast = Cast::of(&[Role::Blob, Role::Blob]);
        assert_eq!(cast.only(), Some(Role::Blob));
        assert!(cast.serves(Role::Blob) && !cast.has(Role::Frontend));
        assert_eq!(Cast::of(&[Role::Blob, Role::Metadata]).only(), None);
    }

    #[test]
    fn a_process_calls_what_its_services_need_and_it_does_not_run() {
        for (roles, calls) in [
            (
                &[Role::Frontend][..],
                &[Role::Blob, Role::Metadata, Role::Replication][..],
            ),
            (&[Role::Blob], &[Role::Metadata]),
            (&[Role::Metadata], &[]),
            (&[Role::Replication], &[Role::Blob, Role::Metadata]),
            (&[Role::Webhooks], &[Role::Metadata]),
            (
                &[Role::Frontend, Role::Metadata],
                &[Role::Blob, Role::Replication],
            ),
            (
                &[Role::Frontend, Role::Blob],
                &[Role::Metadata, Role::Replication],
            ),
        ] {
            let cast = Cast::of(roles);
            for role in ALL {
                assert_eq!(cast.calls(role), calls.contains(&role), "{roles:?} {role}");
            }
        }
    }

    #[test]
    fn services_are_called_in_certificates_as_in_the_settings() {
        for role in ALL {
            assert_eq!(role.identity().name(), role.name());
        }
    }

    #[test]
    fn a_frontend_keeps_nothing() {
        assert!(!Cast::of(&[Role::Frontend]).keeps_data());
        assert!(Cast::of(&[Role::Frontend, Role::Blob]).keeps_data());
    }
}
