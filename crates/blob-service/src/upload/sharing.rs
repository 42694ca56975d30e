//! Which of several instances has a session in hand.
//!
//! ```text
//! lease   who takes it first has the session; renewed while the request lasts, and ends by itself
//! memo    what the last one that had it left
//! ```
//!
//! Owns both entries in the cache, each named after the generation of the session's bytes. Keeps the
//! invariant that a memo is only replaced by who has read it, and is trusted to tell what bytes hash to
//! only if its writer had the lease without interruption: an entry of the cache never gets the same
//! version twice, so a lease that could be renewed was nobody else's meanwhile.
//!
//! Nothing that is durable rests on either. Without the cache a request goes on all the same: of two
//! that meet at one object the store tells one that it was overtaken, what was hashed meanwhile is
//! hashed once more when it is complete, and nothing is deleted that is not doomed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join;
use futures::{StreamExt, stream};
use meridian_cache::{Cache, CacheError, CacheKey, Entry, EntryVersion, Swap};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::memo::Memo;
use crate::ticket::{Stamp, Ticket};

/// How long a session stays in the hand of an instance that is gone.
const LEASE: Duration = Duration::from_secs(6);

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(2);

/// The same for an upload in one request, which only the sweep needs to know of.
const LONG_LEASE: Duration = Duration::from_secs(600);
const LONG_RENEWAL: Duration = Duration::from_secs(180);

/// How long it is remembered that a session has no bytes. Later, the store is asked.
const FRESH: Duration = Duration::from_secs(600);

/// The cache is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many leases are asked for at once.
const AT_ONCE: usize = 16;

/// What a lease says: that it is free, or who holds it.
const FREE: Bytes = Bytes::from_static(b"free");
const HELD: &[u8] = b"held by ";

/// The cache in which sessions are shared.
pub(crate) struct Sharing {
    cache: Arc<dyn Cache>,
    stamp: Stamp,
    /// How long a memo is kept.
    lifetime: Duration,
}

/// What a request has of a session, from its first look at it to its last word.
pub(crate) struct Hold {
    sharing: Arc<Sharing>,
    /// Takes the session from whoever has it.
    seizes: bool,
    /// What its leases say. Nobody else's say the same, so that one of which it is not known whether it was
    /// written is recognised.
    held: Bytes,
    leases: Mutex<Vec<Lease>>,
    /// Held by whoever takes or renews leases.
    renewing: tokio::sync::Mutex<()>,
    /// Whether nobody else can have had the session since it was taken.
    certain: AtomicBool,
    /// The memo that was read last, and of which ticket.
    read: Mutex<Option<(Ticket, Option<EntryVersion>)>>,
}

#[derive(Clone)]
struct Lease {
    key: CacheKey,
    /// `None` if the cache did not say whether it was written.
    version: Option<EntryVersion>,
}

/// What became of a lease.
enum Renewed {
    Kept(EntryVersion),
    /// It was lost for some time.
    Anew(EntryVersion),
    Taken,
}

/// Another request has the session.
#[derive(Debug)]
pub(crate) struct Taken;

// === impl Sharing ===

impl Sharing {
    pub(crate) fn new(cache: Arc<dyn Cache>, stamp: Stamp, lifetime: Duration) -> Self {
        Self {
            cache,
            stamp,
            lifetime,
        }
    }

    /// Takes a session, unless another instance has it. Without the cache, it is had without a lease.
    pub(crate) async fn take(self: &Arc<Self>, ticket: Ticket) -> Result<Hold, Taken> {
        self.hold(ticket, false).await
    }

    /// Takes a session from whoever has it, who will notice.
    pub(crate) async fn seize(self: &Arc<Self>, ticket: Ticket) -> Result<Hold, Taken> {
        self.hold(ticket, true).await
    }

    /// Tells that a session was opened. If that cannot be told, the store is asked later.
    pub(crate) async fn announce(&self, ticket: Ticket) {
        let memo = Memo::Fresh.encode(ticket, &self.stamp);
        let key = memo_key(ticket);
        let told = self.cache.set(&key, memo.into(), FRESH);
        if let Err(error) = patiently(told).await {
            tracing::debug!(%error, "other instances do not know of a new session");
        }
    }

    /// What is known of a session; `None` if nothing, or if the cache does not say.
    pub(crate) async fn memo(&self, ticket: Ticket) -> Option<Memo> {
        self.entry(ticket).await.ok()??.0
    }

