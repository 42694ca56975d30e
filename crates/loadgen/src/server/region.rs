//! A region of ours on this machine, each service in processes of its own.
//!
//! Owns what such processes have to be told to find one another: where each listens, and where the
//! others do, in the environment. Nothing else is set, so that they run as they do by default; only
//! where events go has to be said, which is a disk for each member unless brokers are there.
//!
//! ```text
//! generator ══▶ frontend-0, frontend-1 ──▶ blob ──▶ metadata-0, -1, -2 ──▶ events
//!                         └──────────────────────────────▲                │
//! generator ◀── webhooks, if it tells anybody ◀──────────────────────────────┘
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::free_addresses;
use super::hooks::{Hooks, Teller};
use super::product::{Group, Layout, Prepared};
use crate::kafka::{Kafka, Stream};

const MEMBERS: usize = 3;
const FRONTENDS: usize = 2;

/// Regions that this process has laid out: each has a name of its own.
static LAID_OUT: AtomicU32 = AtomicU32::new(0);

/// A region that is being laid out.
pub(super) struct Region<'a> {
    program: &'a Path,
    folder: &'a Path,
    name: String,
    members: Vec<SocketAddr>,
    blob: SocketAddr,
    frontends: Vec<SocketAddr>,
    /// Where members publish events to.
    events: Vec<(&'static str, String)>,
    stream: Option<Stream>,
    beside: Vec<u32>,
}

// === impl Region ===

impl<'a> Region<'a> {
    /// One whose members keep events on disk.
    pub(super) fn new(program: &'a Path, folder: &'a Path) -> io::Result<Self> {
        let mut addresses = free_addresses(MEMBERS + FRONTENDS + 1)?.into_iter();
        Ok(Self {
            program,
            folder,
            name: fresh_name(),
            members: addresses.by_ref().take(MEMBERS).collect(),
            frontends: addresses.by_ref().take(FRONTENDS).collect(),
            blob: addresses.next().ok_or(io::ErrorKind::AddrInUse)?,
            events: vec![("MERIDIAN_EVENTS__KIND", "disk".to_owned())],
            stream: None,
            beside: Vec::new(),
        })
    }

    /// The same, with events in Kafka.
    pub(super) fn with_events_in(mut self, kafka: &Kafka) -> io::Result<Self> {
        self.events = vec![
            ("MERIDIAN_EVENTS__KIND", "kafka".to_owned()),
            ("MERIDIAN_EVENTS__KAFKA__SINGLE_BROKER", "true".to_owned()),
            (
                "MERIDIAN_EVENTS__KAFKA__BROKERS",
                format!("{:?}", kafka.brokers),
            ),
        ];
        self.stream = Some(Stream {
            brokers: kafka.brokers.clone(),
            region: self.name.parse().map_err(io::Error::other)?,
        });
        self.beside.clone_from(&kafka.processes);
        Ok(self)
    }

    /// None of its processes, only where its events would be.
    pub(super) fn events(&self) -> Layout {
        Layout {
            stream: self.stream.clone(),
            beside: self.beside.clone(),
            ..Layout::default()
        }
    }

    /// The members, without those who call them.
    pub(super) fn members(&self) -> Layout {
        let data = (0..MEMBERS).map(|number| self.data("metadata", number));
        Layout {
            processes: (0..MEMBERS).map(|number| self.member(number)).collect(),
            group: Some(Group::Ours {
                program: self.program.to_owned(),
                data: data.collect(),
            }),
            ..self.events()
        }
    }

    /// All of it.
    pub(super) fn whole(&self) -> Layout {
        let mut layout = self.members();
        layout.processes.push(self.blob());
        let frontends = (0..FRONTENDS).map(|number| self.frontend(number));
        layout.processes.extend(frontends);
        layout.doors.clone_from(&self.frontends);
        layout
    }

