//! What a newcomer reads first.

use meridian_chassis::http::ListenAddress;

use crate::process::Places;

/// Prints where the registry listens, where its data lie, and how to use it.
pub(super) fn print(places: &Places) {
    let scheme = if places.is_tls { "https" } else { "http" };
    for address in &places.frontend {
        match address {
            ListenAddress::Tcp(address) => println!("meridian listens on {scheme}://{address}/"),
            ListenAddress::Unix(_) => println!("meridian listens on {address}"),
        }
    }
    if let Some(data_dir) = &places.data_dir {
        println!("meridian keeps its data in {}", data_dir.display());
    }
    let tcp = places.frontend.iter().find_map(|address| match address {
        ListenAddress::Tcp(address) => Some(address),
        ListenAddress::Unix(_) => None,
    });
    let Some(address) = tcp else {
        return;
    };
    // Clients take `localhost` for a place where plain HTTP is fine.
    let host = if address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    println!();
    println!("  push   docker tag alpine {host}/team/alpine:1 && docker push {host}/team/alpine:1");
    println!("  pull   docker pull {host}/team/alpine:1");
    println!("  list   curl {scheme}://{host}/v2/team/alpine/tags/list");
}
