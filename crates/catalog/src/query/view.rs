//! What a repository holds, a page at a time, with what its order needs.
//!
//! By name, a page is a range of keys. By time, all that is in the list is put in order for each page, so
//! only a list of [`MOST`] rows at most is: the state keeps no order of time. In both, what is looked at is
//! bounded, tombstones too: a page may be short, and says where to go on.

use std::cmp::Ordering;
use std::ops::{Bound, ControlFlow};

use meridian_clock::Version;
use meridian_event::{RegistryId, Target};
use meridian_oci::{Digest, Reference, RepositoryName, Tag as TagName};

use super::Result;
use super::manifest::manifest_stat;
use super::repository::{allowed, is_visible};
use crate::hold;
use crate::key::{self, Key, end_of};
use crate::row::{Manifest, RepositoryCell, Row};
use crate::{CatalogError, Read};

/// At how many rows one page looks, and how many can be put in the order of time.
pub const MOST: usize = 10_000;

/// What is listed of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Its tags.
    Tags,
    /// The tags of a manifest.
    TagsOf(Digest),
    /// Its manifests.
    Manifests,
}

/// How a list is ordered. Of the same age is the one first that has the lesser name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By name.
    Name,
    /// What was put last comes last.
    Oldest,
    /// What was put last comes first.
    Newest,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Behind this.
    pub after: Reference,
    /// As it stood when it was listed: by time, it may have another place by now, or none.
    pub at: Option<Version>,
}

/// A page of what a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it holds, in order.
    pub items: Vec<Reference>,
    /// Where to go on, if more may follow.
    pub next: Option<Mark>,
}

/// Where a look at each ended.
enum Ended {
    /// All were seen.
    All,
    /// There are more behind this one, which was looked at.
    At(Reference),
}

/// A repository of a registry, which is looked at.
struct View<'a, S> {
    store: &'a S,
    registry: RegistryId,
    repository: &'a RepositoryName,
    cell: RepositoryCell,
}

/// What a repository holds and is in lists, `limit` of it at most. Nothing, if it cannot be put in order: by
/// time, it is too much, or nobody knows when the one was put behind which to go on.
pub fn held<S: Read>(
    store: &S,
    registry: RegistryId,
    repository: &RepositoryName,
    (holding, order): (Holding, Order),
    after: Option<&Mark>,
    limit: usize,
) -> Result<Option<Held>, S> {
    let view = View {
        store,
        registry,
        repository,
        cell: hold::cell(store, registry, repository)?,
    };
    match order {
        Order::Name => view.by_name(holding, after, limit).map(Some),
        Order::Oldest | Order::Newest => view.by_time(holding, order, after, limit),
    }
}

// === impl Order ===

impl Order {
    fn compare(self, one: &(Version, Reference), other: &(Version, Reference)) -> Ordering {
        let by_time = match self {
            Self::Name => Ordering::Equal,
            Self::Oldest => one.0.cmp(&other.0),
            Self::Newest => other.0.cmp(&one.0),
        };
        by_time.then_with(|| one.1.cmp(&other.1))
    }
}

// === impl View ===

