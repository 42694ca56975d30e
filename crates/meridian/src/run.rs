//! Some services in a process of their own.

use meridian_chassis::http::ListenAddress;

use crate::cli::Run;
use crate::config;
use crate::exit::Exit;
use crate::process::{self, Places};
use crate::role::{Cast, Role};
use crate::stdout;

/// Serves until it is asked to stop.
pub(crate) async fn run(options: Run) -> Result<(), Exit> {
    let cast = Cast::of(&options.roles);
    let config = config::of_run(&options, &cast)?;
    if options.print_config {
        return config.print();
    }
    process::serve(config, cast, tell).await
}

/// One line for each service: what it is, and where it is found.
fn tell(places: &Places) {
    let mut lines = Vec::new();
    let scheme = |is_tls| if is_tls { "https" } else { "http" };
    let (internal, frontend) = (scheme(places.is_mutual), scheme(places.is_tls));
    for (role, scheme, addresses) in [
        (Role::Metadata, internal, &places.metadata),
        (Role::Blob, internal, &places.blob),
        (Role::Replication, internal, &places.replication),
        (Role::Frontend, frontend, &places.frontend),
    ] {
        if !addresses.is_empty() {
            lines.push(line(role.name(), scheme, addresses));
        }
    }
    if let Some(address) = &places.webhooks {
        let address = std::slice::from_ref(address);
        lines.push(line("webhooks", internal, address));
    }
    if !places.peers.is_empty() {
        let name = "replication, for other regions,";
        lines.push(line(name, internal, &places.peers));
    }
    if !places.data.is_empty() {
        let scheme = scheme(places.is_data_tls);
        lines.push(line("data endpoint", scheme, &places.data));
    }
    if !places.management.is_empty() {
        let scheme = scheme(places.is_managed_by_tls);
        lines.push(line("management", scheme, &places.management));
    }
    stdout::tell(&lines);
}

/// The addresses as the settings of those who call would name them.
pub(crate) fn line(name: &str, scheme: &str, addresses: &[ListenAddress]) -> String {
    let endpoints = addresses.iter().map(|address| match address {
        ListenAddress::Tcp(address) => format!("{scheme}://{address}"),
        ListenAddress::Unix(_) => address.to_string(),
    });
    let endpoints: Vec<_> = endpoints.collect();
    format!("meridian {name} listens on {}", endpoints.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_role_and_every_address_as_an_endpoint() {
        let addresses = ["127.0.0.1:7401", "unix:/run/metadata.sock"];
        let addresses = addresses.map(|address| address.parse().unwrap());
        assert_eq!(
            line("metadata", "http", &addresses),
            "meridian metadata listens on http://127.0.0.1:7401 and unix:/run/metadata.sock"
        );
    }
}
