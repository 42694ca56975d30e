//! Several regions in one process.
//!
//! Owns what makes one set of settings several: names, ports, directories, and the network between the
//! regions. Keeps the invariant that whatever two regions say to each other crosses that network, events
//! included, so that what is slow between continents is slow here. Leaves each region to
//! [`process`](crate::process), which does not know that there are others beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use meridian_chassis::http::{ListenAddress, Listener};
use meridian_clock::Region;
use meridian_eventlog::EventLog;
use meridian_wan::Mesh;

use super::banner::Regions;
use super::distant::{Distant, Path};
use super::layout;
use crate::cli::Dev;
use crate::config::{Config, Endpoints, RegionConfig};
use crate::exit::Exit;
use crate::process::{self, Abroad, Installation, Shelf};
use crate::role::Cast;
use crate::stdout;

/// As many as `--regions` may name.
const MOST: usize = 8;

/// A region before it is started.
struct Plan {
    config: Config,
    /// Where the others reach it.
    door: Listener,
    address: SocketAddr,
    log: Shelf,
}

/// Serves all of them until it is asked to stop.
pub(super) async fn run(config: Config, options: &Dev) -> Result<(), Exit> {
    let names = &options.regions;
    check(names)?;
    let configs = names
        .iter()
        .enumerate()
        .map(|(number, name)| of(&config, *name, number));
    let configs: Vec<_> = configs.collect::<Result<_, _>>()?;
    if options.print_config {
        return configs.iter().try_for_each(|config| {
            stdout::line(format_args!("# --- region {} ---", config.region))?;
            config.print()
        });
    }
    if let Some(root) = &config.data_dir {
        layout::check_several(root)?;
    }
    let plans = configs
        .into_iter()
        .map(Plan::of)
        .collect::<Result<Vec<_>, _>>()?;
    let names = names.iter().map(Region::as_str);
    let mut mesh = options
        .wan
        .map(|profile| Mesh::new(names, profile, rand::random::<u32>().into()));
    let banner = Regions::new(plans.iter().map(|plan| plan.config.region), options.wan);
    let installations = install(plans, mesh.as_mut(), &banner)?;
    process::serve_all(installations).await
}

fn check(names: &[Region]) -> Result<(), Exit> {
    let different: BTreeSet<_> = names.iter().collect();
    if different.len() < names.len() {
        return Err(Exit::misconfigured("--regions names a region twice"));
    }
    if !(2..=MOST).contains(&names.len()) {
        return Err(Exit::misconfigured(format!(
            "--regions names {} of them; name 2 to {MOST}, such as eu,us,asia",
            names.len()
        )));
    }
    Ok(())
}

/// The settings of one of them: the first as they are, the others beside it.
fn of(common: &Config, name: Region, number: usize) -> Result<Config, Exit> {
    let mut config = common.clone();
    config.region = name;
    config.data_dir = common
        .data_dir
        .as_ref()
        .map(|root| root.join(name.as_str()));
    config.replication.spool_dir = PathBuf::from("replication");
    // What one of them sealed, the others are to open.
    if let Some(root) = &common.data_dir {
        let file = root.join(&common.webhooks.key_file);
        config.webhooks.key_file = std::path::absolute(&file).unwrap_or(file);
    }
    let listens = [
        ("frontend.listen", &mut config.frontend.listen),
        ("blob.data.listen", &mut config.blob.data.listen),
        ("admin.listen", &mut config.admin.listen),
        ("management.listen", &mut config.management.listen),
    ];
    for (key, addresses) in listens {
        for address in addresses {
            *address = beside(key, address, number)?;
        }
    }
    #[cfg(feature = "s3")]
    config.blobs.s3.prefix.push_str(&format!("{name}/"));
    #[cfg(feature = "redis")]
    config.cache.redis.prefix.push_str(&format!("{name}:"));
    Ok(config)
}

/// The port that follows by so many, unless any will do.
fn beside(key: &str, address: &ListenAddress, number: usize) -> Result<ListenAddress, Exit> {
    let refused = |why: &str| {
        let line = format!("{key}: {address} cannot be that of several regions: {why}");
        Exit::misconfigured(line)
    };
    let ListenAddress::Tcp(first) = address else {
        return Err(refused("name a port; the others take those that follow"));
    };
    let mut next = *first;
    if first.port() != 0 {
        let port = u16::try_from(number).ok();
        let port = port.and_then(|number| first.port().checked_add(number));
        next.set_port(port.ok_or_else(|| refused("no port follows it"))?);
    }
    Ok(ListenAddress::Tcp(next))
}

