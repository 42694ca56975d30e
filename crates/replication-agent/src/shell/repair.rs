//! When an event log does not do: asking the origin for events, or for all it knows.

use std::sync::Arc;
use std::time::Duration;

use meridian_clients::peer::{PeerApi, PeerError};
use meridian_clients::replica::{CopyMark, CopyPage, CursorAt, EventRange, Events, Progress};
use meridian_clock::Region;
use meridian_error::chain;
use meridian_event::{Envelope, SHARDS};
use meridian_proto::encode_envelope;
use meridian_replication::{Arrival, Cursor, Refill, Refilled, ResyncReason, StreamId};

use super::Shell;
use super::merge::cursor;

/// How many cells are copied at once.
const PAGE: usize = 500;
/// How often each page is asked for, and how long to wait before it is asked for again.
const ATTEMPTS: usize = 5;
const AGAIN: Duration = Duration::from_millis(500);

impl Shell {
    pub(super) async fn refill(self: Arc<Self>, stream: StreamId, refill: Refill) {
        let refilled = self.ask_for_events(stream, &refill).await;
        self.engine
            .tell(|agent, now| agent.refilled(now, stream, refilled));
    }

    async fn ask_for_events(&self, stream: StreamId, refill: &Refill) -> Refilled {
        let range = EventRange {
            shard: stream.shard,
            epoch: refill.epoch,
            from: refill.from,
            to: refill.to,
            max_bytes: refill.bytes,
        };
        let Some(peer) = self.peer(stream.origin) else {
            return Refilled::Failed;
        };
        match self.in_time(peer.events(&range)).await {
            Some(Ok(Events::Here(events))) => {
                Refilled::Events(events.into_iter().map(arrival).collect())
            }
            Some(Ok(Events::Gone)) => Refilled::Gone,
            Some(Err(error)) => {
                tracing::debug!(%stream, %error, "a region does not say what its event log lacks");
                Refilled::Failed
            }
            None => Refilled::Failed,
        }
    }

    /// Brings the state here up to the origin's. All of a region's streams are served by one copy.
    pub(super) async fn resync(
        self: Arc<Self>,
        stream: StreamId,
        from: Cursor,
        reason: ResyncReason,
    ) {
        let resynced = self.copy_state(stream, from, reason).await;
        let resynced = resynced.unwrap_or_else(|error| {
            let error = chain(&*error);
            tracing::warn!(%stream, error, "the state of a region was not copied");
            None
        });
        self.engine
            .tell(|agent, now| agent.resynced(now, stream, resynced));
    }

    async fn copy_state(
        &self,
        stream: StreamId,
        from: Cursor,
        reason: ResyncReason,
    ) -> Result<Option<Cursor>, Failure> {
        let Some(copying) = self.copying.get(&stream.origin) else {
            return Ok(None);
        };
        let met = self.introductions.until_open(stream.origin);
        self.in_time(met).await.ok_or(NotMet(stream.origin))?;
        let _copying = copying.lock().await;
        if let Some(cursor) = self.cursor_beyond(stream, from).await? {
            return Ok(Some(cursor));
        }
        tracing::info!(%stream, ?reason, "copying the state of a region");
        let cursors = self.copy_region(stream.origin).await?;
        self.learn(cursors.iter().filter(|at| stream_of(at) != stream));
        let mine = cursors.iter().find(|at| stream_of(at) == stream);
        Ok(mine.map(|at| cursor(at.place)))
    }

    /// Copies a region before any of its events is merged.
    pub(crate) async fn copy_anew(&self, region: Region) -> Result<(), Failure> {
        let copying = self.copying.get(&region);
        let copying = copying.ok_or("the settings do not name it")?;
        let _copying = copying.lock().await;
        let cursors = self.copy_region(region).await?;
        self.learn(cursors.iter());
        Ok(())
    }

    /// Goes on behind what was copied.
    fn learn<'c>(&self, cursors: impl Iterator<Item = &'c CursorAt>) {
        for at in cursors {
            let (id, place) = (stream_of(at), cursor(at.place));
            self.engine
                .tell(|agent, now| agent.learn_cursor(now, id, place));
        }
    }

    /// Merges all that a region knows, and goes on with its events behind that. Returns where.
    pub(crate) async fn copy_region(&self, region: Region) -> Result<Vec<CursorAt>, Failure> {
        let peer = self.peer(region).ok_or("the settings do not name it")?;
        let progress = self.answer_of(peer.progress()).await?;
        let cells = self.copy_cells(&**peer).await?;
        let cursors = cursors(&progress);
        self.ports.replica.set_cursors(cursors.clone()).await?;
        tracing::info!(%region, cells, "the state of a region is copied");
        for at in &cursors {
            self.engine
                .tell_freshness(|it, _| it.learn_cursor(stream_of(at), cursor(at.place)));
        }
        Ok(cursors)
    }

    /// The cursor of a stream in the state, if a copy has moved it meanwhile.
    async fn cursor_beyond(
        &self,
        stream: StreamId,
        from: Cursor,
    ) -> Result<Option<Cursor>, Failure> {
        let progress = self.ports.replica.progress().await?;
        let mut cursors = progress.cursors.iter();
        let mine = cursors.find(|at| stream_of(at) == stream);
        let mine = mine.map(|at| cursor(at.place));
        Ok(mine.filter(|cursor| *cursor > from))
    }

    /// Merges all cells of a region; returns how many there are.
    pub(crate) async fn copy_cells(&self, peer: &dyn PeerApi) -> Result<usize, Failure> {
        fail::fail_point!("rp.copy.skip_cells", |_| Ok(0));
        let (mut after, mut cells) = (None, 0);
        loop {
            let page = self.page(peer, after).await?;
            cells += page.found.len();
            if !page.found.is_empty() {
                self.ports.replica.merge_found(page.found).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(cells);
            }
        }
    }

    /// The next page. Over a bad line, not every answer arrives.
    async fn page(&self, peer: &dyn PeerApi, after: Option<CopyMark>) -> Result<CopyPage, Failure> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let page = self.answer_of(peer.copy(after.clone(), PAGE)).await;
            if page.is_ok() || attempts.next().is_none() {
                return page;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn answer_of<T>(
        &self,
        answer: impl Future<Output = Result<T, PeerError>>,
    ) -> Result<T, Failure> {
        let answer = self.in_time(answer).await;
        Ok(answer.unwrap_or(Err(PeerError::DeadlineExceeded))?)
    }
}

/// A region that this one has not met.
#[derive(Debug, thiserror::Error)]
#[error("this region and {0} have not met yet")]
struct NotMet(Region);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where the cursors of a region's streams stand when all is merged that it knows. What it says of
/// others' streams is not believed: they say it themselves.
fn cursors(progress: &Progress) -> Vec<CursorAt> {
    let heads = (0..SHARDS).zip(&progress.heads);
    let cursors = heads.map(|(shard, place)| CursorAt {
        origin: progress.region,
        shard,
        place: *place,
    });
    cursors.collect()
}

pub(crate) const fn stream_of(at: &CursorAt) -> StreamId {
    StreamId {
        origin: at.origin,
        shard: at.shard,
    }
}

fn arrival(envelope: Envelope) -> Arrival {
    Arrival::Event {
        bytes: encode_envelope(&envelope).len(),
        envelope: Arc::new(envelope),
    }
}
