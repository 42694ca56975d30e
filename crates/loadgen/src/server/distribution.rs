//! The CNCF registry: alone, or two of them with a network between.
//!
//! Two of them do not know each other. Either skopeo copies from the near one to the far one, or the far
//! one pulls through: what it does not have it asks of the near one, and keeps. Both cross the network,
//! and nothing else does.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::copier::Copier;
use super::far::Far;
use super::free_addresses;
use super::hooks::{Hooks, PATIENCE};
use super::product::{Layout, Prepared, Programs};
use super::wan::{Place, Wan};
use crate::affinity::Pinning;
use crate::registry::Registry;

/// One of them.
pub(super) fn alone(program: &Path, folder: &Path) -> io::Result<Layout> {
    let doors = free_addresses(1)?;
    let process = registry(program, "distribution", folder, doors[0], None)?;
    Ok(Layout::registry(process, doors))
}

/// One of them, which tells receivers of manifests that are pushed.
pub(super) fn telling(program: &Path, folder: &Path, count: u32) -> io::Result<Layout> {
    let hooks = Hooks::new(count, None)?;
    let mut layout = alone(program, folder)?;
    let file = folder.join("distribution.yml");
    let config = std::fs::read_to_string(&file)? + &notifications(&hooks)?;
    std::fs::write(&file, config)?;
    layout.hooks = Some(hooks);
    Ok(layout)
}

/// As in its documentation, which counts five failures and waits a second; a receiver may take as long as one of ours,
/// and is not told of what no webhook of ours is told of either.
fn notifications(hooks: &Hooks) -> io::Result<String> {
    let mut config = "notifications:\n  endpoints:\n".to_owned();
    for (endpoint, uri) in hooks.doors.uris()?.into_iter().enumerate() {
        let lines = format!(
            "    - name: bench{endpoint}\n      \
               url: {uri}\n      \
               timeout: {PATIENCE}\n      \
               threshold: 5\n      \
               backoff: 1s\n      \
               ignore:\n        \
                 mediatypes: [application/octet-stream]\n        \
                 actions: [pull, mount, delete]\n"
        );
        config.push_str(&lines);
    }
    Ok(config)
}

/// Two, and what copies. It stands at the far place: from there it asks for a manifest and for blobs, where
/// from the near one it would have to open and close uploads over the network.
pub(super) fn copied(
    programs: &Programs,
    folder: &Path,
    pinning: Option<Pinning>,
) -> io::Result<Layout> {
    let [near, far] = two_addresses()?;
    let mut wan = Wan::new();
    let copier = Copier {
        program: programs.skopeo.clone(),
        from: wan.lead(Place::Far, near)?,
        to: far,
        list: folder.join("wanted.yaml"),
        pinning,
    };
    let mut layout = two(&programs.distribution, folder, [near, far], None)?;
    layout.far = Some(Far {
        registry: Registry::at(far),
        stream: None,
        copier: Some(copier),
        agent: None,
        wan: Arc::new(wan),
    });
    Ok(layout)
}

/// Two, of which the far one asks the near one.
pub(super) fn pulled_through(program: &Path, folder: &Path) -> io::Result<Layout> {
    let [near, far] = two_addresses()?;
    let mut wan = Wan::new();
    let origin = wan.lead(Place::Far, near)?;
    let mut layout = two(program, folder, [near, far], Some(origin))?;
    layout.far = Some(Far {
        registry: Registry::at(far),
        stream: None,
        copier: None,
        agent: None,
        wan: Arc::new(wan),
    });
    Ok(layout)
}

fn two_addresses() -> io::Result<[SocketAddr; 2]> {
    let addresses = free_addresses(2)?;
    Ok([addresses[0], addresses[1]])
}

fn two(
    program: &Path,
    folder: &Path,
    [near, far]: [SocketAddr; 2],
    origin: Option<SocketAddr>,
) -> io::Result<Layout> {
    let mut layout = Layout::registry(registry(program, "near", folder, near, None)?, vec![near]);
    let far = registry(program, "far", folder, far, origin)?;
    layout.processes.push(far);
    Ok(layout)
}

/// One process, which pulls through if it is told from where.
fn registry(
    program: &Path,
    name: &str,
    folder: &Path,
    address: SocketAddr,
    origin: Option<SocketAddr>,
) -> io::Result<Prepared> {
    let file = folder.join(format!("{name}.yml"));
    let config = config(&folder.join(name), address, origin);
    std::fs::write(&file, config)?;
    let process = Prepared::new(name, program).args(["serve"]).args([file]);
    Ok(process.env("OTEL_TRACES_EXPORTER", "none"))
}

fn config(data: &Path, address: SocketAddr, origin: Option<SocketAddr>) -> String {
    let data = data.display();
    let proxy = origin.map_or_else(String::new, |origin| {
        format!("proxy:\n  remoteurl: http://{origin}\n")
    });
    format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  \
           cache:\n    blobdescriptor: inmemory\n  \
           delete:\n    enabled: true\n  \
           filesystem:\n    rootdirectory: {data}\n  \
           maintenance:\n    uploadpurging:\n      enabled: false\n  \
           tag:\n    concurrencylimit: 8\n\
         {proxy}\
         http:\n  addr: {address}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_receiver_is_told_of_manifests_and_of_nothing_else() {
        let hooks = Hooks::new(2, None).unwrap();
        let lines = notifications(&hooks).unwrap();
        for uri in hooks.doors.uris().unwrap() {
            assert!(lines.contains(&format!("      url: {uri}\n")), "{lines}");
        }
        assert!(lines.ends_with("        actions: [pull, mount, delete]\n"));
    }

    #[test]
    fn a_configuration_names_its_place_and_allows_deletion() {
        let address = ([127, 0, 0, 1], 7).into();
        let alone = config(Path::new("/x/data"), address, None);
        assert!(alone.contains("    rootdirectory: /x/data\n"));
        assert!(alone.contains("  delete:\n    enabled: true\n"));
        assert!(alone.ends_with("http:\n  addr: 127.0.0.1:7\n"));
        assert!(!alone.contains("proxy"));
        let behind = config(Path::new("/x/data"), address, Some(address));
        assert!(behind.contains("\nproxy:\n  remoteurl: http://127.0.0.1:7\nhttp:"));
    }
}
