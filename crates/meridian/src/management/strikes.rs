//! Who has shown too many tokens that are none.
//!
//! Keeps two invariants: how much is remembered has a bound that no client can move, and whoever is
//! remembered is one address. Whoever shows a token that is one is let in all the same.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many failures are a mistake; more are not.
const ALLOWED: u32 = 10;
/// For how long they are remembered.
const WINDOW: Duration = Duration::from_secs(60);
/// Of so many addresses at once. The one that began first is forgotten for another.
const MOST: usize = 1024;

/// The failures of a while, by address.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    table: Mutex<HashMap<IpAddr, Strike>>,
}

#[derive(Debug, Clone, Copy)]
struct Strike {
    since: Instant,
    count: u32,
}

// === impl Strikes ===

impl Strikes {
    /// How long an address has to wait before it is listened to.
    pub(super) fn barred(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let strike = table.get(&place(address))?;
        let left = WINDOW.checked_sub(now.duration_since(strike.since))?;
        (strike.count >= ALLOWED).then_some(left)
    }

    /// Takes note of a failure.
    pub(super) fn note(&self, address: IpAddr, now: Instant) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(address);
        if !table.contains_key(&place) && table.len() >= MOST {
            table.retain(|_, strike| now.duration_since(strike.since) < WINDOW);
            if table.len() >= MOST
                && let Some(oldest) = table.iter().min_by_key(|(_, strike)| strike.since)
            {
                let oldest = *oldest.0;
                table.remove(&oldest);
            }
        }
        let fresh = Strike {
            since: now,
            count: 0,
        };
        let strike = table.entry(place).or_insert(fresh);
        if now.duration_since(strike.since) >= WINDOW {
            *strike = fresh;
        }
        strike.count = strike.count.saturating_add(1);
    }
}

/// Whoever has an IPv6 address has its whole network of 64 bits.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(number))
    }

    #[test]
    fn one_address_waits_and_another_does_not() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        for _ in 0..ALLOWED {
            assert_eq!(strikes.barred(address(1), now), None);
            strikes.note(address(1), now);
        }
        assert_eq!(strikes.barred(address(1), now), Some(WINDOW));
        assert_eq!(strikes.barred(address(2), now), None);
        let later = now + WINDOW + Duration::from_millis(1);
        assert_eq!(strikes.barred(address(1), later), None);
        strikes.note(address(1), later);
        assert_eq!(strikes.barred(address(1), later), None, "it begins anew");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        let host = |number: u16| -> IpAddr { format!("2001:db8::{number:x}").parse().unwrap() };
        for number in 0..10 {
            strikes.note(host(number), now);
        }
        assert!(strikes.barred(host(77), now).is_some());
        assert_eq!(
            strikes.barred("2001:db8:0:1::1".parse().unwrap(), now),
            None
        );
    }

    #[test]
    fn the_table_has_a_bound_and_forgets_who_began_first() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        for number in 0..5_000 {
            strikes.note(address(number), now + Duration::from_micros(number.into()));
        }
        let table = strikes.table.lock().unwrap();
        assert_eq!(table.len(), MOST);
        assert!(table.contains_key(&address(4_999)) && !table.contains_key(&address(0)));
    }
}
