//! Parts that were handed over: on their way, or stored.
//!
//! Owns their tasks, whose end is at the latest the writer's own. Keeps the invariant that what is
//! stored is a prefix: a part counts when all before it do.

use std::future::Future;

use tokio::task::JoinSet;

use crate::s3::failure::Failure;
use crate::s3::note::Part;

/// The parts of one object, in order.
pub(super) struct Flight {
    /// Those that are stored, with all before them.
    stored: Vec<Part>,
    /// Those behind the first that is on its way: stored or not, and how long they are.
    ahead: Vec<(u64, Option<Part>)>,
    tasks: JoinSet<(usize, Result<Part, Failure>)>,
    most: usize,
    len: u64,
}

// === impl Flight ===

impl Flight {
    /// With at most so many on their way at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            stored: Vec::new(),
            ahead: Vec::new(),
            tasks: JoinSet::new(),
            most,
            len: 0,
        }
    }

    /// Takes over what an earlier writer stored.
    pub(super) fn restore(&mut self, parts: &[Part]) {
        self.stored = parts.to_vec();
        self.len = parts.iter().map(|part| part.checksum.len).sum();
    }

    /// How many were handed over.
    pub(super) fn count(&self) -> usize {
        self.stored.len() + self.ahead.len()
    }

    /// How many bytes were handed over.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Those that are stored, with all before them. After [`settle`](Self::settle), all.
    pub(super) fn stored(&self) -> &[Part] {
        &self.stored
    }

    /// Hands a part of `len` bytes over, which `upload` stores.
    pub(super) fn start(
        &mut self,
        len: u64,
        upload: impl Future<Output = Result<Part, Failure>> + Send + 'static,
    ) {
        let index = self.count();
        self.ahead.push((len, None));
        self.len += len;
        self.tasks.spawn(async move { (index, upload.await) });
    }

    /// Waits until another part may be handed over.
    pub(super) async fn room(&mut self) -> Result<(), Failure> {
        while self.tasks.len() >= self.most {
            self.next().await?;
        }
        Ok(())
    }

    /// Waits until all are stored.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        while !self.tasks.is_empty() {
            self.next().await?;
        }
        Ok(())
    }

    /// Takes note of those that are stored by now, without waiting.
    pub(super) fn land(&mut self) -> Result<(), Failure> {
        while let Some(landed) = self.tasks.try_join_next() {
            let (index, part) = landed.map_err(|error| Failure::odd(error.to_string()))?;
            self.note(index, part?);
        }
        Ok(())
    }

    /// Forgets those from `count` on. None is on its way.
    pub(super) fn cut(&mut self, count: usize) {
        debug_assert!(self.tasks.is_empty(), "parts are on their way");
        self.stored.truncate(count);
        self.len = self.stored.iter().map(|part| part.checksum.len).sum();
    }

    /// Ends those on their way.
    pub(super) fn cancel(&mut self) {
        self.tasks.abort_all();
    }

    /// Waits until none is on its way, whatever becomes of them.
    pub(super) async fn drain(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Waits for one. Given up, it is still on its way.
    async fn next(&mut self) -> Result<(), Failure> {
        if let Some(landed) = self.tasks.join_next().await {
            let (index, part) = landed.map_err(|error| Failure::odd(error.to_string()))?;
            self.note(index, part?);
        }
        Ok(())
    }

    fn note(&mut self, index: usize, part: Part) {
        let at = index - self.stored.len();
        self.ahead[at].1 = Some(part);
        let whole = self.ahead.iter().take_while(|(_, part)| part.is_some());
        let whole = whole.count();
        let landed = self.ahead.drain(..whole);
        self.stored.extend(landed.filter_map(|(_, part)| part));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::s3::checksum::Checksum;

    fn part(text: &str) -> Part {
        Part {
            etag: text.to_owned(),
            checksum: Checksum::of(text.as_bytes()),
        }
    }

    #[tokio::test]
    async fn a_part_counts_when_all_before_it_do() {
        let mut flight = Flight::new(2);
        let (first, told) = oneshot::channel();
        flight.start(1, async { Ok(told.await.unwrap()) });
        flight.start(2, async { Ok(part("bb")) });
        flight.room().await.unwrap();
        assert!(flight.stored().is_empty());
        assert_eq!((flight.count(), flight.len()), (2, 3));
        first.send(part("a")).unwrap();
        flight.settle().await.unwrap();
        assert_eq!(flight.stored(), [part("a"), part("bb")]);
        flight.cut(1);
        assert_eq!((flight.count(), flight.len()), (1, 1));
    }

    #[tokio::test]
    async fn a_failure_is_told_by_whoever_waits_next() {
        let mut flight = Flight::new(1);
        flight.start(1, async { Err(Failure::odd("with a failure")) });
        assert!(flight.room().await.is_err());
    }
}
