//! Objects that no record names any more.
//!
//! Deleting is idempotent, and a key is never used again: a deletion that comes late, or twice, or
//! from a collector that believes itself alone, hits nothing else.

use futures::{StreamExt, stream};
use meridian_blobstore::StorageError;
use meridian_clients::{Collect, StorageKey};

use super::report::CollectionReport;
use super::{CollectError, Collector};
use crate::layout;

/// How many objects are deleted at once.
const AT_ONCE: usize = 8;

/// Counts an object whose blob was removed, or was uploaded once more.
pub(super) const fn of_a_record(report: &mut CollectionReport, _: StorageKey) {
    report.deleted_objects += 1;
}

impl Collector {
    /// Deletes doomed objects until there are none, and has each counted.
    pub(super) async fn delete_doomed(
        &self,
        count: impl Fn(&mut CollectionReport, StorageKey) + Send + Sync,
    ) -> Result<(), CollectError> {
        loop {
            let doomed = self.metadata.doomed(self.config.batch).await?;
            if doomed.is_empty() {
                return Ok(());
            }
            let keys = doomed.into_iter().map(|doomed| doomed.key);
            let (deleted, failure) = self.delete(keys.collect()).await;
            fail::fail_point!("gc.after_physical_before_done");
            if !deleted.is_empty() {
                self.propose(Collect::Deleted(deleted.clone())).await?;
                let mut status = self.status();
                let report = &mut status.current;
                deleted.into_iter().for_each(|key| count(report, key));
            }
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
    }

    /// Deletes objects. Returns those that are gone, and one failure if there was any.
    async fn delete(&self, keys: Vec<StorageKey>) -> (Vec<StorageKey>, Option<StorageError>) {
        let deletions = keys.into_iter().map(|key| async move {
            let outcome = self.store.delete(&layout::object(key)).await;
            outcome.map(|()| key)
        });
        let mut outcomes = stream::iter(deletions).buffer_unordered(AT_ONCE);
        let (mut deleted, mut failure) = (Vec::new(), None);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(key) => deleted.push(key),
                Err(error) => failure = Some(error),
            }
        }
        (deleted, failure)
    }
}