impl<S: Read> View<'_, S> {
    fn by_name(&self, holding: Holding, after: Option<&Mark>, limit: usize) -> Result<Held, S> {
        let mut items = Vec::new();
        let after = after.map(|mark| &mark.after);
        let ended = self.each(holding, after, |reference, _| {
            items.push(reference);
            items.len() < limit
        })?;
        let next = match ended {
            Ended::All => None,
            Ended::At(after) => Some(Mark { after, at: None }),
        };
        Ok(Held { items, next })
    }

    fn by_time(
        &self,
        holding: Holding,
        order: Order,
        after: Option<&Mark>,
        limit: usize,
    ) -> Result<Option<Held>, S> {
        let mut all = Vec::new();
        let ended = self.each(holding, None, |reference, version| {
            all.push((version, reference));
            true
        })?;
        if !matches!(ended, Ended::All) {
            return Ok(None);
        }
        if let Some(mark) = after {
            let stands = || all.iter().find(|(_, reference)| *reference == mark.after);
            let at = mark.at.or_else(|| stands().map(|(version, _)| *version));
            let Some(at) = at else {
                return Ok(None);
            };
            let from = (at, mark.after.clone());
            all.retain(|it| order.compare(it, &from).is_gt());
        }
        all.sort_by(|one, other| order.compare(one, other));
        let is_more = all.len() > limit;
        all.truncate(limit);
        let next = all.last().filter(|_| is_more).map(|(version, after)| Mark {
            after: after.clone(),
            at: Some(*version),
        });
        let items = all.into_iter().map(|(_, reference)| reference).collect();
        Ok(Some(Held { items, next }))
    }

    /// Shows what is in the list, in the order of names, until `look` has seen enough.
    fn each(
        &self,
        holding: Holding,
        after: Option<&Reference>,
        mut look: impl FnMut(Reference, Version) -> bool,
    ) -> Result<Ended, S> {
        let prefix = self.prefix(holding);
        let begin = match after {
            Some(Reference::Tag(name)) => prefix.clone().text(name.as_str()),
            Some(Reference::Digest(digest)) => prefix.clone().digest(*digest),
            None => prefix.clone(),
        };
        let end = end_of(&prefix);
        let range = (Bound::Excluded(&*begin), Bound::Excluded(end.as_slice()));
        let (mut left, mut goes_on) = (MOST, true);
        let (mut last, mut ended, mut failed) = (None, Ended::All, None);
        let visit = &mut |key: &[u8], value: &[u8]| {
            if let Some(last) = last.take_if(|_| left == 0 || !goes_on) {
                ended = Ended::At(last);
                return ControlFlow::Break(());
            }
            left -= 1;
            match self.look_at(holding, &key[prefix.len()..], value) {
                Ok((reference, version)) => {
                    if let Some(version) = version {
                        goes_on = look(reference.clone(), version);
                    }
                    last = Some(reference);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        self.store.scan(range, visit).map_err(CatalogError::Store)?;
        failed.map_or(Ok(ended), Err)
    }

    fn prefix(&self, holding: Holding) -> Key {
        let (registry, repository) = (self.registry, self.repository);
        match holding {
            Holding::Tags => key::tags(registry, repository),
            Holding::TagsOf(digest) => key::tags_of(registry, repository).digest(digest),
            Holding::Manifests => key::manifests(registry, repository),
        }
    }

    /// What a row is of, and its version if it is in the list.
    fn look_at(
        &self,
        holding: Holding,
        suffix: &[u8],
        value: &[u8],
    ) -> Result<(Reference, Option<Version>), S> {
        if holding == Holding::Manifests {
            let digest = key::take_digest(suffix);
            let (digest, _) = digest.ok_or(CatalogError::Damaged("manifest"))?;
            let row = hold::covered(Manifest::decode::<S::Error>(value)?, self.cell.cover());
            return Ok((digest.into(), self.manifest(digest, &row)?));
        }
        let name = key::parse::<TagName>(suffix).ok_or(CatalogError::Damaged("visible tag"))?;
        let reference = Reference::Tag(name.clone());
        let stat = manifest_stat(self.store, self.registry, self.repository, &reference)?;
        let stat = stat.filter(|stat| match holding {
            Holding::TagsOf(digest) => stat.digest == digest,
            Holding::Tags | Holding::Manifests => true,
        });
        let version = match stat {
            Some(stat) if self.is_listed(&Target::Tag(name))? => Some(stat.version),
            _ => None,
        };
        Ok((reference, version))
    }

    fn manifest(&self, digest: Digest, row: &Manifest) -> Result<Option<Version>, S> {
        let (store, registry) = (self.store, self.registry);
        let is_visible = is_visible(store, registry, self.repository, digest, row, &self.cell)?;
        if !is_visible || !self.is_listed(&Target::Manifest(digest))? {
            return Ok(None);
        }
        // What is only needed may not have been put yet, as far as is known here.
        Ok(Some(row.add.unwrap_or_else(|| registry.version())))
    }

    fn is_listed(&self, target: &Target) -> Result<bool, S> {
        let (store, registry) = (self.store, self.registry);
        Ok(allowed(store, registry, self.repository, &self.cell, target)?.list)
    }
}
