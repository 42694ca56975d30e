//! How many connections may be open, in all and from one address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HttpConfig;
use super::listener::Peer;
use super::refusal::Refusal;

/// Counts the connections of one listener.
#[derive(Debug)]
pub(super) struct Admission {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    per_address: u32,
    uncapped: Vec<IpNet>,
}

/// The right of one connection to be open, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _all: OwnedSemaphorePermit,
    _address: Option<AddressPermit>,
}

#[derive(Debug)]
struct AddressPermit {
    by_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    address: IpAddr,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(config: &HttpConfig) -> Self {
        let networks = [&config.uncapped_networks, &config.trusted_proxies];
        Self {
            all: Arc::new(Semaphore::new(config.max_connections as usize)),
            by_address: Arc::default(),
            per_address: config.max_connections_per_address,
            uncapped: networks.into_iter().flatten().copied().collect(),
        }
    }

    pub(super) fn admit(&self, peer: Peer) -> Result<Permit, Refusal> {
        let all = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_none_left| Refusal::Busy)?;
        let address = match peer {
            Peer::Tcp(peer) if !self.is_uncapped(peer.ip()) => Some(self.count(peer.ip())?),
            Peer::Tcp(_) | Peer::Unix => None,
        };
        Ok(Permit {
            _all: all,
            _address: address,
        })
    }

    fn is_uncapped(&self, address: IpAddr) -> bool {
        self.uncapped
            .iter()
            .any(|network| network.contains(&address))
    }

    fn count(&self, address: IpAddr) -> Result<AddressPermit, Refusal> {
        let address = subscriber(address);
        let mut counts = lock(&self.by_address);
        let count = counts.entry(address).or_default();
        if *count >= self.per_address {
            return Err(Refusal::AddressBusy);
        }
        *count += 1;
        Ok(AddressPermit {
            by_address: Arc::clone(&self.by_address),
            address,
        })
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = lock(&self.by_address).entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// One subscriber has one IPv4 address, but a whole IPv6 network of 64 bits.
fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// Counting cannot fail half-way, so poison means nothing here.
fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(&HttpConfig {
            max_connections: 4,
            max_connections_per_address: 2,
            ..HttpConfig::default()
        })
    }

    fn peer(address: &str) -> Peer {
        Peer::Tcp((address.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let admission = admission();
        let first = admission.admit(peer("192.0.2.1")).unwrap();
        let _second = admission.admit(peer("192.0.2.1")).unwrap();
        assert_eq!(
            admission.admit(peer("192.0.2.1")).unwrap_err(),
            Refusal::AddressBusy
        );
        assert!(admission.admit(peer("192.0.2.2")).is_ok());
        drop(first);
        assert!(admission.admit(peer("192.0.2.1")).is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let admission = admission();
        let _one = admission.admit(peer("2001:db8::1")).unwrap();
        let _two = admission.admit(peer("2001:db8::2")).unwrap();
        assert!(admission.admit(peer("2001:db8::3")).is_err());
        assert!(admission.admit(peer("2001:db8:0:1::3")).is_ok());
    }

    #[test]
    fn this_machine_is_capped_only_with_all_others() {
        let admission = admission();
        let permits: Vec<_> = (0..4)
            .map(|_| admission.admit(peer("127.0.0.1")).unwrap())
            .collect();
        assert_eq!(admission.admit(Peer::Unix).unwrap_err(), Refusal::Busy);
        drop(permits);
        assert!(admission.admit(Peer::Unix).is_ok());
        assert!(lock(&admission.by_address).is_empty());
    }
}
