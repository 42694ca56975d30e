//! The dispatcher of webhooks of this process, on what it stands on.

use std::sync::Arc;

use meridian_chassis::Supervisor;
use meridian_chassis::http::ListenAddress;
use meridian_clock::SystemClock;
use meridian_webhook_dispatcher::{Config as DispatcherConfig, Controls, Ports};

use super::directory::Directory;
use super::services::Services;
use super::stage::Stage;
use crate::config::Config;
use crate::events;
use crate::exit::Exit;

/// Starts the dispatcher. Clients call the registry by the first of these addresses, if the settings do not say.
pub(super) async fn start(
    stage: Stage<'_>,
    config: &Config,
    services: &Services,
    directory: &Directory,
    frontends: &[ListenAddress],
    supervisor: &mut Supervisor,
) -> Result<Controls, Exit> {
    let others = &stage.peers.others;
    let log = match &services.events {
        Some(here) => Arc::clone(here),
        None => events::of_here(config).await?,
    };
    let ports = Ports {
        webhooks: services.webhooks(others, supervisor),
        metadata: services.metadata(others, supervisor),
        log,
        clock: Arc::new(SystemClock),
    };
    let mut settings: DispatcherConfig = config.webhooks.clone();
    if settings.host.is_empty() {
        settings.host = host(frontends)?;
    }
    let allowed = &settings.egress.allowed;
    if !allowed.is_empty() {
        let networks: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        tracing::info!(
            networks = networks.join(", "),
            "webhooks may call receivers in networks that are not public"
        );
    }
    let key_file = directory.file(&settings.key_file);
    // Whoever is not alone needs the keys that the others have, which nobody but an operator can bring there.
    let is_alone = config.regions.is_empty() || stage.abroad.is_of_one_process();
    let makes_keys = is_alone && stage.cast.is_alone();
    if !makes_keys && !key_file.exists() {
        return Err(Exit::misconfigured(format!(
            "webhooks.key_file: {} is not there; make it once with `openssl rand -hex 32`, and give the same to each dispatcher of each region",
            key_file.display()
        )));
    }
    let started = meridian_webhook_dispatcher::start(
        config.region,
        settings,
        &key_file,
        makes_keys,
        ports,
        supervisor,
    );
    started.map_err(|error| Exit::classified(&error))
}

/// The host of images in messages, if nobody gave it.
fn host(frontends: &[ListenAddress]) -> Result<String, Exit> {
    let first = frontends.iter().find_map(ListenAddress::tcp);
    let Some(address) = first else {
        if !frontends.is_empty() {
            return Ok("localhost".to_owned());
        }
        return Err(Exit::misconfigured(
            "webhooks.host: set it to the name, and the port unless it is 443, by which clients know this region's registry; receivers are told images by it",
        ));
    };
    let (ip, port) = (address.ip(), address.port());
    if ip.is_unspecified() {
        tracing::warn!(
            port,
            "webhooks tell of images at `localhost`: set webhooks.host to the name by which clients know this registry"
        );
    }
    Ok(match ip.is_loopback() || ip.is_unspecified() {
        true => format!("localhost:{port}"),
        false => address.to_string(),
    })
}