    /// Keeps the sweeps of all instances from an object whose upload is one request, until it is done.
    pub(crate) async fn keep_long<T>(&self, ticket: Ticket, work: impl Future<Output = T>) -> T {
        let held = held();
        let keeping = async {
            loop {
                tokio::time::sleep(LONG_RENEWAL).await;
                let key = lease_key((ticket.epoch, ticket.generation));
                let kept = self.cache.set(&key, held.clone(), LONG_LEASE);
                if let Err(error) = patiently(kept).await {
                    tracing::debug!(%error, "other instances do not know of a long upload");
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = keeping => unreachable!("it has no end"),
        }
    }

    /// Those of `objects`, by epoch and generation, that no request has in hand for all that is known.
    pub(crate) async fn idle(&self, objects: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
        let asked = stream::iter(objects).map(|object| async move {
            let key = lease_key(object);
            match patiently(self.cache.get(&key)).await {
                Ok(lease) => lease.is_none_or(|it| it.value == FREE).then_some(object),
                Err(error) => {
                    tracing::debug!(%error, "an unfinished object is left to a later sweep");
                    None
                }
            }
        });
        let idle = asked.buffer_unordered(AT_ONCE);
        idle.filter_map(std::future::ready).collect().await
    }

    async fn hold(self: &Arc<Self>, ticket: Ticket, seizes: bool) -> Result<Hold, Taken> {
        let hold = Hold {
            sharing: Arc::clone(self),
            seizes,
            held: held(),
            leases: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
            certain: AtomicBool::new(true),
            read: Mutex::default(),
        };
        hold.lease(ticket).await?;
        Ok(hold)
    }

    /// Takes a lease that says `held`; `None` if another request has it.
    async fn lease(
        &self,
        key: &CacheKey,
        held: &Bytes,
        seizes: bool,
    ) -> Result<Option<EntryVersion>, CacheError> {
        if seizes {
            let set = self.cache.set(key, held.clone(), LEASE);
            return patiently(set).await.map(Some);
        }
        let mut expected = None;
        loop {
            let swap = self
                .cache
                .compare_and_set(key, expected, held.clone(), LEASE);
            match patiently(swap).await? {
                Swap::Stored(version) => return Ok(Some(version)),
                // Free, or ours: it was not known whether it was written.
                Swap::Changed(Some(found)) if found.value == FREE || found.value == *held => {
                    expected = Some(found.version);
                }
                Swap::Changed(None) if expected.is_some() => expected = None,
                Swap::Changed(_) => return Ok(None),
            }
        }
    }

    async fn renew(&self, lease: &Lease, held: &Bytes) -> Result<Renewed, CacheError> {
        let Lease { key, version } = lease;
        if let Some(version) = version {
            let swap = self
                .cache
                .compare_and_set(key, Some(*version), held.clone(), LEASE);
            match patiently(swap).await? {
                Swap::Stored(version) => return Ok(Renewed::Kept(version)),
                // Another one has it, or has had it.
                Swap::Changed(Some(found)) if found.value != *held => return Ok(Renewed::Taken),
                Swap::Changed(_) => {}
            }
        }
        // It came to its end, was lost with all that the cache had, or was written without our knowledge.
        let again = self.lease(key, held, false).await?;
        Ok(again.map_or(Renewed::Taken, Renewed::Anew))
    }

    async fn release(&self, lease: &Lease, held: &Bytes) -> Result<(), CacheError> {
        let mut expected = lease.version;
        for _ in 0..2 {
            let swap = self
                .cache
                .compare_and_set(&lease.key, expected, FREE, RENEWAL);
            match patiently(swap).await? {
                Swap::Changed(Some(found)) if found.value == *held => {
                    expected = Some(found.version);
                }
                Swap::Stored(_) | Swap::Changed(_) => break,
            }
        }
        Ok(())
    }

    /// Replaces a memo; `None` if it is not the expected one.
    async fn leave(
        &self,
        ticket: Ticket,
        memo: &Memo,
        expected: Option<EntryVersion>,
        seizes: bool,
    ) -> Result<Option<EntryVersion>, CacheError> {
        let key = memo_key(ticket);
        let bytes = Bytes::from(memo.encode(ticket, &self.stamp));
        if seizes {
            let set = self.cache.set(&key, bytes, self.lifetime);
            return patiently(set).await.map(Some);
        }
        let mut expected = expected;
        loop {
            let (cache, bytes) = (&self.cache, bytes.clone());
            let swap = cache.compare_and_set(&key, expected, bytes, self.lifetime);
            match patiently(swap).await? {
                Swap::Stored(version) => return Ok(Some(version)),
                // The cache lost it.
                Swap::Changed(None) if expected.is_some() => expected = None,
                Swap::Changed(_) => return Ok(None),
            }
        }
    }

    /// The memo of a session, with its version, whether it can be read or not.
    async fn entry(
        &self,
        ticket: Ticket,
    ) -> Result<Option<(Option<Memo>, EntryVersion)>, CacheError> {
        let key = memo_key(ticket);
        let entry = patiently(self.cache.get(&key)).await?;
        Ok(entry.map(|Entry { value, version }| {
            let memo = Memo::decode(&value, ticket, &self.stamp);
            if memo.is_none() {
                tracing::warn!(
                    generation = ticket.generation,
                    "what the cache says of an upload session is not from this region, or damaged; \
                     the store is asked instead",
                );
            }
            (memo, version)
        }))
    }
}

/// What a lease says that nobody else holds.
fn held() -> Bytes {
    [HELD, &rand::random::<[u8; 16]>()].concat().into()
}

fn lease_key((epoch, generation): (u64, u64)) -> CacheKey {
    CacheKey::regional("upload.lease")
        .with(epoch.to_be_bytes())
        .with(generation.to_be_bytes())
}

fn memo_key(ticket: Ticket) -> CacheKey {
    CacheKey::regional("upload.memo")
        .with(ticket.epoch.to_be_bytes())
        .with(ticket.generation.to_be_bytes())
}

async fn patiently<T>(asked: impl Future<Output = Result<T, CacheError>>) -> Result<T, CacheError> {
    let answered = timeout(PATIENCE, asked).await;
    answered.unwrap_or(Err(CacheError::TimedOut))
}

// === impl Hold ===

impl Hold {
    /// Holds the session of `ticket`, too, which is the same one under another id.
    pub(crate) async fn lease(&self, ticket: Ticket) -> Result<(), Taken> {
        let _renewing = self.renewing.lock().await;
        let key = lease_key((ticket.epoch, ticket.generation));
        let version = match self.sharing.lease(&key, &self.held, self.seizes).await {
            Ok(Some(version)) => Some(version),
            Ok(None) => return Err(Taken),
            Err(error) => {
                tracing::debug!(%error, "a session is worked at without a lease");
                self.doubt();
                None
            }
        };
        self.leases().push(Lease { key, version });
        Ok(())
    }

    /// What is known of the session under this ticket.
    pub(crate) async fn memo(&self, ticket: Ticket) -> Option<Memo> {
        let (memo, read) = match self.sharing.entry(ticket).await {
            Ok(Some((memo, version))) => (memo, Some((ticket, Some(version)))),
            Ok(None) => (None, Some((ticket, None))),
            Err(error) => {
                tracing::debug!(%error, "the store is asked for a session");
                self.doubt();
                (None, None)
            }
        };
        *self.read() = read;
        memo
    }

    /// Renews the leases while `work` lasts. When another request has taken one, `gone` tells the work
    /// to come to its end.
    pub(crate) async fn keep_during<T>(
        &self,
        gone: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> T {
        let done = CancellationToken::new();
        let work = async {
            let outcome = work.await;
            done.cancel();
            outcome
        };
        // A renewal that was begun is waited for: otherwise it would not be known what is in force.
        let keeping = async {
            let next = || done.run_until_cancelled(tokio::time::sleep(RENEWAL));
            while next().await.is_some() {
                if self.renew().await.is_err() {
                    gone.cancel();
                }
            }
        };
        join(work, keeping).await.0
    }

    /// Whether nobody else can have had the session until now.
    pub(crate) async fn is_certain(&self) -> bool {
        self.renew().await.is_ok() && self.certain.load(Ordering::Acquire)
    }

    async fn renew(&self) -> Result<(), Taken> {
        let _renewing = self.renewing.lock().await;
        let leases = self.leases().clone();
        let mut renewed = Vec::new();
        let mut taken = false;
        for mut lease in leases {
            match self.sharing.renew(&lease, &self.held).await {
                Ok(Renewed::Kept(version)) => lease.version = Some(version),
                Ok(Renewed::Anew(version)) => {
                    self.doubt();
                    lease.version = Some(version);
                }
                Ok(Renewed::Taken) => {
                    taken = true;
                    continue;
                }
                Err(error) => {
                    tracing::debug!(%error, "a lease was not renewed");
                    self.doubt();
                }
            }
            renewed.push(lease);
        }
        *self.leases() = renewed;
        if taken {
            self.doubt();
            return Err(Taken);
        }
        Ok(())
    }

    /// Leaves word of the session under `ticket`, unless somebody else did since this request read what
    /// there was. Returns whether it stands.
    pub(crate) async fn leave(&self, ticket: Ticket, memo: &Memo) -> bool {
        let read = *self.read();
        let expected = match read {
            Some((of, version)) if of == ticket => version,
            // This request has issued it.
            Some(_) => None,
            None if self.seizes => None,
            None => return false,
        };
        match self
            .sharing
            .leave(ticket, memo, expected, self.seizes)
            .await
        {
            Ok(Some(version)) => {
                if read.is_none_or(|(of, _)| of == ticket) {
                    *self.read() = Some((ticket, Some(version)));
                }
                true
            }
            Ok(None) => {
                self.doubt();
                false
            }
            Err(error) => {
                tracing::debug!(%error, "other instances are not told of a session");
                false
            }
        }
    }

    /// The ticket whose memo was read last.
    pub(crate) fn read_of(&self) -> Option<Ticket> {
        self.read().map(|(ticket, _)| ticket)
    }

    /// Gives the session back.
    pub(crate) async fn release(&self) {
        let leases = std::mem::take(&mut *self.leases());
        for lease in leases {
            if let Err(error) = self.sharing.release(&lease, &self.held).await {
                tracing::debug!(%error, "a lease ends by itself");
            }
        }
    }

    fn doubt(&self) {
        self.certain.store(false, Ordering::Release);
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> MutexGuard<'_, Option<(Ticket, Option<EntryVersion>)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
