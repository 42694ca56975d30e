//! When images are at the far place, whole.
//!
//! Owns how that is known of each side, and has the peer's images copied, one after the other, or all of a
//! backlog by one program. Nothing here asks ours for an image: it would answer by fetching it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use meridian_event::Event;
use meridian_eventlog::Record;
use meridian_proto::decode_envelope;

use super::image::{manifest_path, number_in, repository, tag};
use crate::client::CallError;
use crate::registry::Session;
use crate::server::{Copier, Far};
use crate::workload::LoadError;
use crate::workload::ledger::{Ledger, Seen};
use crate::workload::tail::Tail;

const POLL: Duration = Duration::from_millis(1);
/// Between two looks at the far registry, which cost it.
const LOOK: Duration = Duration::from_millis(5);

/// Which images were pushed, and which have arrived.
pub(super) struct Arrivals {
    ledger: Arc<Ledger>,
    way: Way,
}

/// Takes note of what was pushed.
#[derive(Clone)]
pub(super) struct Pushes(Arc<Ledger>);

/// How images come to the far place.
enum Way {
    /// By themselves; the far place tells of each.
    Told(Tail),
    /// They are copied there.
    Copied { copier: Copier, far: Session },
    /// When somebody pulls them there.
    Pulled { far: Session },
}

/// The image that a record says the far place can serve.
fn served_in(record: &Record) -> Option<u64> {
    match decode_envelope(&record.payload).ok()?.event {
        Event::Replicated(notice) => number_in(notice.tags.first()?.as_str()),
        _ => None,
    }
}

// === impl Pushes ===

impl Pushes {
    /// The client at the near place has the answer to its push.
    pub(super) fn done(&self, number: u64, at: Instant) {
        self.0.sent(number, at);
    }
}

// === impl Arrivals ===

impl Arrivals {
    pub(super) async fn begin(far: &Far) -> Result<Self, LoadError> {
        let ledger = Arc::<Ledger>::default();
        let way = match (&far.copier, &far.stream) {
            (Some(copier), _) => Way::Copied {
                copier: copier.clone(),
                far: Session::open(&far.registry).await?,
            },
            (None, Some(stream)) => {
                let log = stream.open().await.map_err(CallError::of("Kafka"))?;
                let (log, topic) = (Arc::new(log), stream.topic());
                Way::Told(Tail::begin(&log, &topic, &ledger, served_in).await?)
            }
            (None, None) => Way::Pulled {
                far: Session::open(&far.registry).await?,
            },
        };
        Ok(Self { ledger, way })
    }

    /// Where those who push say so.
    pub(super) fn pushes(&self) -> Pushes {
        Pushes(Arc::clone(&self.ledger))
    }

    /// Waits until all that was pushed has arrived; these are what is not there yet. The caller has a
    /// deadline.
    pub(super) async fn complete(&mut self, numbers: Range<u64>) -> Result<(), CallError> {
        match &mut self.way {
            Way::Told(tail) => {
                while self.ledger.has_waiting() {
                    tail.still_reads()?;
                    tokio::time::sleep(POLL).await;
                }
            }
            Way::Copied { copier, far } => {
                for number in numbers {
                    copy(copier, far, &self.ledger, number).await?;
                }
            }
            Way::Pulled { far } => {
                for number in numbers {
                    far.get(&manifest_path(number), "GET manifest").await?;
                    self.ledger.seen(number, Instant::now());
                }
            }
        }
        Ok(())
    }

    /// The same, where all was pushed before: what copies is told of all of it at once.
    pub(super) async fn complete_at_once(&mut self, numbers: Range<u64>) -> Result<(), CallError> {
        let Way::Copied { copier, .. } = &self.way else {
            return self.complete(numbers).await;
        };
        let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for number in numbers.clone() {
            images
                .entry(repository(number))
                .or_default()
                .push(tag(number));
        }
        copier.sync(&images).await?;
        let at = Instant::now();
        numbers.for_each(|number| self.ledger.seen(number, at));
        Ok(())
    }

    /// What has not arrived is not waited for any more.
    pub(super) fn give_up(&self) {
        self.ledger.give_up();
    }

    /// How long those took that have arrived since this was asked last.
    pub(super) fn close(&self) -> Seen {
        self.ledger.close()
    }
}

/// The program ends half a round trip and more after the image has arrived, so that it is looked for.
async fn copy(
    copier: &Copier,
    far: &mut Session,
    ledger: &Ledger,
    number: u64,
) -> Result<(), CallError> {
    let (repository, tag) = (repository(number), tag(number));
    let path = manifest_path(number);
    let mut copied = pin!(copier.copy(&repository, &tag));
    let mut is_there = false;
    loop {
        tokio::select! {
            done = &mut copied => {
                done?;
                if !is_there {
                    ledger.seen(number, Instant::now());
                }
                return Ok(());
            }
            () = tokio::time::sleep(LOOK), if !is_there => {
                is_there = far.head(&path).await? == StatusCode::OK;
                if is_there {
                    ledger.seen(number, Instant::now());
                }
            }
        }
    }
}
