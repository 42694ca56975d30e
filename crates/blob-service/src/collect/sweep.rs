//! Objects that no record names, and never did.
//!
//! A crash between the store and the record leaves a finished object behind, an abandoned upload
//! an unfinished one. Either goes only when it is older than any upload that could still want it,
//! when no session has it nor can get it meanwhile, and, for a finished one, when the metadata
//! says, asked after it was listed and claimed, that no record names it.

use std::time::Duration;

use meridian_blobstore::Listed;
use meridian_clients::StorageKey;

use super::report::{Tally, WouldCollect, WouldRemove};
use super::{CollectError, Collector};
use crate::layout;
use crate::upload::SweepClaim;

/// How many objects are listed at once.
const PAGE: usize = 1000;

/// How much older than its life's end an object must be, at most: the store's clock may differ from
/// ours.
const MARGIN: Duration = Duration::from_secs(3600);

/// How many blobs and doomed objects a dry run counts.
const COUNTED: usize = 10_000;

/// How many of each a dry run names.
const NAMED: usize = 1000;

/// Objects of a page that nobody wants.
struct Strays {
    orphans: Vec<(StorageKey, u64)>,
    abandoned: Vec<(StorageKey, u64)>,
}

impl Collector {
    /// Deletes orphans and abandoned uploads.
    pub(super) async fn sweep(&self) -> Result<(), CollectError> {
        let mut after = None;
        loop {
            let page = self.store.list(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.key.clone());
            let (strays, _claim) = self.strays(page).await?;
            self.sweep_out(strays.orphans, |current| &mut current.orphans)
                .await?;
            self.sweep_out(strays.abandoned, |current| &mut current.abandoned)
                .await?;
        }
    }

    /// What a run would free, without freeing it.
    pub(crate) async fn dry_run(&self) -> Result<WouldCollect, CollectError> {
        let mut would = WouldCollect::default();
        let due = self.metadata.due(COUNTED).await?;
        would.more |= due.len() == COUNTED;
        for due in due.into_iter().filter(|due| !due.held) {
            would.blobs.add(1, due.size);
            if would.first_blobs.len() < NAMED {
                would.first_blobs.push(WouldRemove {
                    registry: due.registry,
                    digest: due.digest,
                    size: due.size,
                });
            }
        }
        let doomed = self.metadata.doomed(COUNTED).await?;
        would.more |= doomed.len() == COUNTED;
        for doomed in doomed {
            let object = layout::object(doomed.key);
            let size = self.store.stat(&object).await?;
            would.doomed.add(1, size.unwrap_or(0));
        }
        let mut after = None;
        loop {
            let page = self.store.list(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(would);
            };
            after = Some(last.key.clone());
            let (Strays { orphans, abandoned }, _claim) = self.strays(page).await?;
            count(&mut would.orphans, &orphans);
            count(&mut would.abandoned, &abandoned);
            let room = NAMED - would.first_objects.len();
            let strays = orphans.iter().chain(&abandoned).take(room);
            let names = strays.map(|(key, _)| layout::object(*key).to_string());
            would.first_objects.extend(names);
        }
    }

    /// Those of a page that nobody wants, and that no session can take up as long as the claim
    /// lives.
    async fn strays(&self, page: Vec<Listed>) -> Result<(Strays, SweepClaim<'_>), CollectError> {
        let old = page.into_iter().filter(|listed| self.is_old(listed));
        let old: Vec<_> = old.filter_map(ours).collect();
        let objects = old.iter().map(|(key, _)| (key.epoch, key.generation));
        let claim = self.uploads.claim_for_sweep(objects.collect());
        let claimed = old
            .into_iter()
            .filter(|(key, _)| claim.has(key.epoch, key.generation));
        let (finished, abandoned): (Vec<_>, Vec<_>) =
            claimed.partition(|(_, listed)| listed.finished);
        let sized = |(key, listed): (StorageKey, Listed)| (key, listed.size);
        let keys: Vec<_> = finished.iter().map(|(key, _)| *key).collect();
        let known = if keys.is_empty() {
            Vec::new()
        } else {
            self.metadata.known(&keys).await?
        };
        // An answer that is too short says nothing of the rest, which therefore stays.
        let judged = finished.into_iter().zip(known);
        let unknown = judged.filter_map(|(stray, is_known)| (!is_known).then_some(stray));
        let strays = Strays {
            orphans: unknown.map(sized).collect(),
            abandoned: abandoned.into_iter().map(sized).collect(),
        };
        Ok((strays, claim))
    }

    fn is_old(&self, listed: &Listed) -> bool {
        let life = if listed.finished {
            self.lifetimes.finished
        } else {
            self.lifetimes.unfinished
        };
        let now = self.clock.now_millis();
        listed.modified_millis.is_some_and(|modified| {
            Duration::from_millis(now.saturating_sub(modified)) > life + MARGIN.min(life / 24)
        })
    }

    async fn sweep_out(
        &self,
        strays: Vec<(StorageKey, u64)>,
        tally: impl Fn(&mut super::CollectionReport) -> &mut Tally,
    ) -> Result<(), CollectError> {
        let bytes = strays.iter().map(|(_, bytes)| bytes).sum();
        let keys: Vec<_> = strays.into_iter().map(|(key, _)| key).collect();
        let count = keys.len() as u64;
        let (_, failure) = self.delete(keys).await;
        match failure {
            Some(error) => Err(error.into()),
            None => {
                tally(&mut self.status().current).add(count, bytes);
                Ok(())
            }
        }
    }
}

/// An object with the metadata's name for it, if it is one of ours.
fn ours(listed: Listed) -> Option<(StorageKey, Listed)> {
    let key = layout::storage_key(&listed.key);
    if key.is_none() {
        tracing::warn!(object = %listed.key, "an object of no registry lies in the store");
    }
    Some((key?, listed))
}

fn count(tally: &mut Tally, strays: &[(StorageKey, u64)]) {
    strays.iter().for_each(|(_, bytes)| tally.add(1, *bytes));
}
