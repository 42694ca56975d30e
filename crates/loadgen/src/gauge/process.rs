//! What the kernel says of single processes.

use super::{CpuTime, GaugeError, form, read, ticks};

/// Where times stand behind the command's name: `utime` and `stime`, and then those of children that were
/// waited for.
const OWN: usize = 11;
const CHILDREN: usize = 13;

/// CPU time of a process (`self` or a number) with all its threads, also those that ended.
pub(crate) fn cpu_of(process: &str) -> Result<CpuTime, GaugeError> {
    let path = format!("/proc/{process}/stat");
    let (user, system) = parse_times(&read(&path)?, OWN).ok_or_else(|| form(&path))?;
    Ok(CpuTime {
        user: ticks(user),
        system: ticks(system),
    })
}

/// CPU time of all processes that this one has started and that have ended: programs that work for a server
/// and are started for each piece of its work. A server that is ended counts as well, so this is read
/// while servers run.
pub(crate) fn cpu_of_helpers() -> Result<CpuTime, GaugeError> {
    const PATH: &str = "/proc/self/stat";
    let (user, system) = parse_times(&read(PATH)?, CHILDREN).ok_or_else(|| form(PATH))?;
    Ok(CpuTime {
        user: ticks(user),
        system: ticks(system),
    })
}

/// One line of `/proc/PID/status` that counts in kB.
pub(crate) fn status_kib(pid: u32, key: &str) -> Result<u64, GaugeError> {
    let path = format!("/proc/{pid}/status");
    parse_status(&read(&path)?, key).ok_or_else(|| form(&path))
}

/// A time in user mode and the one in system mode behind it. The command's name, which may hold anything,
/// stands in brackets.
fn parse_times(stat: &str, place: usize) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(place);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn parse_status(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 55 66 7 8 20 0 9 0";
        assert_eq!(parse_times(stat, OWN), Some((55, 66)));
        assert_eq!(parse_times(stat, CHILDREN), Some((7, 8)));
        assert_eq!(parse_times("7 (a", OWN), None);
    }

    #[test]
    fn a_status_line_is_found_by_its_key() {
        let status = "VmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_status(status, "VmRSS:"), Some(1024));
        assert_eq!(parse_status(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(cpu_of("self").is_ok());
        assert!(status_kib(std::process::id(), "VmRSS:").is_ok_and(|kib| kib > 0));
    }
}
