//! What a data directory holds: one registry, or several regions in folders of their own.
//!
//! Keeps the invariant that neither is started where the other lies: it would serve an empty registry, and
//! whoever pushed to the other would take it for lost.

use std::path::Path;

use meridian_clock::Region;

use crate::exit::Exit;

/// The folder by which a registry is known.
const KNOWN_BY: &str = "metadata";

/// Refuses to be one registry where several regions are.
pub(super) fn check_one(root: &Path) -> Result<(), Exit> {
    let regions = regions(root);
    if is_registry(root) || regions.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = regions.iter().map(Region::as_str).collect();
    let (root, names) = (root.display(), names.join(","));
    Err(Exit::misconfigured(format!(
        "the data directory {root} holds the regions {names}, and no single registry: start them with \
         --regions {names}, or choose another directory with --data-dir"
    )))
}

/// Refuses to be several regions where one registry is.
pub(super) fn check_several(root: &Path) -> Result<(), Exit> {
    if !is_registry(root) {
        return Ok(());
    }
    let root = root.display();
    Err(Exit::misconfigured(format!(
        "the data directory {root} holds a single registry, and no regions: start it without --regions, or \
         choose another directory with --data-dir"
    )))
}

/// Whether one registry lies there. A region may be called as the folder is.
fn is_registry(root: &Path) -> bool {
    let folder = root.join(KNOWN_BY);
    folder.is_dir() && !folder.join(KNOWN_BY).is_dir()
}

/// The regions that have their folders there. What cannot be read is told by whoever has to use it.
fn regions(root: &Path) -> Vec<Region> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().join(KNOWN_BY).is_dir());
    let names = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut regions: Vec<_> = names.collect();
    regions.sort_unstable();
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        folder
    }

    #[test]
    fn a_registry_is_not_started_where_regions_are_nor_they_where_it_is() {
        for (names, is_for_one, is_for_several) in [
            (&[][..], true, true),
            (&["metadata", "blobs"], true, false),
            (&["eu/metadata", "us/metadata"], false, true),
            (&["metadata/metadata", "eu/metadata"], false, true),
            (&["blobs/x", "lost+found"], true, true),
        ] {
            let folder = folder(names);
            let root = folder.path();
            assert_eq!(check_one(root).is_ok(), is_for_one, "{names:?}");
            assert_eq!(check_several(root).is_ok(), is_for_several, "{names:?}");
        }
        let said = check_one(folder(&["us/metadata", "eu/metadata"]).path());
        assert!(format!("{said:?}").contains("--regions eu,us"), "{said:?}");
        assert!(check_one(Path::new("/nowhere")).is_ok());
    }
}
