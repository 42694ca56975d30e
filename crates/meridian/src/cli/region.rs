//! The part of the command line that is about where clients are sent.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use url::Url;

use super::Target;
use crate::node_config::RegistryHost;

pub(super) const HELP: &str = "Examples:
  meridian region status
  meridian region drain --reason 'new disks, until noon'
  meridian region undrain

Frontends answer /healthz/region with 200 while clients are to be sent to their region, and with 503 and the
reason while it is drained, or while its metadata or its object store fail. It is for DNS and load balancers
that choose a region; they need no other sign. A drained region is whole: it answers whoever comes all the
same, takes pushes, and goes on replicating, so that nothing has to be caught up when it comes back. It stays
drained until `undrain`, whatever is restarted meanwhile.

Asks the process that serves from the data directory, or the one at --server: one that runs the metadata
service.

Exit codes:
  0   done
  1   something failed; standard error says what
  64  the command line is wrong";

pub(super) const NODE_CONFIG_HELP: &str = "Examples:
  meridian node-config registry.example.com \\
      --regions https://eu.registry.example.com,https://us.registry.example.com \\
      > /etc/containerd/certs.d/registry.example.com/hosts.toml

Prints what has containerd pull the images of a registry from the regions in that order, the nearest first, and
from the registry's own name where none of them answers. It is read at each pull: nothing is restarted.

Exit codes:
  0   done
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct RegionOptions {
    #[command(subcommand)]
    pub(crate) verb: RegionVerb,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegionVerb {
    /// Say whether clients are to be sent to this region
    #[command(after_help = HELP)]
    Status,
    /// Have clients sent to other regions
    #[command(after_help = HELP)]
    Drain {
        /// Why, for those who look at it; everybody can read it
        #[arg(long, value_name = "TEXT", default_value = "drained by an operator")]
        reason: String,
    },
    /// Have clients sent here again
    #[command(after_help = HELP)]
    Undrain,
}

#[derive(Debug, Args)]
pub(crate) struct NodeConfig {
    /// The registry, as images name it
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) registry: RegistryHost,
    /// The frontends of each region, the nearest first
    #[arg(long, required = true, value_name = "URL,URL,…", value_delimiter = ',')]
    pub(crate) regions: Vec<Url>,
    /// The authorities that certify them, a file on the node [default: those of the node]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}
