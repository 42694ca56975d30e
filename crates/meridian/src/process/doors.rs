//! Where a process can be reached.
//!
//! Keeps two invariants: all addresses are bound before anything else is touched, so that a port in
//! use is told at once; and none is served that other machines could reach against the settings.

use meridian_chassis::grpc;
use meridian_chassis::http::{ListenAddress, Listener};

use super::Places;
use crate::config::Config;
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// The listeners of a process, by the service that they lead to.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) frontend: Vec<Listener>,
    pub(super) blob: Vec<Listener>,
    pub(super) metadata: Vec<Listener>,
    pub(super) probes: Vec<Listener>,
}

// === impl Doors ===

impl Doors {
    /// Binds what the services of `cast` listen on, and looks at whether they may.
    pub(super) fn bind(config: &Config, cast: &Cast) -> Result<Self, Exit> {
        let (blob, metadata) = (&config.blob, &config.metadata);
        let doors = Self {
            frontend: bind(
                Role::Frontend,
                cast.has(Role::Frontend),
                &config.frontend.listen,
            )?,
            blob: bind(Role::Blob, cast.serves(Role::Blob), &blob.listen)?,
            metadata: bind(
                Role::Metadata,
                cast.serves(Role::Metadata),
                &metadata.listen,
            )?,
            probes: bind_all("admin", &config.admin.listen)?,
        };
        meridian_frontend::check(&doors.frontend, &config.frontend)
            .map_err(|error| Exit::classified(&error))?;
        if config.identity.is_none() {
            grpc::check(&doors.blob, blob.allow_plain_grpc)
                .map_err(|error| Exit::classified(&error))?;
            grpc::check(&doors.metadata, metadata.allow_plain_grpc)
                .map_err(|error| Exit::classified(&error))?;
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
            metadata: addresses(&self.metadata),
            is_tls: false,
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
    bind_all(&format!("--listen, or with {role}"), addresses)
}

fn bind_all(with: &str, addresses: &[ListenAddress]) -> Result<Vec<Listener>, Exit> {
    let bound = addresses.iter().map(|address| {
        Listener::bind(address).map_err(|error| {
            let line = meridian_error::chain(&error);
            Exit::misconfigured(format!(
                "{line}; choose another address with {with}.listen in the settings"
            ))
        })
    });
    bound.collect()
}
