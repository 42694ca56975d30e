//! Telling people how streams are doing.
//!
//! A region that is met for the first time is copied, which is no alarm; that an alarm is over is told
//! only if it was one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use meridian_replication::{Condition, ResyncReason, StreamId};

use crate::words;

/// Of which streams an alarm was told.
#[derive(Default)]
pub(super) struct Alarms {
    told: Mutex<BTreeSet<StreamId>>,
}

// === impl Alarms ===

impl Alarms {
    pub(super) fn tell(&self, stream: StreamId, condition: Condition) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let alarm = words::alarm(stream, condition, None).unwrap_or_default();
        match condition {
            Condition::Halted(_) => {
                tracing::error!(%stream, "a region's stream of events {alarm}");
                told.insert(stream);
            }
            Condition::Ahead { .. } | Condition::Resyncing(ResyncReason::Lost) => {
                tracing::warn!(%stream, "a region's stream of events {alarm}");
                told.insert(stream);
            }
            // Whoever copies tells.
            Condition::Resyncing(ResyncReason::Epoch(_)) => {}
            Condition::Following | Condition::Gap { .. } | Condition::Refused => {
                if told.remove(&stream) {
                    tracing::info!(%stream, "a region's stream of events is merged again");
                }
            }
        }
    }
}
