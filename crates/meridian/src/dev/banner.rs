//! What a newcomer reads first.

use std::net::SocketAddr;
use std::path::Path;

/// Prints where the registry listens, where its data lie, and how to use it.
pub(crate) fn print(addresses: &[SocketAddr], is_tls: bool, root: &Path) {
    let scheme = if is_tls { "https" } else { "http" };
    let data = root.display();
    for address in addresses {
        println!("meridian listens on {scheme}://{address}/");
    }
    println!("meridian keeps its data in {data}");
    let Some(address) = addresses.first() else {
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
