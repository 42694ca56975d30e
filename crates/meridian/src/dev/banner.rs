//! What a newcomer reads first.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use meridian_chassis::http::ListenAddress;
use meridian_clock::Region;
use meridian_wan::Profile;

use crate::process::{Places, Tell};
use crate::run::line;
use crate::stdout;

/// Prints what several regions are, when the last of them does its work. Cheap to clone.
#[derive(Clone)]
pub(super) struct Regions {
    /// In the order in which they were named.
    names: Arc<[Region]>,
    wan: Option<Profile>,
    told: Arc<Mutex<BTreeMap<Region, Told>>>,
}

/// What there is to say of a region.
struct Told {
    lines: Vec<String>,
    /// `host:port`, for clients.
    host: Option<String>,
    scheme: &'static str,
}

/// Prints where the registry listens, where its data lie, and how to use it.
pub(super) fn print(places: &Places) {
    stdout::tell(&lines(places));
}

fn lines(places: &Places) -> Vec<String> {
    let scheme = if places.is_tls { "https" } else { "http" };
    let mut lines: Vec<_> = places
        .frontend
        .iter()
        .map(|address| match address {
            ListenAddress::Tcp(address) => format!("meridian listens on {scheme}://{address}/"),
            ListenAddress::Unix(_) => format!("meridian listens on {address}"),
        })
        .collect();
    let data_scheme = if places.is_data_tls { "https" } else { "http" };
    lines.extend(places.data.iter().map(|address| {
        format!("meridian gives blobs to those it has sent to {data_scheme}://{address}/")
    }));
    if let Some(data_dir) = &places.data_dir {
        lines.push(format!("meridian keeps its data in {}", data_dir.display()));
    }
    if !places.management.is_empty() {
        let scheme = if places.is_managed_by_tls {
            "https"
        } else {
            "http"
        };
        lines.push(line("management", scheme, &places.management));
    }
    let Some(address) = places.frontend.iter().find_map(ListenAddress::tcp) else {
        return lines;
    };
    let host = host(address);
    lines.extend([
        String::new(),
        push(&host),
        format!("  pull   docker pull {host}/team/alpine:1"),
        format!("  list   curl {scheme}://{host}/v2/team/alpine/tags/list"),
    ]);
    lines
}

fn push(host: &str) -> String {
    format!(
        "  push   docker pull alpine && docker tag alpine {host}/team/alpine:1 && docker push {host}/team/alpine:1"
    )
}

/// What clients call it. They take `localhost` for a place where plain HTTP is fine.
fn host(address: SocketAddr) -> String {
    let is_localhost = match address.ip() {
        IpAddr::V4(ip) => ip == Ipv4Addr::LOCALHOST,
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
    };
    match is_localhost {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

/// What lies between regions.
fn between(wan: Option<Profile>) -> String {
    match wan {
        Some(profile) => format!(
            "meridian emulates {profile} between each two regions, in both directions: for calls, \
             for content and for events"
        ),
        None => {
            "meridian puts nothing between the regions; `--wan 80ms,20MB/s` puts an ocean there"
                .to_owned()
        }
    }
}

// === impl Regions ===

impl Regions {
    pub(super) fn new(names: impl Iterator<Item = Region>, wan: Option<Profile>) -> Self {
        Self {
            names: names.collect(),
            wan,
            told: Arc::default(),
        }
    }

    /// What one of them calls when it does its work.
    pub(super) fn of(&self, region: Region) -> Tell {
        let regions = self.clone();
        Box::new(move |places| regions.tell(region, places))
    }

    fn tell(&self, region: Region, places: &Places) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(region, Told::of(region, places));
        if told.len() == self.names.len() {
            self.print(&told);
        }
    }

    fn print(&self, told: &BTreeMap<Region, Told>) {
        let all: Vec<_> = self
            .names
            .iter()
            .filter_map(|name| told.get(name))
            .collect();
        let told = all.iter().flat_map(|region| region.lines.iter().cloned());
        let mut lines: Vec<_> = told.chain([between(self.wan)]).collect();
        let hosts: Vec<_> = all.iter().filter_map(|it| it.host.as_ref()).collect();
        if let (Some(first), Some(second)) = (hosts.first(), hosts.get(1)) {
            lines.extend([
                String::new(),
                push(first),
                format!("  pull   docker pull {second}/team/alpine:1"),
            ]);
            if let Some(last) = all.last()
                && let Some(host) = &last.host
            {
                let scheme = last.scheme;
                lines.push(format!(
                    "  list   curl {scheme}://{host}/v2/team/alpine/tags/list"
                ));
            }
        }
        stdout::tell(&lines);
    }
}

// === impl Told ===

impl Told {
    fn of(region: Region, places: &Places) -> Self {
        let scheme = if places.is_tls { "https" } else { "http" };
        let name = format!("region {region}");
        let mut lines = vec![line(&name, scheme, &places.frontend)];
        if !places.data.is_empty() {
            let scheme = if places.is_data_tls { "https" } else { "http" };
            lines.push(line(&format!("{name} data endpoint"), scheme, &places.data));
        }
        if !places.management.is_empty() {
            let scheme = if places.is_managed_by_tls {
                "https"
            } else {
                "http"
            };
            lines.push(line(
                &format!("{name} management"),
                scheme,
                &places.management,
            ));
        }
        if let Some(data_dir) = &places.data_dir {
            lines.push(format!(
                "meridian region {region} keeps its data in {}",
                data_dir.display()
            ));
        }
        let address = places.frontend.iter().find_map(ListenAddress::tcp);
        Self {
            lines,
            host: address.map(host),
            scheme,
        }
    }
}
