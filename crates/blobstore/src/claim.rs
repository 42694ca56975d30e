//! Who is at which unfinished object.
//!
//! Owns the rule that one unfinished object has one writer, including the writes that a dropped
//! writer left behind, on a blocking thread or on their way to a remote store: a successor waits for
//! those, so that a late write can never land on top of its bytes. Leaves other processes out: a data
//! directory has one process, and a remote store has conditions for that.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::BlobKey;

/// The claims of a store.
#[derive(Default)]
pub(crate) struct Claims {
    held: Mutex<HashMap<BlobKey, Arc<Hold>>>,
}

struct Hold {
    /// The writer is gone; only writes on their way hold the claim.
    left: AtomicBool,
    /// Closed when the claim ends; never has a permit.
    ended: Semaphore,
}

/// The right to write one unfinished object. It ends when dropped.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    key: BlobKey,
    hold: Arc<Hold>,
}

/// A living writer has the object.
pub(crate) struct Busy;

// === impl Claims ===

impl Claims {
    /// Claims `key`, after waiting for the last write of a writer that is gone.
    pub(crate) async fn take(self: &Arc<Self>, key: &BlobKey) -> Result<Claim, Busy> {
        loop {
            let other = match self.held().entry(key.clone()) {
                Entry::Vacant(place) => {
                    let hold = Arc::new(Hold {
                        left: AtomicBool::new(false),
                        ended: Semaphore::new(0),
                    });
                    place.insert(Arc::clone(&hold));
                    return Ok(Claim {
                        claims: Arc::clone(self),
                        key: key.clone(),
                        hold,
                    });
                }
                Entry::Occupied(other) if other.get().left.load(Ordering::Acquire) => {
                    Arc::clone(other.get())
                }
                Entry::Occupied(_) => return Err(Busy),
            };
            // Never granted: it returns when the semaphore is closed.
            drop(other.ended.acquire().await);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<BlobKey, Arc<Hold>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Claim ===

impl Claim {
    /// The writer goes; what is on its way is soon done.
    pub(crate) fn leave(&self) {
        self.hold.left.store(true, Ordering::Release);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.held().remove(&self.key);
        self.hold.ended.close();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_successor_waits_for_the_writes_of_a_writer_that_left() {
        let claims = Arc::new(Claims::default());
        let key: BlobKey = "a/01/0000000000000001-0000000000000001".parse().unwrap();
        let first = claims.take(&key).await.ok().unwrap();
        assert!(claims.take(&key).await.is_err());
        first.leave();
        let mut second = Box::pin(claims.take(&key));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        let second = second.await;
        assert!(second.is_ok());
        drop(second);
        assert!(claims.held().is_empty());
    }
}