/// Tells each of them of the others.
fn install(
    plans: Vec<Plan>,
    mut mesh: Option<&mut Mesh>,
    banner: &Regions,
) -> Result<Vec<Installation>, Exit> {
    let places: Vec<_> = plans.iter().map(Plan::place).collect();
    let mut installations = Vec::new();
    for plan in plans {
        let (mut regions, mut logs) = (BTreeMap::new(), BTreeMap::new());
        let own = plan.config.region;
        for (other, address, log) in places.iter().filter(|(other, ..)| *other != own) {
            let (address, log) = match mesh.as_deref_mut() {
                Some(mesh) => over(mesh, own, *other, *address, log)?,
                None => (*address, Distant::new(log.clone(), None)),
            };
            let region = RegionConfig {
                endpoints: Endpoints::One(format!("http://{address}")),
                ..RegionConfig::default()
            };
            regions.insert(*other, region);
            logs.insert(*other, Arc::new(log) as Arc<dyn EventLog>);
        }
        installations.push(plan.installed(regions, logs, banner));
    }
    Ok(installations)
}

/// What one region has of another: an address that leads there over the network, and its event log, as
/// far away.
fn over(
    mesh: &mut Mesh,
    from: Region,
    to: Region,
    server: SocketAddr,
    log: &Shelf,
) -> Result<(SocketAddr, Distant), Exit> {
    let (from, to) = (from.as_str(), to.as_str());
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let link = mesh.link(from, to, anywhere, server);
    let address = link.map_err(|error| Exit::failed(&error))?.address();
    let lane = |from, to| {
        mesh.lane(from, to)
            .cloned()
            .map_err(|error| Exit::failed(&error))
    };
    let path = Path {
        there: lane(from, to)?,
        back: lane(to, from)?,
    };
    Ok((address, Distant::new(log.clone(), Some(path))))
}

// === impl Plan ===

impl Plan {
    fn of(config: Config) -> Result<Self, Exit> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let door = Listener::bind(&ListenAddress::Tcp(anywhere));
        let door = door.map_err(|error| Exit::classified(&error))?;
        Ok(Self {
            config,
            address: door.tcp_address().unwrap_or(anywhere),
            door,
            log: Shelf::default(),
        })
    }

    fn place(&self) -> (Region, SocketAddr, Shelf) {
        (self.config.region, self.address, self.log.clone())
    }

    fn installed(
        mut self,
        regions: BTreeMap<Region, RegionConfig>,
        logs: BTreeMap<Region, Arc<dyn EventLog>>,
        banner: &Regions,
    ) -> Installation {
        self.config.regions = regions;
        let tell = banner.of(self.config.region);
        Installation {
            config: self.config,
            cast: Cast::whole_among_others(),
            abroad: Abroad {
                peers: vec![self.door],
                logs,
                own: self.log,
            },
            tell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(names: &[&str]) -> Vec<Region> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn regions_are_several_and_differ() {
        assert!(check(&regions(&["eu", "us"])).is_ok());
        for names in [&["eu"][..], &["eu", "us", "eu"], &["eu"; 9]] {
            assert!(check(&regions(names)).is_err(), "{names:?}");
        }
    }

    #[test]
    fn each_region_has_ports_and_a_directory_of_its_own() {
        let mut common = Config {
            data_dir: Some("/data".into()),
            ..Config::default()
        };
        common.admin.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let second = of(&common, "us".parse().unwrap(), 1).unwrap();
        assert_eq!(second.data_dir, Some("/data/us".into()));
        assert_eq!(second.frontend.listen[0].to_string(), "127.0.0.1:5001");
        assert_eq!(second.admin.listen[0].to_string(), "127.0.0.1:0");
        common.admin.listen = vec!["unix:/run/admin".parse().unwrap()];
        assert!(of(&common, "us".parse().unwrap(), 1).is_err());
        common.admin.listen = vec!["127.0.0.1:65535".parse().unwrap()];
        assert!(of(&common, "us".parse().unwrap(), 1).is_err());
    }
}
