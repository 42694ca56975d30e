//! What came about on the way: a play in which it never happens proves little.

use meridian_oci::Tag as TagName;

use super::region::Region;
use super::world::World;
use crate::row::{Manifest, Rights, Row, Tag};
use crate::{key, query};

impl World {
    /// Notes what came about.
    pub(super) fn look(&mut self) {
        for region in &self.regions {
            for (key, value) in region.store.pairs() {
                let what = match key[0] {
                    b'M' => of_manifest(&Manifest::decode::<()>(value).unwrap()),
                    b't' if Tag::decode::<()>(value).unwrap().is_behind => Some("a tag is behind"),
                    b'e' => Some("a tag waits"),
                    b'z' => Some("a repository is still to be swept"),
                    b'l' => of_tag_attributes(region, &key[1..], value),
                    b'r' => Some("registries are twins"),
                    b'V' => Some("an index waits"),
                    b'W' => Some("an image waits"),
                    b'u' => Some("a child is still to be looked at"),
                    b'v' => Some("waiting tags are still to be judged"),
                    b'w' => Some("tags are still to be hidden"),
                    b'y' => Some("parents are still to be told"),
                    b'P' => Some("a push elsewhere waits"),
                    b'i' => Some("pushes are still to be told of"),
                    b'2' => Some("tombstones are still to be dropped"),
                    b'5' => Some("a floor rises"),
                    b'j' => Some("a heartbeat is still to be looked through"),
                    b'Y' => Some("waiters for a blob are still to be told"),
                    _ => None,
                };
                self.seen.extend(what);
            }
        }
    }
}

fn of_tag_attributes(region: &Region, rest: &[u8], value: &[u8]) -> Option<&'static str> {
    let is_locked = !Rights::decode::<()>(value).unwrap().in_force(None).write;
    let (registry, name) = key::take_registry(rest)?;
    let (repository, tag) = key::take_repository(name)?;
    let tag: TagName = key::parse(tag)?;
    let winner = query::tag_winner(&region.store, registry, &repository, &tag).unwrap();
    match winner {
        None => Some("attributes come before their tag"),
        Some(_) => is_locked.then_some("a tag is locked"),
    }
}

fn of_manifest(row: &Manifest) -> Option<&'static str> {
    if row.is_misdescribed {
        return Some("a manifest is misdescribed");
    }
    if !row.is_absent() && !row.is_added() {
        return Some("a deleted manifest is needed");
    }
    if row.put.is_none() && row.has_body() {
        return Some("bytes come before their event");
    }
    (row.add.is_none() && row.del.is_some()).then_some("a deletion comes before its put")
}
