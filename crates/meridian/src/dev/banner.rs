//! What a newcomer reads first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meridian_chassis::http::ListenAddress;

use crate::process::Places;
use crate::run::line;

/// Prints where the registry listens, where its data lie, and how to use it.
pub(super) fn print(places: &Places) {
    let scheme = if places.is_tls { "https" } else { "http" };
    for address in &places.frontend {
        match address {
            ListenAddress::Tcp(address) => println!("meridian listens on {scheme}://{address}/"),
            ListenAddress::Unix(_) => println!("meridian listens on {address}"),
        }
    }
    let data_scheme = if places.is_data_tls { "https" } else { "http" };
    for address in &places.data {
        println!("meridian gives blobs to those it has sent to {data_scheme}://{address}/");
    }
    if let Some(data_dir) = &places.data_dir {
        println!("meridian keeps its data in {}", data_dir.display());
    }
    if !places.management.is_empty() {
        let scheme = if places.is_managed_by_tls {
            "https"
        } else {
            "http"
        };
        println!("{}", line("management", scheme, &places.management));
    }
    let Some(address) = places.frontend.iter().find_map(ListenAddress::tcp) else {
        return;
    };
    // Clients take `localhost` for a place where plain HTTP is fine.
    let is_localhost = match address.ip() {
        IpAddr::V4(ip) => ip == Ipv4Addr::LOCALHOST,
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
    };
    let host = if is_localhost {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    println!();
    println!(
        "  push   docker pull alpine && docker tag alpine {host}/team/alpine:1 && docker push {host}/team/alpine:1"
    );
    println!("  pull   docker pull {host}/team/alpine:1");
    println!("  list   curl {scheme}://{host}/v2/team/alpine/tags/list");
}
