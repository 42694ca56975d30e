//! Which addresses may be called (reliability C6, SSRF).
//!
//! Owns the list of what is nobody's business from a registry: its own machine and network, the network
//! behind the providers of clouds, and what leads there in disguise. A shell resolves a name itself, asks
//! about every address, and connects to one that was admitted; it asks again for each attempt, because names
//! change what they mean. Receivers in the same cluster are the usual case, so an operator may admit networks;
//! only those may be called without encryption.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use meridian_error::{Classify, Code};
use meridian_event::webhook::ServiceUri;
use serde::{Deserialize, Serialize};

/// What an operator admits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Networks that may be called though they are not public, such as those of a cluster's services.
    pub allowed: Vec<IpNet>,
}

/// The guard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    allowed: Vec<IpNet>,
}

/// Why an address may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// It is not public.
    #[error(
        "{0} is not a public address; the operator can admit its network by `webhooks.egress.allowed`"
    )]
    Address(IpAddr),
    /// What is sent there could be read.
    #[error(
        "{0} may only be called by https, unless the operator admits its network by `webhooks.egress.allowed`"
    )]
    Plain(IpAddr),
    /// It is the machine itself, whatever it resolves to.
    #[error("`localhost` is the machine that calls; name the receiver as others do")]
    Localhost,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// What is not public (the registry of special-purpose addresses of IANA, and what is not in it).
const BLOCKED_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),        // "this network"; 0.0.0.0 connects to the machine itself
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // shared by carriers, and by clouds for their own
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // Azure's host, from any of its machines
    v4(169, 254, 0, 0, 16),   // link-local; metadata of most clouds
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments; metadata of Oracle's
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 88, 99, 0, 24),   // relays of 6to4
    v4(192, 168, 0, 0, 16),   // private
    v4(198, 18, 0, 0, 15),    // benchmarks
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved, and broadcast
];

/// All that is public is in here; loopback, NAT64, unique local, link-local, discard, segment routing, multicast and what
/// embeds an older address are outside.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is not public within it.
const BLOCKED_V6: &[Ipv6Net] = &[
    v6(0x2001, 0, 0, 23),     // protocol assignments: Teredo, ORCHID, benchmarks
    v6(0x2001, 0xdb8, 0, 32), // documentation
    v6(0x2002, 0, 0, 16),     // 6to4: embeds an older address
    v6(0x3fff, 0, 0, 20),     // documentation
];

// === impl Egress ===

impl Egress {
    /// The guard of these settings.
    #[must_use]
    pub fn new(config: EgressConfig) -> Self {
        Self {
            allowed: config.allowed,
        }
    }

    /// Whether an address may be called.
    ///
    /// # Errors
    ///
    /// If it may not.
    pub fn check(&self, address: IpAddr, is_encrypted: bool) -> Result<(), Blocked> {
        // `::ffff:127.0.0.1` connects to 127.0.0.1.
        let address = address.to_canonical();
        if self.allowed.iter().any(|net| net.contains(&address)) {
            Ok(())
        } else if !is_public(address) {
            Err(Blocked::Address(address))
        } else if !is_encrypted {
            Err(Blocked::Plain(address))
        } else {
            Ok(())
        }
    }

    /// Whether a webhook may be created for this receiver: as much as can be said of it before its name is
    /// resolved.
    ///
    /// # Errors
    ///
    /// If it could never be called.
    pub fn check_uri(&self, uri: &ServiceUri) -> Result<(), Blocked> {
        if let Some(address) = uri.address() {
            return self.check(address, uri.is_encrypted());
        }
        let name = uri.domain().unwrap_or_default().trim_end_matches('.');
        let is_local = name == "localhost" || name.ends_with(".localhost");
        let loopback = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        let is_admitted = loopback
            .iter()
            .any(|it| self.check(*it, uri.is_encrypted()).is_ok());
        if is_local && !is_admitted {
            Err(Blocked::Localhost)
        } else {
            Ok(())
        }
    }
}

impl Classify for Blocked {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => !BLOCKED_V4.iter().any(|net| net.contains(&it)),
        IpAddr::V6(it) => {
            GLOBAL_V6.contains(&it) && !BLOCKED_V6.iter().any(|net| net.contains(&it))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, allowed: &[&str]) -> Result<(), Blocked> {
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        Egress::new(EgressConfig { allowed }).check(address.parse().unwrap(), true)
    }

    #[test]
    fn both_ends_of_each_network_are_blocked_and_what_is_beside_them_is_not() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("168.63.129.16", "168.63.129.16"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let ends = [first, last].map(|it| u32::from(it.parse::<Ipv4Addr>().unwrap()));
            for end in ends.map(Ipv4Addr::from) {
                assert!(check(&end.to_string(), &[]).is_err(), "{end}");
                let mapped = end.to_ipv6_mapped().to_string();
                assert!(check(&mapped, &[]).is_err(), "{mapped}");
            }
            let beside = [ends[0].checked_sub(1), ends[1].checked_add(1)];
            for address in beside.into_iter().flatten().map(Ipv4Addr::from) {
                assert_eq!(check(&address.to_string(), &[]), Ok(()), "{address}");
            }
        }
    }

    #[test]
    fn only_global_addresses_of_ipv6_are_called() {
        for address in [
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(check(address, &[]).is_err(), "{address}");
        }
        for address in [
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3fff:1000::1",
        ] {
            assert_eq!(check(address, &[]), Ok(()), "{address}");
        }
    }

    #[test]
    fn an_operator_admits_networks_and_nothing_beside_them() {
        let allowed = ["10.96.0.0/12", "fd00::/8"];
        assert_eq!(check("10.96.0.1", &allowed), Ok(()));
        assert_eq!(check("::ffff:10.96.0.1", &allowed), Ok(()));
        assert_eq!(check("fd00::1", &allowed), Ok(()));
        let blocked = Blocked::Address("10.112.0.1".parse().unwrap());
        assert_eq!(check("::ffff:10.112.0.1", &allowed), Err(blocked));
        assert!(check("169.254.169.254", &allowed).is_err());
    }

    #[test]
    fn only_admitted_networks_are_called_without_encryption() {
        let allowed = vec!["10.0.0.0/8".parse().unwrap()];
        let egress = Egress::new(EgressConfig { allowed });
        let check = |uri: &str| egress.check_uri(&uri.parse().unwrap());
        let public = "8.8.8.8".parse().unwrap();
        assert_eq!(check("http://8.8.8.8/"), Err(Blocked::Plain(public)));
        assert_eq!(check("https://8.8.8.8/"), Ok(()));
        assert_eq!(check("http://10.1.2.3/"), Ok(()));
    }

    /// Reliability W65: refused when a webhook is created, in each disguise.
    #[test]
    fn receivers_that_could_never_be_called_are_refused_at_once() {
        let egress = Egress::default();
        let check = |uri: &str| egress.check_uri(&uri.parse().unwrap());
        for host in [
            "169.254.169.254",
            "[fd00:ec2::254]",
            "127.1",
            "0.0.0.0",
            "0",
            "2130706433",
            "0x7f.1",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
        ] {
            assert!(check(&format!("https://{host}/")).is_err(), "{host}");
        }
        assert_eq!(check("https://user@hooks.example/"), Ok(()));
        let allowed = vec!["127.0.0.0/8".parse().unwrap()];
        let egress = Egress::new(EgressConfig { allowed });
        assert_eq!(
            egress.check_uri(&"http://localhost:8080".parse().unwrap()),
            Ok(())
        );
    }
}
