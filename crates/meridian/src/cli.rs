//! The command line. An interface that others script against: flags are added, never renamed.

mod region;
mod replication;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use meridian_chassis::http::ListenAddress;
use meridian_clock::Region;
use meridian_wan::Profile;

use crate::role::Role;
pub(crate) use region::{NodeConfig, RegionOptions, RegionVerb};
pub(crate) use replication::{Replication, ReplicationVerb};
pub(crate) use webhook::{ChangedFields, NewFields, Webhook, WebhookVerb};

const EXIT_CODES: &str = "Exit codes:
  0   asked to stop (SIGTERM, SIGINT), or done
  1   something failed; standard error says what
  64  settings are wrong: a flag, a key, a value, a port in use, an unusable directory";

const HELP: &str = "Without a command it runs `dev`: a registry on http://localhost:5000.

Exit codes:
  0   asked to stop (SIGTERM, SIGINT), or done
  1   something failed; standard error says what
  64  settings are wrong: a flag, a key, a value, a port in use, an unusable directory";

const HEALTH_HELP: &str = "Examples:
  meridian health                                          /readyz of the admin port, 127.0.0.1:7400
  meridian health http://127.0.0.1:5000 --probe live       of a frontend

Exit codes:
  0   yes
  1   no, or there is no answer; standard error says why
  64  the command line is wrong";

const DEV_HELP: &str = "Examples:
  meridian dev                                  serve on 127.0.0.1:5000
  meridian dev --listen 127.0.0.1:5001 --data-dir /srv/registry
  meridian dev --config registry.toml           see `meridian dev --print-config`
  meridian dev --regions eu,us,asia             three regions, on ports 5000, 5001 and 5002
  meridian dev --regions eu,us --wan 80ms,20MB/s   as far from each other as Europe from America
  MERIDIAN_METADATA__RETENTION__GRACE=1h meridian dev

Settings come from defaults, then the file, then MERIDIAN_* variables, then flags; the later wins.
Plain HTTP is served on loopback addresses only, unless `frontend.allow_plain_http = true`; with a
certificate in `frontend.tls` (cert_file, key_file) it is HTTPS.

With --regions the process is several regions, each with all its services and with its data in a
directory of its own, named after it, below the data directory. A port in the settings is that of the
first one, and the others take those that follow. What is pushed to one is pulled from all. --wan says
what lies between each two of them: a round trip, and if you like `20MB/s`, `jitter=5ms`, `loss=0.1%`
and `window=4MB`; everything that they say to each other takes that way.

`meridian status` and `meridian gc` ask the process that serves from the same data directory;
`admin.listen` opens a port for /livez, /readyz, /startupz and /metrics.

Exit codes:
  0   asked to stop (SIGTERM, SIGINT)
  1   something failed; standard error says what
  64  settings are wrong: a flag, a key, a value, a port in use, an unusable directory";

const RUN_HELP: &str = "Examples:
  meridian run metadata --data-dir /srv/metadata
  meridian run blob --data-dir /srv/blob
  meridian run frontend --listen 127.0.0.1:5000
  meridian run metadata blob --config region.toml --data-dir /srv/data

The three together are a registry; start them in any order. Each finds the others where
`services.metadata` and `services.blob` say, by default where they listen by default:
metadata on 127.0.0.1:7401, blob on 127.0.0.1:7402. Services that share a process call each
other directly.

A region among others has an agent, too: `meridian run replication`. The settings name each other
region in [regions.<name>], with the `endpoints` of its agents (`replication.peer_listen` there) and
its `events`. Frontends find the agents of their own region where `services.replication` says, by
default on 127.0.0.1:7404.

A service that keeps data takes its directory for itself; a frontend needs none.

With a certificate in `identity` (cert_file, key_file, ca_file) services know each other by mutual
TLS: they may listen on any address, and are called as `https://<host>:<port>`. The certificate has
the name spiffe://<trust domain>/region/<region>/role/<role>/<instance> as its URI; what lies in the
files is renewed without a restart. Without one gRPC is plain, and served on loopback addresses and
`unix:` sockets only, unless `allow_plain_grpc` in the section of the service says otherwise.
Where a machine has other users prefer the sockets then: only their owner can open them.

`admin.listen` opens a port for /livez, /readyz, /startupz and /metrics, `telemetry.otlp_endpoint`
sends traces to a collector. Neither is on by default.

