//! A network of its own for each member, so that it can be cut.
//!
//! A bridge on this machine, and a namespace for each node with one end of a pair of interfaces. What
//! runs on the machine itself reaches all nodes, and is a node too: the last one. Needs root.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Subnets that this process has used.
static USED: AtomicU32 = AtomicU32::new(0);

/// Namespaces that can be cut from each other. They are gone when it is dropped.
pub struct Network {
    id: u32,
    subnet: u32,
    nodes: usize,
}

// === impl Network ===

impl Network {
    /// So many nodes, all of which reach each other.
    pub fn new(nodes: usize) -> Self {
        let id = std::process::id() % 100_000;
        let subnet = (id + USED.fetch_add(1, Ordering::Relaxed)) % 250;
        let network = Self { id, subnet, nodes };
        let bridge = network.bridge();
        ip(&format!("link add {bridge} type bridge"));
        ip(&format!("addr add {}/24 dev {bridge}", network.machine()));
        ip(&format!("link set {bridge} up"));
        for node in 0..nodes {
            network.add(node);
        }
        network
    }

    fn add(&self, node: usize) {
        let (name, bridge, address) = (self.name(node), self.bridge(), self.address(node));
        let (outer, inner) = (self.link('o', node), self.link('i', node));
        ip(&format!("netns add {name}"));
        ip(&format!(
            "link add {outer} type veth peer name {inner} netns {name}"
        ));
        ip(&format!("link set {outer} master {bridge} up"));
        ip(&format!("-n {name} addr add {address}/24 dev {inner}"));
        ip(&format!("-n {name} link set {inner} up"));
        ip(&format!("-n {name} link set lo up"));
    }

    fn bridge(&self) -> String {
        format!("mb{}-{}", self.id, self.subnet)
    }

    fn link(&self, end: char, node: usize) -> String {
        format!("m{end}{}-{}{node}", self.id, self.subnet)
    }

    /// The namespace of a node.
    pub fn name(&self, node: usize) -> String {
        format!("meridian-{}-{}-{node}", self.id, self.subnet)
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> String {
        format!("10.77.{}.{}", self.subnet, node + 1)
    }

    /// The address of this machine, as nodes see it.
    fn machine(&self) -> String {
        format!("10.77.{}.254", self.subnet)
    }

    /// Nothing passes between two nodes.
    pub fn cut(&self, one: usize, other: usize) {
        self.mute(one, other);
        self.mute(other, one);
    }

    /// Nothing passes from one node to another; what comes back does.
    pub fn mute(&self, from: usize, to: usize) {
        self.firewall(from, &format!("-A OUTPUT -d {} -j DROP", self.address(to)));
    }

    /// A node is cut from all other nodes, not from this machine.
    pub fn isolate(&self, node: usize) {
        for other in (0..self.nodes).filter(|other| *other != node) {
            self.cut(node, other);
        }
    }

    /// Everything passes again.
    pub fn heal(&self) {
        for node in 0..self.nodes {
            self.firewall(node, "-F");
        }
    }

    fn firewall(&self, node: usize, rule: &str) {
        ip(&format!(
            "netns exec {} iptables -w {rule}",
            self.name(node)
        ));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            drop(try_ip(&format!("netns del {}", self.name(node))));
        }
        drop(try_ip(&format!("link del {}", self.bridge())));
    }
}

fn try_ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn ip(arguments: &str) {
    if let Err(why) = try_ip(arguments) {
        panic!("ip {arguments}: {why}");
    }
}
