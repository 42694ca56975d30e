//! Which regions have a lock.
//!
//! Every region is asked for what it has. Its cursors would say the same of all that it merged, but not of
//! what was merged here by a read, and nobody keeps which event a version was of.

use std::sync::Arc;

use meridian_clients::peer::PeerApi;
use meridian_clients::replica::Found;
use meridian_clients::{ReadError, RepositoryPath};
use meridian_clock::Region;
use meridian_event::{Attributes, Setting, Target};
use meridian_oci::{Algorithm, Digest, Reference};

use crate::shell::Shell;

type Settings = Attributes<Option<Setting>>;

pub(super) async fn holders(
    shell: &Arc<Shell>,
    repository: &RepositoryPath,
    target: &Target,
) -> Result<Vec<Region>, ReadError> {
    let registry = shell.ports.metadata.registry(&repository.registry).await?;
    let (name, budget) = (&repository.name, shell.config.freshness.budget);
    let reference = &target.reference().unwrap_or_else(anything);
    let here = shell.ports.replica.find(registry, name, reference).await?;
    let here = settings(&here, target);
    let find = |peer: Arc<dyn PeerApi>| async move { peer.find(registry, name, reference).await };
    let answers = shell.ask_all(budget, |_| budget, |_| true, find).await;
    let said = answers.said.into_iter();
    let holders = said.filter(|(_, found)| has(settings(found, target), here));
    let holders = holders.map(|(region, _)| region);
    Ok([shell.region].into_iter().chain(holders).collect())
}

/// The attributes of a repository are told with whatever is asked for in it, be it nowhere.
fn anything() -> Reference {
    Digest::of(Algorithm::Sha256, b"").into()
}

fn settings(found: &[Found], target: &Target) -> Settings {
    let mut found = found.iter();
    let settings = found.find_map(|found| match found {
        Found::Attributes {
            target: of,
            settings,
            ..
        } if of == target => Some(*settings),
        _ => None,
    });
    settings.unwrap_or_default()
}

/// Whether somebody has each attribute as it stands here, or as it was set later.
fn has(there: Settings, here: Settings) -> bool {
    let version = |setting: Option<Setting>| setting.map(|setting| setting.version);
    let mut pairs = there.zip(here).into_values();
    pairs.all(|(there, here)| version(there) >= version(here))
}

#[cfg(test)]
mod tests {
    use meridian_clock::Version;

    use super::*;

    fn set(counter: u32) -> Option<Setting> {
        let version = Version {
            millis: 1,
            counter,
            region: "eu".parse().unwrap(),
        };
        Some(Setting {
            version,
            is_enabled: false,
        })
    }

    #[test]
    fn a_lock_is_had_with_each_of_its_attributes_or_a_newer_value() {
        let both = |write, list| Settings {
            write,
            list,
            ..Settings::default()
        };
        let here = both(set(2), set(5));
        assert!(has(here, here));
        assert!(has(both(set(3), set(5)), here));
        assert!(!has(both(set(1), set(5)), here));
        assert!(!has(both(set(3), None), here));
        assert!(has(here, Settings::default()));
    }
}
