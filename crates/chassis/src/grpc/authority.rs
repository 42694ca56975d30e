//! Who may call what.
//!
//! Owns the table of pairs of roles and services, at home and between regions. Keeps the invariant that
//! what does not stand there is refused: a new service is reached by nobody until it has a row, and by
//! no other region until that row says so.

use crate::identity::{Reach, Role};

/// Who may call a service of a role.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Its name in a path.
    service: &'static str,
    /// Who serves it.
    servers: &'static [Role],
    /// Who of this region may call it there.
    callers: &'static [Role],
    /// Who of other regions may, at a port that is for them.
    abroad: &'static [Role],
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
        abroad: &[],
    },
    // What is merged is believed as it stands, so that nobody merges but who speaks with its origin.
    Row {
        service: "meridian.replication.v1.Replica",
        servers: &[Role::Metadata],
        callers: &[Role::Replication],
        abroad: &[],
    },
    Row {
        service: "meridian.webhook.v1.Webhooks",
        servers: &[Role::Metadata],
        callers: &[Role::Webhooks],
        abroad: &[],
    },
    // An agent serves it to other regions, whose frontends go on with uploads that were begun here.
    Row {
        service: "meridian.blob.v1.Blob",
        servers: &[Role::Blob, Role::Replication],
        callers: &[Role::Frontend, Role::Replication],
        abroad: &[Role::Frontend],
    },
    Row {
        service: "meridian.blob.v1.Ingest",
        servers: &[Role::Blob],
        callers: &[Role::Replication],
        abroad: &[],
    },
    Row {
        service: "meridian.replication.v1.Regions",
        servers: &[Role::Replication],
        callers: &[Role::Frontend],
        abroad: &[],
    },
    // The agents of different regions among themselves, and nobody else: it gives all that there is.
    Row {
        service: "meridian.replication.v1.Peer",
        servers: &[Role::Replication],
        callers: &[],
        abroad: &[Role::Replication],
    },
    // The members of a region's metadata group among themselves, and nobody else: an entry of the
    // log is believed as it stands.
    Row {
        service: "meridian.raft.v1.Raft",
        servers: &[Role::Metadata],
        callers: &[Role::Metadata],
        abroad: &[],
    },
    Row {
        service: "grpc.health.v1.Health",
        servers: ALL,
        callers: ALL,
        abroad: &[Role::Frontend, Role::Replication],
    },
    Row {
        service: "grpc.reflection.v1.ServerReflection",
        servers: ALL,
        callers: &[Role::Operator],
        abroad: &[],
    },
];

/// Whether one of `callers` may call `service` of a `server`, at a port of that reach.
pub(super) fn may_call(callers: &[Role], server: Role, reach: &Reach, service: &str) -> bool {
    let row = TABLE
        .iter()
        .find(|row| row.service == service && row.servers.contains(&server));
    let may = |row: &Row| match reach {
        Reach::Home => row.callers,
        Reach::Abroad(_) => row.abroad,
    };
    row.is_some_and(|row| may(row).iter().any(|role| callers.contains(role)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reach::Home;
    use Role::{Blob, Frontend, Metadata, Operator, Replication, Webhooks};

    const METADATA: &str = "meridian.metadata.v1.Metadata";
    const REPLICA: &str = "meridian.replication.v1.Replica";
    const WEBHOOKS: &str = "meridian.webhook.v1.Webhooks";
    const BLOB: &str = "meridian.blob.v1.Blob";
    const INGEST: &str = "meridian.blob.v1.Ingest";
    const REGIONS: &str = "meridian.replication.v1.Regions";
    const PEER: &str = "meridian.replication.v1.Peer";
    const RAFT: &str = "meridian.raft.v1.Raft";
    const HEALTH: &str = "grpc.health.v1.Health";
    const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

    const SERVICES: [&str; 8] = [
        METADATA, REPLICA, WEBHOOKS, BLOB, INGEST, REGIONS, PEER, RAFT,
    ];

    /// The table as it is meant at home, pair by pair; what is not here is refused.
    const ALLOWED: &[(Role, Role, &str)] = &[
        (Frontend, Metadata, METADATA),
        (Blob, Metadata, METADATA),
        (Replication, Metadata, METADATA),
        (Webhooks, Metadata, METADATA),
        (Replication, Metadata, REPLICA),
        (Webhooks, Metadata, WEBHOOKS),
        (Frontend, Blob, BLOB),
        (Replication, Blob, BLOB),
        (Frontend, Replication, BLOB),
        (Replication, Replication, BLOB),
        (Replication, Blob, INGEST),
        (Frontend, Replication, REGIONS),
        (Metadata, Metadata, RAFT),
    ];

    /// The same between regions. The blob service itself has no port for them.
    const ALLOWED_ABROAD: &[(Role, Role, &str)] = &[
        (Frontend, Blob, BLOB),
        (Frontend, Replication, BLOB),
        (Replication, Replication, PEER),
    ];

    fn abroad() -> Reach {
        Reach::Abroad(["us".parse().unwrap()].into())
    }

    #[test]
    fn each_pair_of_roles_may_call_what_the_table_says_and_nothing_else() {
        for (reach, table) in [(Home, ALLOWED), (abroad(), ALLOWED_ABROAD)] {
            for (caller, server, service) in pairs() {
                let allowed = table.contains(&(caller, server, service));
                let may = may_call(&[caller], server, &reach, service);
                assert_eq!(
                    may, allowed,
                    "{caller} calls {service} of {server} {reach:?}"
                );
            }
        }
    }

    fn pairs() -> impl Iterator<Item = (Role, Role, &'static str)> {
        let pair = |caller| Role::ALL.into_iter().map(move |server| (caller, server));
        let pairs = Role::ALL.into_iter().flat_map(pair);
        pairs.flat_map(|(caller, server)| SERVICES.map(|service| (caller, server, service)))
    }

    #[test]
    fn health_is_for_all_and_reflection_for_operators() {
        for caller in Role::ALL {
            for server in Role::ALL {
                assert!(may_call(&[caller], server, &Home, HEALTH), "{caller}");
                let may = may_call(&[caller], server, &Home, REFLECTION);
                assert_eq!(may, caller == Operator, "{caller} {server}");
                assert!(!may_call(&[caller], server, &abroad(), REFLECTION));
            }
        }
        assert!(may_call(&[Replication], Replication, &abroad(), HEALTH));
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
                assert!(!may_call(ALL, server, &Home, service), "{service:?}");
            }
        }
        assert!(!may_call(&[], Metadata, &Home, METADATA));
    }

    #[test]
    fn one_of_several_roles_is_enough() {
        assert!(may_call(&[Metadata, Blob], Metadata, &Home, METADATA));
        assert!(!may_call(&[Metadata, Operator], Blob, &Home, BLOB));
    }
}
