//! What the whole machine did: stolen time, user time of everybody, pressure.

use std::time::Duration;

use super::{GaugeError, form, read, ticks};

/// Sums over all CPUs since boot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostReading {
    pub(crate) cpus: u32,
    /// Time in user mode, niced or not.
    pub(crate) user: Duration,
    /// Time in which the hypervisor ran somebody else.
    pub(crate) steal: Duration,
}

/// For how long some task waited for a CPU, since boot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pressure(Duration);

// === impl HostReading ===

impl HostReading {
    pub(crate) fn now() -> Result<Self, GaugeError> {
        const PATH: &str = "/proc/stat";
        let (cpus, user, steal) = parse_stat(&read(PATH)?).ok_or_else(|| form(PATH))?;
        Ok(Self {
            cpus,
            user: ticks(user),
            steal: ticks(steal),
        })
    }
}

// === impl Pressure ===

impl Pressure {
    /// Nothing on a kernel without pressure accounting.
    pub(crate) fn now() -> Option<Self> {
        let text = read("/proc/pressure/cpu").ok()?;
        parse_pressure(&text).map(|micros| Self(Duration::from_micros(micros)))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The number of CPUs, then the ticks in user mode and those that were stolen.
fn parse_stat(stat: &str) -> Option<(u32, u64, u64)> {
    let of_cpu = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let cpus = u32::try_from(stat.lines().filter(of_cpu).count()).ok()?;
    let fields: Vec<u64> = stat
        .lines()
        .find_map(|line| line.strip_prefix("cpu "))?
        .split_ascii_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    Some((cpus, fields.first()? + fields.get(1)?, *fields.get(7)?))
}

fn parse_pressure(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.rsplit_once("total=")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_nice_are_added_and_steal_is_the_eighth() {
        let stat = "cpu  10 20 30 40 50 60 70 80 90 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(parse_stat(stat), Some((1, 30, 80)));
    }

    #[test]
    fn pressure_is_the_total_of_the_some_line() {
        let text =
            "some avg10=0.21 avg60=0.48 avg300=0.21 total=4093251\nfull avg10=0.00 total=0\n";
        assert_eq!(parse_pressure(text), Some(4_093_251));
    }
}
