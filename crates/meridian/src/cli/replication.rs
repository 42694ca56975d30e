//! The part of the command line that is about other regions.

use std::time::Duration;

use clap::{Args, Subcommand};
use meridian_clock::{Region, Version};

use super::Target;
use crate::replication::ImageName;

pub(super) const HELP: &str = "Examples:
  meridian replication status
  meridian replication status team/app:1.0 --watch
  meridian replication wait team/app:1.0 --regions us,asia --timeout 60s
  meridian replication wait team/app:1.0 --version 1792310400000.0@eu
  meridian replication skip us 3                go on behind a record that is no event

Without an image, `status` says how far the region that is asked is with what others did: how many
events are not merged, what content is to come, and what went wrong. With one, it says how far the
newest value that any region knows is in each of them: pending (the region has not heard of it),
copying, complete (the region answers it by itself), failed (something of it is nowhere to be had) or
unreachable. `wait` returns when it is complete in all regions that are named, for the steps of a
pipeline that come after a push. An image without a tag is the one with the tag `latest`; of both a tag
and a digest, the digest counts.

A region that does not answer may know a newer value of a tag. So that nobody concludes from an old one,
`wait` goes on until every region answers, named or not; unless it is told by --version for which value
it waits, with what the answer to the push said in its header `Meridian-Version`. That one will do, and
any newer. A digest names the same everywhere, and needs none.

A region that the settings name no more is still waited for: `replicated_all` is not said of what it lacks,
and events are kept for it, until `remove` says that it is gone for good.

A shard of another region is stopped at a record of its topic that cannot be read; `status` says where it
stands, others go on, and what is asked for is still read through. If a newer version has written the
record, upgrade the agent of this region. If it is no event, `skip` has the shard go on behind it: events
are numbered, so that one which is missing then is asked of its region, and none is lost.

Asks the process that serves from the data directory, or the one at --server: one that runs the
frontend or the replication agent of a region; `remove`, one that runs the metadata service.

Exit codes:
  0   done; with `wait`, the image is complete in all of the regions
  1   something failed, or nobody knows the image; standard error says what
  5   it took too long
  64  the command line is wrong, or names a region that there is not";

#[derive(Debug, Args)]
pub(crate) struct Replication {
    #[command(subcommand)]
    pub(crate) verb: ReplicationVerb,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReplicationVerb {
    /// Say how far a region is with what others did, or an image in every region
    #[command(after_help = HELP)]
    Status {
        /// An image
        #[arg(value_name = "REPO[:TAG|@DIGEST]")]
        image: Option<ImageName>,
        /// The value that is meant, or a newer one: `Meridian-Version` of the answer to its push
        #[arg(long, value_name = "VERSION", requires = "image")]
        version: Option<Version>,
        /// Go on saying so, with progress bars on a terminal: an image, until it is complete everywhere
        #[arg(long)]
        watch: bool,
    },
    /// Have a shard of another region go on behind the record at which it is stopped
    #[command(after_help = HELP)]
    Skip {
        /// The other region, as `status` names it
        #[arg(value_name = "REGION")]
        region: Region,
        /// Which of its shards
        #[arg(value_name = "SHARD")]
        shard: u16,
    },
    /// Wait until an image is complete in several regions
    #[command(after_help = HELP)]
    Wait {
        /// Which
        #[arg(value_name = "REPO[:TAG|@DIGEST]")]
        image: ImageName,
        /// The value that is meant, or a newer one: `Meridian-Version` of the answer to its push
        #[arg(long, value_name = "VERSION")]
        version: Option<Version>,
        /// In which regions [default: in all]
        #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',')]
        regions: Vec<Region>,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
        timeout: Duration,
    },
    /// Have nothing wait any more for a region that was taken out of the settings
    #[command(after_help = HELP)]
    Remove {
        /// Which
        #[arg(value_name = "REGION")]
        region: Region,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb};

    #[test]
    fn a_version_is_one_of_an_image() {
        let parse = |arguments: &[&str]| {
            let line = ["meridian", "replication"].iter().chain(arguments);
            Cli::try_parse_from(line)
        };
        let cli = parse(&["wait", "app", "--version", "5.0@eu"]).unwrap();
        let Some(Verb::Replication(options)) = cli.verb else {
            panic!("it is about replication");
        };
        let ReplicationVerb::Wait { version, .. } = options.verb else {
            panic!("it waits");
        };
        assert_eq!(version, "5.0@eu".parse().ok());
        assert!(parse(&["status", "app", "--version", "5.0@eu"]).is_ok());
        assert!(parse(&["status", "--version", "5.0@eu"]).is_err());
        assert!(parse(&["wait", "app", "--version", "5"]).is_err());
    }
}
