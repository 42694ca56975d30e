//! Objects that no record names, and never did.
//!
//! A crash between the store and the record leaves a finished object behind, an abandoned upload
//! an unfinished one. Either is taken for a stray when it is older than any upload that could still
//! want it, when no session of this process has it nor can get it meanwhile, when no request of another
//! instance has it in hand, and, for a finished one, when the metadata says that no record names it. All of that is a view that may be old: a record may
//! be on its way from a process that was paused, or has another clock. So strays are proposed to be
//! doomed, and only what the metadata doomed in its log, where from that entry on no record can name
//! it, is deleted, as all that is doomed. Whoever was late places his bytes anew.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use meridian_blobstore::Listed;
use meridian_clients::{Collect, StorageKey};

use super::report::{CollectionReport, Tally, WouldCollect, WouldRemove};
use super::{CollectError, Collector, doomed};
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

/// Objects of a page that nobody wants, as it seems.
struct Strays(BTreeMap<StorageKey, Stray>);

struct Stray {
    bytes: u64,
    finished: bool,
}

impl Collector {
    /// Has orphans and abandoned uploads doomed, and deletes them.
    pub(super) async fn sweep(&self) -> Result<(), CollectError> {
        let mut after = None;
        loop {
            let page = self.store.list(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.key.clone());
            let (strays, _claim) = self.strays(page).await?;
            self.sweep_out(strays).await?;
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
            let (Strays(strays), _claim) = self.strays(page).await?;
            for stray in strays.values() {
                stray.count(&mut would.orphans, &mut would.abandoned);
            }
            let room = NAMED - would.first_objects.len();
            let names = strays.keys().map(|key| layout::object(*key).to_string());
            would.first_objects.extend(names.take(room));
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
        let mut strays: BTreeMap<_, _> = claimed
            .map(|(key, listed)| {
                let stray = Stray {
                    bytes: listed.size,
                    finished: listed.finished,
                };
                (key, stray)
            })
            .collect();
        let unfinished = strays.iter().filter(|(_, stray)| !stray.finished);
        let unfinished = unfinished.map(|(key, _)| (key.epoch, key.generation));
        let unfinished: Vec<_> = unfinished.collect();
        let idle: HashSet<_> = self.uploads.idle(unfinished).await.into_iter().collect();
        strays.retain(|key, stray| stray.finished || idle.contains(&(key.epoch, key.generation)));
        let finished = strays.iter().filter(|(_, stray)| stray.finished);
        let finished: Vec<_> = finished.map(|(key, _)| *key).collect();
        if !finished.is_empty() {
            let known = self.metadata.known(&finished).await?;
            // An answer that is too short says nothing of the rest, which therefore stays.
            let known = known.into_iter().chain(std::iter::repeat(true));
            for (key, _) in finished.iter().zip(known).filter(|(_, known)| *known) {
                strays.remove(key);
            }
        }
        Ok((Strays(strays), claim))
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

    async fn sweep_out(&self, Strays(strays): Strays) -> Result<(), CollectError> {
        let keys: Vec<_> = strays.keys().copied().collect();
        let mut doomed = 0;
        for some in keys.chunks(self.config.batch.max(1)) {
            doomed += self.propose(Collect::Doom(some.to_vec())).await?.blobs;
        }
        fail::fail_point!("gc.after_doom_before_physical");
        if doomed < keys.len() as u64 {
            tracing::warn!(
                doomed,
                strays = keys.len(),
                "the metadata lets some objects be that look like orphans: it names them by now, or \
                 it never gave out their registry or generation",
            );
        }
        if doomed == 0 {
            return Ok(());
        }
        self.delete_doomed(|report, key| match strays.get(&key) {
            Some(stray) => stray.count_in(report),
            None => doomed::of_a_record(report, key),
        })
        .await
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

// === impl Stray ===

impl Stray {
    const fn count_in(&self, report: &mut CollectionReport) {
        self.count(&mut report.orphans, &mut report.abandoned);
    }

    const fn count(&self, orphans: &mut Tally, abandoned: &mut Tally) {
        let tally = if self.finished { orphans } else { abandoned };
        tally.add(1, self.bytes);
    }
}