    /// All of it, and a dispatcher of webhooks.
    pub(super) fn telling(&self, count: u32) -> io::Result<Layout> {
        let keys = self.folder.join("webhooks.keys");
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&keys)?;
        writeln!(file, "{}", "5a".repeat(32))?;
        let mut layout = self.whole();
        layout.processes.push(self.dispatcher(&keys));
        let teller = Teller {
            program: self.program.to_owned(),
            data: self.data("webhooks", 0),
        };
        layout.hooks = Some(Hooks::new(count, Some(teller))?);
        Ok(layout)
    }

    fn dispatcher(&self, keys: &Path) -> Prepared {
        let events = self.events.iter().cloned();
        let dispatcher = Prepared::new("webhooks-0", self.program)
            .args(["run", "webhooks", "--data-dir"])
            .args([self.data("webhooks", 0)])
            .env("MERIDIAN_REGION", &self.name)
            .env("MERIDIAN_SERVICES__METADATA", endpoints(&self.members))
            .env("MERIDIAN_WEBHOOKS__HOST", "registry.bench")
            // What failed once waits for as long as a block may take.
            .env(
                "MERIDIAN_WEBHOOKS__DELIVERY__SCHEDULE",
                r#"["0s", "6h", "12h"]"#,
            )
            .env("MERIDIAN_WEBHOOKS__KEY_FILE", keys.to_string_lossy())
            .env("MERIDIAN_WEBHOOKS__EGRESS__ALLOWED", "[\"127.0.0.0/8\"]");
        events.fold(dispatcher, |it, (name, value)| it.env(name, value))
    }

    fn member(&self, number: usize) -> Prepared {
        let address = self.members[number];
        let events = self.events.iter().cloned();
        let member = self
            .process("metadata", number, address)
            .args(["--data-dir".into(), self.data("metadata", number)])
            .env("MERIDIAN_METADATA__GROUP__ADVERTISE", endpoint(address))
            .env(
                "MERIDIAN_METADATA__GROUP__FOUNDERS",
                endpoints(&self.members),
            );
        events.fold(member, |member, (name, value)| member.env(name, value))
    }

    fn blob(&self) -> Prepared {
        self.process("blob", 0, self.blob)
            .args(["--data-dir".into(), self.data("blob", 0)])
            .env("MERIDIAN_SERVICES__METADATA", endpoints(&self.members))
    }

    fn frontend(&self, number: usize) -> Prepared {
        self.process("frontend", number, self.frontends[number])
            .env("MERIDIAN_SERVICES__METADATA", endpoints(&self.members))
            .env("MERIDIAN_SERVICES__BLOB", endpoints(&[self.blob]))
    }

    fn process(&self, role: &str, number: usize, address: SocketAddr) -> Prepared {
        Prepared::new(format!("{role}-{number}"), self.program)
            .args(["run", role, "--listen", &address.to_string()])
            .env("MERIDIAN_REGION", &self.name)
    }

    fn data(&self, role: &str, number: usize) -> PathBuf {
        self.folder.join(format!("{role}-{number}"))
    }
}

/// A name that no region has had: so no topic has it either.
pub(super) fn fresh_name() -> String {
    let number = LAID_OUT.fetch_add(1, Ordering::Relaxed);
    format!("bench-{}-{number}", std::process::id())
}

fn endpoint(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A list as settings have it.
fn endpoints(addresses: &[SocketAddr]) -> String {
    let all: Vec<_> = addresses.iter().copied().map(endpoint).collect();
    format!("{all:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(process: &Prepared, wanted: &str) -> Option<String> {
        let mut settings = process.environment.iter();
        let found = settings.find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.clone())
    }

    #[test]
    fn endpoints_are_a_list_of_settings() {
        let addresses = [1, 2].map(|port| ([127, 0, 0, 1], port).into());
        assert_eq!(
            endpoints(&addresses),
            r#"["http://127.0.0.1:1", "http://127.0.0.1:2"]"#
        );
    }

    #[test]
    fn every_process_of_a_region_is_told_where_the_members_are() {
        let region = Region::new(Path::new("meridian"), Path::new("/x")).unwrap();
        let layout = region.whole();
        assert_eq!(layout.processes.len(), MEMBERS + 1 + FRONTENDS);
        assert_eq!(layout.doors.len(), FRONTENDS);
        let members = endpoints(&region.members);
        for (number, process) in layout.processes.iter().enumerate() {
            let name = match number < MEMBERS {
                true => "MERIDIAN_METADATA__GROUP__FOUNDERS",
                false => "MERIDIAN_SERVICES__METADATA",
            };
            assert_eq!(setting(process, name).as_ref(), Some(&members));
        }
    }

    #[test]
    fn two_regions_have_two_names() {
        let name = || {
            Region::new(Path::new("meridian"), Path::new("/x"))
                .unwrap()
                .name
        };
        assert_ne!(name(), name());
    }
}
