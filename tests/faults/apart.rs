//! That regions are apart: what the rows of two regions rest on.
//!
//! Asked by a process in the network of a region, of every address that anything listens at in the other
//! one, and on this machine.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use harness::{Namespace, REGIONS, World};

use crate::world::WAN;

/// How long an attempt to connect may take. On loopback there is an answer at once.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, in a network of its own: cargo xtask faults"]
async fn nothing_leads_from_one_region_to_another_but_what_lies_between() {
    let world = World::start(World::plans(), WAN);
    let machine = TcpListener::bind("127.0.0.1:0").unwrap();
    let machine = machine.local_addr().unwrap().to_string();
    for here in 0..REGIONS {
        let there = 1 - here;
        let inside = world.regions[here].plan.namespace.as_ref().unwrap();
        assert_eq!(interfaces(inside), ["lo"], "of region {here}");
        for address in world.addresses(here) {
            assert!(connects(inside, &address), "region {here} has {address}");
        }
        for address in world.addresses(there) {
            let leads = connects(inside, &address);
            assert!(!leads, "region {here} reaches {address} of region {there}");
        }
        assert!(!connects(inside, &machine), "region {here} gets out");
        // Its agent has a way there all the same, which is a link.
        assert!(connects(inside, &world.regions[here].spare()));
    }
}

/// Whether a connection is accepted that is asked for in there.
fn connects(inside: &Namespace, address: &str) -> bool {
    let address: SocketAddr = address.parse().unwrap();
    inside.within(|| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}

/// The interfaces that a process in there sees.
fn interfaces(inside: &Namespace) -> Vec<String> {
    let [program, network] = inside.entrance();
    let listed = Command::new(program)
        .args([network.as_str(), "cat", "/proc/net/dev"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names = listed.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}
