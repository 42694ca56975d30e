//! Content on its way.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::watch;

use super::kept::{Files, Kept};
use super::spans::Spans;

/// The greatest piece that is read at once.
const PIECE: u64 = 256 << 10;

/// Content on its way: written in any order, read from the front.
pub(crate) struct Slot {
    size: u64,
    place: Place,
    spans: Mutex<Spans>,
    state: watch::Sender<State>,
}

/// What became of content that was on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is on its way.
    Coming,
    /// It is stored where it belongs.
    Stored,
    /// What was here of it was thrown away.
    Lost,
}

/// Why content does not come, for whoever waits for it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Hitch {
    /// What had come was thrown away.
    #[error("what had come was not what it should have been, or could not be kept")]
    Lost,
    /// It came here by another way.
    #[error("it has come to this region since it was looked for")]
    Here,
    /// No region that answers has it; if the first is set, they all said so.
    #[error("no region that answers has it")]
    Absent(bool),
}

#[derive(Debug, Clone, Copy)]
struct State {
    prefix: u64,
    fate: Fate,
    /// How often it was found that nobody has it, and whether all regions said so.
    missed: (u64, bool),
}

enum Place {
    Memory(Mutex<Vec<u8>>),
    /// They have names as long as it is on its way.
    Files(Arc<Files>),
}

// === impl Slot ===

impl Slot {
    pub(super) fn in_memory(size: u64) -> Self {
        let bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        Self::at(size, Place::Memory(Mutex::new(bytes)))
    }

    pub(super) fn in_files(files: Files, size: u64) -> Self {
        Self::at(size, Place::Files(Arc::new(files)))
    }

    /// One of which something is here already.
    pub(super) fn resumed(kept: &Kept) -> Self {
        let mut slot = Self::at(kept.size, Place::Files(Arc::clone(&kept.files)));
        let spans = kept.verified();
        slot.state
            .send_modify(|state| state.prefix = spans.prefix());
        slot.spans = Mutex::new(spans);
        slot
    }

    fn at(size: u64, place: Place) -> Self {
        let (state, _) = watch::channel(State {
            prefix: 0,
            fate: Fate::Coming,
            missed: (0, false),
        });
        Self {
            size,
            place,
            spans: Mutex::default(),
            state,
        }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state.borrow().prefix == self.size
    }

    /// Keeps bytes that came. They are here when this returns.
    pub(crate) async fn write(&self, offset: u64, bytes: Bytes) -> io::Result<()> {
        let range = self.range(offset, bytes.len())?;
        match &self.place {
            Place::Memory(memory) => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory[indices(&range)].copy_from_slice(&bytes);
            }
            Place::Files(files) => {
                let files = Arc::clone(files);
                blocking(move || files.write(offset, &bytes)).await?;
            }
        }
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.insert(range);
        let prefix = spans.prefix();
        self.state.send_if_modified(|state| {
            let is_more = prefix > state.prefix;
            state.prefix = prefix;
            is_more
        });
        Ok(())
    }

    fn range(&self, offset: u64, length: usize) -> io::Result<Range<u64>> {
        let end = u64::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length))
            .filter(|end| *end <= self.size);
        let end = end.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(offset..end)
    }

    /// All of it, if it is in memory.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match &self.place {
            Place::Memory(memory) if self.state.borrow().prefix == self.size => {
                let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                Some(Bytes::copy_from_slice(&memory))
            }
            _ => None,
        }
    }

    /// It is not on its way any more. What is here of it goes when nobody reads it.
    pub(crate) fn close(&self, fate: Fate) {
        if let Place::Files(files) = &self.place {
            files.remove();
        }
        self.state.send_modify(|state| state.fate = fate);
    }

    /// Tells those who wait now that nobody has it who answers. It may be found later.
    pub(crate) fn miss(&self, is_certain: bool) {
        self.state
            .send_modify(|state| state.missed = (state.missed.0 + 1, is_certain));
    }

    /// Returns when it is stored where it belongs.
    pub(crate) async fn stored(&self) -> Result<(), Hitch> {
        let seen = self.misses();
        self.until(seen, |state| state.fate == Fate::Stored).await?;
        Ok(())
    }

    /// Returns when something of it is here from `start` on.
    pub(crate) async fn begun(&self, start: u64) -> Result<(), Hitch> {
        let seen = self.misses();
        self.until(seen, |state| state.prefix > start).await?;
        Ok(())
    }

    /// Its bytes, as they come: all that were asked for, or an error.
    pub(crate) fn read(
        self: Arc<Self>,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let seen = self.misses();
        futures::stream::try_unfold((self, range), move |(slot, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let here = slot.until(seen, |state| state.prefix > range.start).await;
            let end = here.map_err(io::Error::other)?.prefix;
            let end = end.min(range.end).min(range.start + PIECE);
            let bytes = slot.read_at(range.start..end).await?;
            Ok(Some((bytes, (slot, end..range.end))))
        })
    }

    /// Waits for something, unless it cannot come any more, or nobody was found from whom it could
    /// since `seen`.
    async fn until(&self, seen: u64, wanted: impl Fn(&State) -> bool) -> Result<State, Hitch> {
        let mut state = self.state.subscribe();
        let judge = |state: &State| match state.fate {
            Fate::Lost => Some(Err(Hitch::Lost)),
            _ if wanted(state) => Some(Ok(*state)),
            Fate::Stored => Some(Err(Hitch::Here)),
            _ if state.missed.0 > seen => Some(Err(Hitch::Absent(state.missed.1))),
            Fate::Coming => None,
        };
        let told = state.wait_for(|state| judge(state).is_some()).await;
        // The sender is here.
        told.map_or(Err(Hitch::Lost), |state| {
            judge(&state).unwrap_or(Err(Hitch::Lost))
        })
    }

    fn misses(&self) -> u64 {
        self.state.borrow().missed.0
    }

    async fn read_at(&self, range: Range<u64>) -> io::Result<Bytes> {
        match &self.place {
            Place::Memory(memory) => {
                let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Bytes::copy_from_slice(&memory[indices(&range)]))
            }
            Place::Files(files) => {
                let files = Arc::clone(files);
                blocking(move || {
                    let mut bytes = vec![0; indices(&range).len()];
                    files.read_exact_at(&mut bytes, range.start)?;
                    Ok(bytes.into())
                })
                .await
            }
        }
    }
}

/// Of what lies in memory, or is small.
fn indices(range: &Range<u64>) -> Range<usize> {
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    index(range.start)..index(range.end)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}