Settings come from defaults, then the file, then MERIDIAN_* variables, then flags; the later wins.
One file may serve all processes: each obeys the sections of the services that it runs.

Exit codes:
  0   asked to stop (SIGTERM, SIGINT)
  1   something failed; standard error says what
  64  settings are wrong: a flag, a key, a value, a port in use, an unusable directory";

const CLUSTER_HELP: &str = "Examples:
  meridian cluster init https://m0:7401 https://m1:7401 https://m2:7401 --data-dir /srv/metadata
  meridian cluster status --data-dir /srv/metadata
  meridian cluster join https://m3:7401 --data-dir /srv/metadata
  meridian cluster replace 9f3c1d2e4b5a6978 https://m3:7401 --data-dir /srv/metadata

Asks the metadata process of this machine that runs on the data directory, or the one at --server;
whichever member is asked, the leader decides. A member whose data are lost is replaced, never restarted empty under
its old id. With `metadata.group.founders` in the settings a group founds itself.

Exit codes:
  0   done
  1   something failed; standard error says what
  64  the command line is wrong";

const EVENTS_HELP: &str = "Examples:
  meridian events init --config region.toml
  meridian events check --config region.toml
  meridian events status --data-dir /srv/metadata
  meridian events log --follow --new --data-dir /srv/metadata

`status` asks a running metadata process how far the event log is behind, and `log` what happened, a line
each, or with --json an object each; an event that was published twice is shown twice, under one id.
`replicated` says that the region can serve an image of another one's push, and `replicated_all`, in the
region of the push, that every region can. The others read the section
`events` of the file that `meridian run metadata` is started with. `init` creates the region's topic
unless it is there, with the settings that events need; what is there already is never changed. Both
then look at the topic, and tell everything that breaks a promise together with the command that
mends it.

Exit codes:
  0   the topic is as it has to be
  1   Kafka does not answer, or refuses
  64  settings are wrong, those of the topic among them";

const CHECK_HELP: &str = "Examples:
  meridian check
  meridian check --server https://meridian.example:7403 --token-file token --json

Pushes a tiny artifact through the frontend, pulls it, looks for its event in the event log, deletes
it, and says how long each step took. The process that is asked does so: the frontend is its own, or
the one that management.check.frontend names. Nothing is left behind.

Exit codes:
  0   every step went well
  1   one did not, or nobody answered
  64  the command line is wrong";

/// A container registry that operators run themselves.
#[derive(Debug, Parser)]
#[command(name = "meridian", version, after_help = HELP)]
pub(crate) struct Cli {
    /// Without a command, `dev`.
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a whole registry in this process, with all its data in one directory
    #[command(after_help = DEV_HELP)]
    Dev(Dev),
    /// Run one service, or several, as a process of its own
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// Set up Kafka for the events of a region, or look at how it is set up
    #[command(subcommand, after_help = EVENTS_HELP)]
    Events(Events),
    /// Free the space of blobs that nothing needs any more
    #[command(after_help = EXIT_CODES)]
    Gc(Gc),
    /// Say what a running registry holds and does
    #[command(after_help = EXIT_CODES)]
    Status(Status),
    /// Found the metadata group of a region, and change its members
    #[command(after_help = CLUSTER_HELP)]
    Cluster(Cluster),
    /// Say how far the regions are with each other's images, and wait for them
    #[command(after_help = replication::HELP)]
    Replication(Replication),
    /// Say whether clients are to be sent to a region, and have them sent to others
    #[command(after_help = region::HELP)]
    Region(RegionOptions),
    /// Ask a probe of a process, where probes have to be programs
    #[command(after_help = HEALTH_HELP)]
    Health(Health),
    /// Print what has a node pull from the nearest region
    #[command(after_help = region::NODE_CONFIG_HELP)]
    NodeConfig(NodeConfig),
    /// Have receivers told of pushes, of deletions, and of what is now available where
    #[command(after_help = webhook::HELP)]
    Webhook(Box<Webhook>),
    /// Check a region from end to end, as a client would
    #[command(after_help = CHECK_HELP)]
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Where it serves its probes
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:7400")]
    pub(crate) server: String,
    /// Which probe
    #[arg(long, value_name = "PROBE", default_value = "ready")]
    pub(crate) probe: Probe,
    /// The authorities that certify it [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

/// What a process is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Probe {
    /// Does it answer at all?
    Live,
    /// Should it get requests?
    Ready,
    /// Was it ready once? Of the admin port alone
    Started,
    /// Should clients be sent to its region? Of a frontend alone
    Region,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    pub(crate) verb: ClusterVerb,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    /// Say who the members are, who leads, and how far each is
    Status,
    /// Make members that belong to no group one group
    Init {
        /// Where the members reach each other, the one that is asked included
        #[arg(required = true, value_name = "ENDPOINT")]
        members: Vec<String>,
    },
    /// Let a new member join
    Join {
        /// Where the others reach it
        #[arg(value_name = "ENDPOINT")]
        endpoint: String,
    },
    /// Have a member leave for good
    Leave {
        /// Which, as `status` names it
        #[arg(value_name = "NODE", value_parser = node)]
        node: u64,
    },
    /// Put a new member in the place of one whose machine or disk is lost
    Replace {
        /// The one that is lost, as `status` names it
        #[arg(value_name = "NODE", value_parser = node)]
        node: u64,
        /// Where the others reach the new one
        #[arg(value_name = "ENDPOINT")]
        endpoint: String,
    },
    /// Have another member lead
    Lead {
        /// Which, as `status` names it
        #[arg(value_name = "NODE", value_parser = node)]
        node: u64,
    },
    /// Take a snapshot now, behind which the log may go
    Snapshot,
}

