//! The other regions, as far as requests are concerned with them.
//!
//! Owns what a frontend asks of the agents of its region, and what it remembers of their answers. Keeps
//! the invariants that questions which are the same are asked once, however many clients wait; and that
//! an answer "nowhere" is remembered for a second at most, and never by a request that a push may rely
//! on. Leaves to the agents who is asked and for how long, and that what is found is merged here before
//! it is answered; and to [`find`](crate::find) when to ask.

mod absent;
mod consistency;
mod counts;
mod currency;
mod flights;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meridian_chassis::metrics::Metrics;
use meridian_clients::regions::{RegionsApi, RemoteBlob, Resolved};
use meridian_clients::{BlobApi, ReadBlobError, ReadError, RepositoryPath, Stale};
use meridian_clock::{Region, Version};
use meridian_event::Target;
use meridian_oci::{Digest, Reference};
use tokio::time::Instant;

use crate::{Config, Counters};
use absent::Absent;
use counts::{Counts, Outcome};
use currency::Currency;
use flights::Flights;

pub use consistency::Consistency;
pub(crate) use consistency::Judgement;
pub(crate) use counts::Answered;

/// The other regions, if there are any.
#[derive(Clone)]
pub struct Regions {
    /// This one.
    pub here: Region,
    /// What its agents know of others.
    pub api: Arc<dyn RegionsApi>,
    /// The blobs of other regions, for sessions that were opened there.
    pub peers: BTreeMap<Region, Arc<dyn BlobApi>>,
}

/// The other regions, and what is remembered of them.
pub(crate) struct Elsewhere {
    here: Region,
    api: Arc<dyn RegionsApi>,
    peers: BTreeMap<Region, Arc<dyn BlobApi>>,
    consistency: Consistency,
    max_staleness: Duration,
    flights: Flights,
    absent: Absent,
    currency: Currency,
    counts: Counts,
}

/// Why other regions are asked for a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// It is unknown here.
    Missing,
    /// What is known here may be old.
    Newer,
    /// It must be of this version, or newer.
    Since(Version),
}

// === impl Elsewhere ===

impl Elsewhere {
    pub(crate) fn new(regions: Regions, config: &Config, counters: &Counters) -> Self {
        let Regions { here, api, peers } = regions;
        let counts = Counts::new(peers.keys().copied());
        Self {
            here,
            api,
            peers,
            consistency: config.consistency,
            max_staleness: config.max_staleness,
            flights: Flights::default(),
            absent: Absent::new(Arc::clone(&counters.own)),
            currency: Currency::new(here),
            counts,
        }
    }

    pub(crate) fn register(self: &Arc<Self>, metrics: &Metrics) {
        self.counts.register(metrics);
        let this = Arc::clone(self);
        let help = "For how long this region may have missed what happened in another one.";
        metrics.read("frontend_staleness_milliseconds", help, move || {
            let age = this.currency.age()?;
            i64::try_from(age.as_millis()).ok()
        });
    }

    /// This region.
    pub(crate) const fn here(&self) -> Region {
        self.here
    }

    /// Whether this is a region that the settings name, or this one.
    pub(crate) fn knows(&self, region: Region) -> bool {
        region == self.here || self.peers.contains_key(&region)
    }

    /// The blobs of another region.
    pub(crate) fn peer(&self, region: Region) -> Option<&Arc<dyn BlobApi>> {
        self.peers.get(&region)
    }

    /// Looks for a manifest in all regions.
    pub(crate) async fn resolve(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        ask: Ask,
    ) -> Result<Resolved, ReadError> {
        let name = absent::manifest(repository, reference);
        if ask == Ask::Missing && self.absent.knows(&name).await {
            self.counts.asked(Outcome::Remembered, None);
            return Err(ReadError::ManifestUnknown);
        }
        let (asked, resolved) = self.inquire(repository, reference, ask).await;
        let region = resolved.as_ref().ok().map(|found| found.region);
        self.counts
            .asked(Outcome::of(resolved.as_ref().err()), region);
        if ask == Ask::Missing && resolved == Err(ReadError::ManifestUnknown) {
            self.absent.remember(&name, asked).await;
        }
        resolved
    }

    async fn inquire(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        ask: Ask,
    ) -> (Instant, Result<Resolved, ReadError>) {
        let at_least = match ask {
            Ask::Since(version) => Some(version),
            Ask::Missing | Ask::Newer => None,
        };
        let question = (repository.clone(), reference.clone(), at_least);
        let age = self.shareable(reference);
        self.flights.join(&self.api, question, age).await
    }

    /// How long ago a question may have been asked that somebody else wants the answer of.
    fn shareable(&self, reference: &Reference) -> Duration {
        match (reference, self.consistency) {
            (Reference::Digest(_), _) => Duration::MAX,
            (Reference::Tag(_), Consistency::Strong) => Duration::ZERO,
            (Reference::Tag(_), _) => self.max_staleness,
        }
    }

    /// Opens a blob that is unknown here.
    pub(crate) async fn read_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError> {
        let asked = Instant::now();
        let name = absent::blob(repository, &digest);
        if self.absent.knows(&name).await {
            self.counts.asked(Outcome::Remembered, None);
            return Err(ReadError::BlobUnknown.into());
        }
        let read = self.open(repository, digest, range).await;
        if let Err(ReadBlobError::Metadata(ReadError::BlobUnknown)) = &read {
            self.absent.remember(&name, asked).await;
        }
        read
    }

    /// The same, for whom no remembered answer will do.
    pub(crate) async fn open(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError> {
        let read = self.api.read_blob(repository, digest, range).await;
        let (outcome, region) = match &read {
            Ok(found) => (Outcome::Found, Some(found.region)),
            Err(ReadBlobError::Metadata(error)) => (Outcome::of(Some(error)), None),
            Err(ReadBlobError::Unreadable { .. }) => (Outcome::Away, None),
        };
        self.counts.asked(outcome, region);
        read
    }

    /// Which regions have the attributes of something as they are here.
    pub(crate) async fn holders(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Vec<Region>, ReadError> {
        self.api.holders(repository, target).await
    }

    /// Has what a push relies on brought here. Returns what of it is nowhere.
    pub(crate) async fn bring(
        &self,
        repository: &RepositoryPath,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, ReadError> {
        let brought = self.api.bring(repository, digests).await;
        let outcome = match &brought {
            Ok(nowhere) if nowhere.is_empty() => Outcome::Brought,
            Ok(_) => Outcome::Absent,
            Err(error) => Outcome::of(Some(error)),
        };
        self.counts.asked(outcome, None);
        brought
    }

    /// How far behind each other region we may be, however little that is.
    pub(crate) fn ages(&self) -> Vec<Stale> {
        self.currency.behind(Duration::ZERO)
    }
}
