//! Where a process can be reached.
//!
//! Keeps two invariants: all addresses are bound before anything else is touched, so that a port in
//! use is told at once; and none is served that other machines could reach against the settings.

use meridian_chassis::http::{ListenAddress, Listener};
use meridian_chassis::{grpc, identity};

use super::Places;
use crate::config::Config;
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// The listeners of a process, by the service that they lead to.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) frontend: Vec<Listener>,
    pub(super) blob: Vec<Listener>,
    pub(super) data: Vec<Listener>,
    pub(super) metadata: Vec<Listener>,
    pub(super) replication: Vec<Listener>,
    /// Where other regions call.
    pub(super) peers: Vec<Listener>,
    pub(super) probes: Vec<Listener>,
    pub(super) management: Vec<Listener>,
}

// === impl Doors ===

impl Doors {
    /// Binds what the services of `cast` listen on, and looks at whether they may. What is for other
    /// regions may be bound already.
    pub(super) fn bind(config: &Config, cast: &Cast, peers: Vec<Listener>) -> Result<Self, Exit> {
        let (blob, metadata) = (&config.blob, &config.metadata);
        let replication = &config.replication;
        let doors = Self {
            frontend: bind(
                Role::Frontend,
                cast.has(Role::Frontend),
                &config.frontend.listen,
            )?,
            blob: bind(Role::Blob, cast.serves(Role::Blob), &blob.listen)?,
            data: match cast.has(Role::Blob) {
                true => bind_all("blob.data.listen", &blob.data.listen)?,
                false => Vec::new(),
            },
            metadata: bind(
                Role::Metadata,
                cast.serves(Role::Metadata),
                &metadata.listen,
            )?,
            replication: bind(
                Role::Replication,
                cast.serves(Role::Replication),
                &replication.listen,
            )?,
            peers: match cast.has(Role::Replication) && peers.is_empty() {
                true => bind_peers(&replication.peer_listen)?,
                false => peers,
            },
            probes: bind_all("admin.listen", &config.admin.listen)?,
            management: bind_all("management.listen", &config.management.listen)?,
        };
        meridian_frontend::check(&doors.frontend, &config.frontend)
            .map_err(|error| Exit::classified(&error))?;
        meridian_blob_service::check_data(&doors.data, &blob.data)
            .map_err(|error| Exit::misconfigured(format!("blob.data: {error}")))?;
        if config.identity.is_none() {
            for (role, listeners, is_allowed) in [
                (identity::Role::Blob, &doors.blob, blob.allow_plain_grpc),
                (
                    identity::Role::Metadata,
                    &doors.metadata,
                    metadata.allow_plain_grpc,
                ),
                (
                    identity::Role::Replication,
                    &doors.replication,
                    replication.allow_plain_grpc,
                ),
                (
                    identity::Role::Replication,
                    &doors.peers,
                    replication.allow_plain_grpc,
                ),
            ] {
                grpc::check(role, listeners, is_allowed)
                    .map_err(|error| Exit::classified(&error))?;
            }
        }
        Ok(doors)
    }

    /// Where they are, with the ports that were bound.
    pub(super) fn places(&self) -> Places {
        let addresses =
            |listeners: &[Listener]| listeners.iter().filter_map(Listener::address).collect();
        Places {
            frontend: addresses(&self.frontend),
            blob: addresses(&self.blob),
            data: addresses(&self.data),
            metadata: addresses(&self.metadata),
            replication: addresses(&self.replication),
            peers: addresses(&self.peers),
            webhooks: None,
            management: addresses(&self.management),
            is_managed_by_tls: false,
            is_tls: false,
            is_data_tls: false,
            is_mutual: false,
            data_dir: None,
        }
    }
}

fn bind(role: Role, serves: bool, addresses: &[ListenAddress]) -> Result<Vec<Listener>, Exit> {
    if !serves {
        return Ok(Vec::new());
    }
    if addresses.is_empty() {
        let line = format!("{role}.listen: empty; name an address to listen on");
        return Err(Exit::misconfigured(line));
    }
    bind_all(&format!("--listen, or with {role}.listen"), addresses)
}

/// Binds what other regions call.
fn bind_peers(addresses: &[ListenAddress]) -> Result<Vec<Listener>, Exit> {
    if addresses.is_empty() {
        let line = "replication.peer_listen: empty; name an address at which other regions call";
        return Err(Exit::misconfigured(line));
    }
    bind_all("replication.peer_listen", addresses)
}

fn bind_all(with: &str, addresses: &[ListenAddress]) -> Result<Vec<Listener>, Exit> {
    let bound = addresses.iter().map(|address| {
        Listener::bind(address).map_err(|error| {
            let line = meridian_error::chain(&error);
            Exit::misconfigured(format!(
                "{line}; choose another address with {with} in the settings"
            ))
        })
    });
    bound.collect()
}