/// A node id, as it is printed.
pub(crate) fn node(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "it is 16 hexadecimal digits".to_owned())
}

#[derive(Debug, Default, Args)]
pub(crate) struct Dev {
    /// Where clients connect; port 0 takes a free one [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where all data lie [default: `meridian` in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Be several regions that replicate each other
    #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',')]
    pub(crate) regions: Vec<Region>,
    /// What lies between the regions [default: nothing]
    #[arg(long, value_name = "ROUND-TRIP,BANDWIDTH", requires = "regions")]
    pub(crate) wan: Option<Profile>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the settings in force and stop
    #[arg(long)]
    pub(crate) print_config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Which
    #[arg(required = true, value_enum, value_name = "SERVICE")]
    pub(crate) roles: Vec<Role>,
    /// Where it listens, if it is one: an address, or `unix:` and a path; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<ListenAddress>,
    /// Where its data lie; no other process may use it
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the settings in force and stop
    #[arg(long)]
    pub(crate) print_config: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// Create the region's topic unless it is there, and check it
    #[command(after_help = EVENTS_HELP)]
    Init(EventsOptions),
    /// Check the region's topic
    #[command(after_help = EVENTS_HELP)]
    Check(EventsOptions),
    /// Say how far the event log is behind
    #[command(after_help = EVENTS_HELP)]
    Status(Status),
    /// Show what happened in a region: pushes, deletions, and which images are complete where
    #[command(after_help = EVENTS_HELP)]
    Log(EventLog),
}

#[derive(Debug, Args)]
pub(crate) struct EventLog {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Go on with what happens from now on
    #[arg(long)]
    pub(crate) follow: bool,
    /// Leave out what happened before
    #[arg(long)]
    pub(crate) new: bool,
    /// Show also what regions tell each other of how far they are
    #[arg(long)]
    pub(crate) heartbeats: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EventsOptions {
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Only say what would be freed
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Which running process is meant.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The data directory that it was started with [default: `meridian` in the user's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where it serves the management API, `https://<host>:<port>`, unless --data-dir is given
    #[arg(long, global = true, value_name = "URL", env = "MERIDIAN_SERVER")]
    pub(crate) server: Option<String>,
    /// An operator token for that, in a file that only its owner may read
    #[arg(long, global = true, value_name = "FILE", env = "MERIDIAN_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The authorities that certify it [default: those of this machine]
    #[arg(long, global = true, value_name = "FILE", env = "MERIDIAN_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

// === impl Probe ===

impl Probe {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Started => "/startupz",
            Self::Region => "/healthz/region",
        }
    }
}

// === impl Verb ===

impl Default for Verb {
    fn default() -> Self {
        Self::Dev(Dev::default())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_dev() {
        let cli = Cli::try_parse_from(["meridian"]).unwrap();
        assert!(matches!(cli.verb.unwrap_or_default(), Verb::Dev(_)));
    }
}
