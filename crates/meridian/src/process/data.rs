//! The data endpoint, and the links that lead there.
//!
//! Owns what the two ends of a link have in common: the key, and where the endpoint is found. Keeps the
//! invariants that a process which makes links, or follows them, has a key; and that the services of
//! one process need none in the settings. Leaves links to `meridian-clients`, and who is sent where to
//! the frontend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use meridian_blob_service::{BlobService, DataConfig, DataPorts};
use meridian_chassis::Supervisor;
use meridian_chassis::config::Bounds;
use meridian_chassis::http::{ListenAddress, Listener, check_plain};
use meridian_clients::link::{LinkKeys, Links};
use meridian_clock::SystemClock;
use meridian_frontend::{BlobsConfig, DataUrl, LinkMaker};

use super::doors::Doors;
use crate::config::Config;
use crate::exit::Exit;
use crate::role::{Cast, Role};

/// Everything that is wrong with the settings of the endpoint and of links, in words that begin with their
/// keys.
pub(super) fn faults(config: &Config, cast: &Cast) -> Vec<String> {
    let mut lines = Vec::new();
    let DataConfig { listen, tls, .. } = &config.blob.data;
    // Of no concern to a process that shares the file, and has no such endpoint.
    let here = listen.iter().filter(|_| cast.has(Role::Blob));
    let here: Vec<_> = here.filter_map(ListenAddress::tcp).collect();
    if cast.has(Role::Blob) && !listen.is_empty() {
        lines.extend(of_endpoint(&config.blob.data, &here));
    }
    if cast.has(Role::Frontend) {
        let blobs = with_url(config, here.into_iter(), tls.is_some());
        let faults = blobs.faults(config.frontend.allow_plain_http);
        lines.extend(faults.iter().map(|it| format!("frontend.blobs.{it}")));
    }
    let shares = cast.has(Role::Frontend) && cast.has(Role::Blob);
    let key = &config.blob.data.key;
    if needs_key(config, cast)
        && !(key.is_empty() && shares)
        && let Err(error) = key.expose().parse::<LinkKeys>()
    {
        lines.push(format!("blob.data.key: {error}"));
    }
    lines
}

fn of_endpoint(config: &DataConfig, addresses: &[SocketAddr]) -> Vec<String> {
    let mut bounds = Bounds::default();
    let spans = Duration::from_millis(100)..=Duration::from_secs(3_600);
    bounds.span("blob.data.deadline", config.deadline, spans);
    match &config.tls {
        Some(tls) => {
            if let Err(error) = tls.check() {
                bounds.fault(format!("blob.data.tls: {}", meridian_error::chain(&error)));
            }
        }
        None => {
            let addresses = addresses.iter().copied();
            if let Err(error) = check_plain("blob.data", addresses, config.allow_plain_http) {
                bounds.fault(format!("blob.data.listen: {error}"));
            }
        }
    }
    bounds.faults()
}

/// Adds to the settings where the data endpoint of this process was bound.
pub(super) fn settle(config: &mut Config, cast: &Cast, doors: &Doors) {
    if cast.has(Role::Frontend) {
        let bound = doors.data.iter().filter_map(Listener::tcp_address);
        config.frontend.blobs = with_url(config, bound, config.blob.data.tls.is_some());
    }
}

/// How blobs are delivered, if the endpoint of this process has these addresses. Unless somebody says,
/// clients find it at the first, but for one that is every address of the machine, which tells nothing, and
/// one of this machine alone, if clients are elsewhere.
fn with_url(
    config: &Config,
    mut addresses: impl Iterator<Item = SocketAddr>,
    is_secure: bool,
) -> BlobsConfig {
    let is_near = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    let mut clients = config.frontend.listen.iter().filter_map(ListenAddress::tcp);
    let all_near = clients.all(is_near);
    let mut blobs = config.frontend.blobs.clone();
    if blobs.data_url.is_none() {
        let address = addresses.find(|it| !it.ip().is_unspecified() && (all_near || !is_near(*it)));
        blobs.data_url = address.map(|address| DataUrl::at(address, is_secure));
    }
    blobs
}

/// Whether this process makes links, or follows them.
fn needs_key(config: &Config, cast: &Cast) -> bool {
    let makes = cast.has(Role::Frontend) && config.frontend.blobs.links();
    makes || (cast.has(Role::Blob) && !config.blob.data.listen.is_empty())
}

/// What makes links and recognises them, if this process does either. Services that share a process
/// share the key of upload sessions, and so one that follows from it.
pub(super) fn maker(config: &Config, cast: &Cast) -> Result<Option<LinkMaker>, Exit> {
    if !needs_key(config, cast) {
        return Ok(None);
    }
    let key = &config.blob.data.key;
    let keys = match key.is_empty() {
        true => LinkKeys::derived_from(&config.blob.uploads.key),
        false => {
            let keys = key.expose().parse();
            keys.map_err(|error| Exit::misconfigured(format!("blob.data.key: {error}")))?
        }
    };
    Ok(Some(LinkMaker {
        links: Links::new(config.region, keys),
        clock: Arc::new(SystemClock),
    }))
}

/// Serves blobs to those who have a link.
pub(super) fn serve(
    config: &DataConfig,
    listeners: Vec<Listener>,
    blobs: Arc<BlobService>,
    maker: Option<&LinkMaker>,
    supervisor: &Supervisor,
) -> Result<(), Exit> {
    let Some(LinkMaker { links, clock }) = maker.cloned() else {
        return Ok(());
    };
    let ports = DataPorts {
        blobs,
        links,
        clock,
    };
    meridian_blob_service::serve_data(listeners, config.clone(), ports, supervisor)
        .map_err(|error| Exit::classified(&error))
}
