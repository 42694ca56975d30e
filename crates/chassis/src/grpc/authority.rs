//! Who may call what.
//!
//! Owns the table of pairs of roles and services. Keeps the invariant that what does not stand
//! there is refused: a new service is reached by nobody until it has a row.

use crate::identity::Role;

/// Who may call a service of a role.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Its name in a path.
    service: &'static str,
    /// Who serves it.
    servers: &'static [Role],
    /// Who may call it there.
    callers: &'static [Role],
}

/// Everybody, among whom nobody is who was not certified.
const ALL: &[Role] = &Role::ALL;

const TABLE: &[Row] = &[
    Row {
        service: "meridian.metadata.v1.Metadata",
        servers: &[Role::Metadata],
        callers: &[
            Role::Frontend,
            Role::Blob,
            Role::Replication,
            Role::Webhooks,
        ],
    },
    Row {
        service: "meridian.blob.v1.Blob",
        servers: &[Role::Blob],
        callers: &[Role::Frontend, Role::Replication],
    },
    // The members of a region's metadata group among themselves, and nobody else: an entry of the
    // log is believed as it stands.
    Row {
        service: "meridian.raft.v1.Raft",
        servers: &[Role::Metadata],
        callers: &[Role::Metadata],
    },
    Row {
        service: "grpc.health.v1.Health",
        servers: ALL,
        callers: ALL,
    },
    Row {
        service: "grpc.reflection.v1.ServerReflection",
        servers: ALL,
        callers: &[Role::Operator],
    },
];

/// Whether one of `callers` may call `service` of a `server`.
pub(super) fn may_call(callers: &[Role], server: Role, service: &str) -> bool {
    let row = TABLE
        .iter()
        .find(|row| row.service == service && row.servers.contains(&server));
    row.is_some_and(|row| row.callers.iter().any(|role| callers.contains(role)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Blob, Frontend, Metadata, Operator, Replication, Webhooks};

    const METADATA: &str = "meridian.metadata.v1.Metadata";
    const BLOB: &str = "meridian.blob.v1.Blob";
    const RAFT: &str = "meridian.raft.v1.Raft";
    const HEALTH: &str = "grpc.health.v1.Health";
    const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

    /// The table as it is meant, pair by pair; what is not here is refused.
    const ALLOWED: &[(Role, Role, &str)] = &[
        (Frontend, Metadata, METADATA),
        (Blob, Metadata, METADATA),
        (Replication, Metadata, METADATA),
        (Webhooks, Metadata, METADATA),
        (Frontend, Blob, BLOB),
        (Replication, Blob, BLOB),
        (Metadata, Metadata, RAFT),
    ];

    #[test]
    fn each_pair_of_roles_may_call_what_the_table_says_and_nothing_else() {
        for caller in Role::ALL {
            for server in Role::ALL {
                for service in [METADATA, BLOB, RAFT] {
                    let allowed = ALLOWED.contains(&(caller, server, service));
                    let may = may_call(&[caller], server, service);
                    assert_eq!(may, allowed, "{caller} calls {service} of {server}");
                }
                assert!(may_call(&[caller], server, HEALTH), "{caller} {server}");
                let may = may_call(&[caller], server, REFLECTION);
                assert_eq!(may, caller == Operator, "{caller} {server}");
            }
        }
    }

    #[test]
    fn what_has_no_row_is_called_by_nobody() {
        for service in [
            "",
            "meridian.metadata.v2.Metadata",
            "Metadata",
            "grpc.health.v1",
        ] {
            for server in Role::ALL {
                assert!(!may_call(ALL, server, service), "{service:?}");
            }
        }
        assert!(!may_call(&[], Metadata, METADATA));
    }

    #[test]
    fn one_of_several_roles_is_enough() {
        assert!(may_call(&[Metadata, Blob], Metadata, METADATA));
        assert!(!may_call(&[Metadata, Operator], Blob, BLOB));
    }
}
