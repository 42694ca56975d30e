//! What a process knows of other regions.
//!
//! Every region has a section of its own, `[regions.<name>]`, in the files of all others. Leaves to
//! `[replication]` how much is asked of each.

use std::collections::{BTreeMap, BTreeSet};

use meridian_clock::Region;
use serde::{Deserialize, Serialize};

use super::{Config, Endpoints, Events};
use crate::role::{Cast, Role};

/// Another region.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegionConfig {
    /// Where its agents take the calls of other regions, `replication.peer_listen` there:
    /// `https://<host>:<port>`, or `http://` without an identity.
    pub(crate) endpoints: Endpoints,
    /// How its event log is reached, if that is Kafka. One on the disk of another machine cannot be:
    /// its events are asked of its agents then, which takes longer.
    pub(crate) events: Events,
}

/// Everything that is wrong with what the settings say of other regions, in words that begin with the
/// key.
pub(crate) fn faults(config: &Config, cast: &Cast) -> Vec<String> {
    if !cast.calls_abroad() {
        return Vec::new();
    }
    let mut lines = of_names(config, cast);
    for (name, region) in &config.regions {
        let faults = region.faults(cast).into_iter();
        lines.extend(faults.map(|fault| format!("regions.{name}.{fault}")));
    }
    lines
}

fn of_names(config: &Config, cast: &Cast) -> Vec<String> {
    let (own, regions) = (config.region, &config.regions);
    let mut lines = Vec::new();
    if regions.contains_key(&own) {
        lines.push(format!(
            "regions.{own}: this is region `{own}` itself, as `region` says; name the others only"
        ));
    }
    if !cast.has(Role::Replication) {
        return lines;
    }
    if regions.is_empty() {
        lines.push(
            "regions: none; an agent keeps this region like others: name each in a section \
             [regions.<name>], with the `endpoints` of its agents"
                .to_owned(),
        );
    }
    lines.extend(strangers(&config.replication.peers, regions).map(|name| {
        format!(
            "replication.peers.{name}: there is no [regions.{name}]; name it, or take this away"
        )
    }));
    lines
}

fn strangers<P, R>(
    peers: &BTreeMap<Region, P>,
    regions: &BTreeMap<Region, R>,
) -> impl Iterator<Item = Region> {
    let peers: BTreeSet<_> = peers.keys().copied().collect();
    let regions: BTreeSet<_> = regions.keys().copied().collect();
    let strangers: Vec<_> = peers.difference(&regions).copied().collect();
    strangers.into_iter()
}

// === impl RegionConfig ===

impl RegionConfig {
    /// Everything that is wrong with it.
    fn faults(&self, cast: &Cast) -> Vec<String> {
        let mut lines = match cast.has(Role::Replication) {
            true => self.events.faults(),
            false => Vec::new(),
        };
        if self.endpoints.all().is_empty() {
            lines.push(
                "endpoints: none; name where its agents take the calls of other regions, as \
                 `replication.peer_listen` says there"
                    .to_owned(),
            );
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, role: Role) -> Vec<String> {
        faults(&toml::from_str(text).unwrap(), &Cast::of(&[role]))
    }

    const GOOD: &str = "region = \"eu\"
        [regions.us]
        endpoints = \"http://127.0.0.1:7405\"
        [regions.asia]
        endpoints = [\"https://a:7405\", \"https://b:7405\"]";

    #[test]
    fn other_regions_are_named_with_where_they_are() {
        for role in [Role::Replication, Role::Frontend, Role::Blob] {
            assert_eq!(told(GOOD, role), Vec::<String>::new(), "{role}");
        }
    }

    #[test]
    fn a_region_that_names_itself_or_nobody_is_told() {
        let own = GOOD.replace("[regions.us]", "[regions.eu]");
        let lines = told(&own, Role::Frontend);
        assert!(lines[0].starts_with("regions.eu: this is region `eu` itself"));
        assert_eq!(told(&own, Role::Metadata), Vec::<String>::new());
        let lines = told("region = \"eu\"", Role::Replication);
        assert!(lines[0].starts_with("regions: none;"), "{lines:?}");
        assert_eq!(
            told("region = \"eu\"", Role::Frontend),
            Vec::<String>::new()
        );
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = "region = \"eu\"
            [replication.peers.mars]
            budget = \"1 MiB\"
            [regions.us]
            events.segment_size = \"1 B\"
            [regions.asia]";
        let lines = told(text, Role::Replication);
        let begins = [
            "replication.peers.mars: ",
            "regions.asia.endpoints: ",
            "regions.us.events.segment_size",
            "regions.us.endpoints: ",
        ];
        assert_eq!(lines.len(), begins.len(), "{lines:?}");
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
    }
}
