//! Blobs whose turn has come.
//!
//! The list is a hint. Whether a blob is condemned or removed is decided in the metadata's log, at
//! the place of the step, and a blob that something holds is put off there.

use meridian_clients::{Collect, Due};

use super::{CollectError, Collector, doomed};

/// How often a list that looks the same is gone through again in a run.
const MOST_REPEATS: u32 = 10_000;

impl Collector {
    /// Takes every step that can be taken now, in batches, each followed by the deletion of what
    /// it doomed: so the list of doomed objects stays short however much there is to do.
    pub(super) async fn judge(&self) -> Result<(), CollectError> {
        let (mut before, mut repeats) = (Vec::new(), 0);
        loop {
            let due = self.metadata.due(self.config.batch).await?;
            fail::fail_point!("gc.after_scan");
            if due.is_empty() {
                return Ok(());
            }
            if due == before {
                // A blob of very many repositories leaves them some at a time, and stays in the list
                // until it has left the last one. Otherwise a list that no step has changed would stay
                // for ever.
                let leaves = due.iter().any(|due| due.condemned && !due.held);
                repeats += 1;
                if !leaves || repeats > MOST_REPEATS {
                    return Ok(());
                }
            }
            let (condemned, fresh): (Vec<_>, Vec<_>) =
                due.iter().copied().partition(|due| due.condemned);
            self.condemn(fresh).await?;
            self.remove(condemned).await?;
            self.delete_doomed(doomed::of_a_record).await?;
            before = due;
        }
    }

    async fn condemn(&self, due: Vec<Due>) -> Result<(), CollectError> {
        if due.is_empty() {
            return Ok(());
        }
        let outcome = self.propose(Collect::Condemn(names(&due))).await?;
        fail::fail_point!("gc.after_condemn_commit");
        let mut status = self.status();
        status.current.condemned.add(outcome.blobs, outcome.bytes);
        Ok(())
    }

    async fn remove(&self, due: Vec<Due>) -> Result<(), CollectError> {
        if due.is_empty() {
            return Ok(());
        }
        fail::fail_point!("gc.before_begin_delete");
        let outcome = self.propose(Collect::Remove(names(&due))).await?;
        fail::fail_point!("gc.after_begin_delete_before_physical");
        let mut status = self.status();
        status.current.removed.add(outcome.blobs, outcome.bytes);
        Ok(())
    }
}

fn names(due: &[Due]) -> Vec<(meridian_event::RegistryId, meridian_oci::Digest)> {
    due.iter().map(|due| (due.registry, due.digest)).collect()
}
