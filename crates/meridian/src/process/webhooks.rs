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
        replica: services.replica(others, supervisor),
        metadata: services.metadata(others, supervisor),
        log,
        clock: Arc::new(SystemClock),
    };
    let mut settings: DispatcherConfig = config.webhooks.clone();
    if settings.host.is_empty() {
        settings.host = host(frontends);
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
    // A region with others has the keys that they have, which nobody but an operator can bring there.
    let makes_keys = config.regions.is_empty() || stage.abroad.is_of_one_process();
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

fn host(frontends: &[ListenAddress]) -> String {
    let first = frontends.iter().find_map(ListenAddress::tcp);
    first.map_or_else(
        || "localhost".to_owned(),
        |address| match address.ip().is_loopback() {
            true => format!("localhost:{}", address.port()),
            false => address.to_string(),
        },
    )
}
