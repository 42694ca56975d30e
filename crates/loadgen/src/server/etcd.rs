//! Three members of etcd on this machine, with the durability that it has by default.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::free_addresses;
use super::product::{Group, Layout, Prepared};

const MEMBERS: usize = 3;

pub(super) fn members(program: &Path, folder: &Path) -> io::Result<Layout> {
    let addresses = free_addresses(2 * MEMBERS)?;
    let (clients, peers) = addresses.split_at(MEMBERS);
    let cluster = cluster(peers);
    let member = |number: usize| {
        let (client, peer) = (url(clients[number]), url(peers[number]));
        let name = name(number);
        Prepared::new(format!("etcd-{number}"), program)
            .args(["--name", &name, "--data-dir"])
            .args([folder.join(&name)])
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster])
            .args(["--initial-cluster-state", "new"])
            .args(["--logger", "zap", "--log-level", "error"])
    };
    Ok(Layout {
        processes: (0..MEMBERS).map(member).collect(),
        group: Some(Group::Etcd {
            members: clients.to_vec(),
        }),
        ..Layout::default()
    })
}

fn cluster(peers: &[SocketAddr]) -> String {
    let named = peers.iter().enumerate();
    let named = named.map(|(number, peer)| format!("{}={}", name(number), url(*peer)));
    named.collect::<Vec<_>>().join(",")
}

fn name(number: usize) -> String {
    format!("member-{number}")
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_the_list_of_its_members() {
        let peers = [1, 2].map(|port| ([127, 0, 0, 1], port).into());
        assert_eq!(
            cluster(&peers),
            "member-0=http://127.0.0.1:1,member-1=http://127.0.0.1:2"
        );
    }
}
