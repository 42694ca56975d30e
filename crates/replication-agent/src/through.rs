//! Reading through: what other regions have, for clients of this one.
//!
//! Keeps these invariants: what is found elsewhere is merged here before it is answered, with the
//! version that it has, and makes no event (design §6.3); content comes once, however many wait for
//! it; what a region does not answer in time is not waited for, and the answer says so.

mod blob;
mod bring;
mod locate;
mod resolve;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use meridian_clients::image::ImageStatus;
use meridian_clients::peer::{PeerApi, PeerError};
use meridian_clients::regions::{Freshness, RegionsApi, RemoteBlob, ReplicationStatus, Resolved};
use meridian_clients::{ReadBlobError, ReadError, RepositoryPath};
use meridian_clock::{Region, Version};
use meridian_oci::{Digest, Reference};

use crate::shell::{Shell, in_time};
use crate::{ReplicationAgent, image, status};

/// What the regions said that were asked.
pub(crate) struct Answers<T> {
    pub(crate) said: Vec<(Region, T)>,
    /// Those that did not answer in time.
    silent: Vec<Region>,
}

#[async_trait]
impl RegionsApi for ReplicationAgent {
    async fn freshness(&self) -> Result<Freshness, ReadError> {
        let shell = &self.shell;
        let peers = shell.engine.look_at_freshness(|freshness, now| {
            let age = |region| {
                let as_of = freshness.fresh_as_of(region, None)?;
                Some(now.elapsed.saturating_sub(as_of))
            };
            let peers = shell.ports.peers.iter().map(|peer| peer.region);
            peers.map(|region| (region, age(region))).collect()
        });
        Ok(Freshness {
            region: shell.region,
            peers,
        })
    }

    async fn resolve(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<Resolved, ReadError> {
        resolve::resolve(&self.shell, repository, reference, at_least).await
    }

    async fn read_blob(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<RemoteBlob, ReadBlobError> {
        blob::read(&self.shell, repository, digest, range).await
    }

    async fn bring(
        &self,
        repository: &RepositoryPath,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, ReadError> {
        bring::bring(&self.shell, repository, digests).await
    }

    async fn status(&self) -> Result<ReplicationStatus, ReadError> {
        status::status(&self.shell).await
    }

    async fn image(
        &self,
        repository: &RepositoryPath,
        reference: &Reference,
        at_least: Option<Version>,
    ) -> Result<ImageStatus, ReadError> {
        image::status(&self.shell, repository, reference, at_least).await
    }
}

impl Shell {
    /// Asks all other regions at once, but for those that were not heard of for a while.
    pub(crate) async fn ask_all<T, F>(
        self: &Arc<Self>,
        deadline: impl Fn(Region) -> Duration,
        ask: impl Fn(Arc<dyn PeerApi>) -> F,
    ) -> Answers<T>
    where
        F: Future<Output = Result<T, PeerError>>,
    {
        let asked = self.ports.peers.iter().map(|peer| {
            let (region, answer) = (peer.region, ask(Arc::clone(&peer.api)));
            let is_deaf = self.heads.is_deaf(region);
            let answer = in_time(deadline(region), answer);
            async move {
                let answer = match is_deaf {
                    true => None,
                    false => answer.await,
                };
                (region, answer)
            }
        });
        let mut answers = Answers {
            said: Vec::new(),
            silent: Vec::new(),
        };
        for (region, answer) in join_all(asked).await {
            match answer {
                Some(Ok(answer)) => answers.said.push((region, answer)),
                Some(Err(error)) => {
                    tracing::debug!(%region, %error, "a region does not answer");
                    answers.silent.push(region);
                }
                None => answers.silent.push(region),
            }
        }
        answers
    }
}

// === impl Answers ===

impl<T> Answers<T> {
    /// Why there is no answer, when none of those who answered has one.
    pub(crate) fn lack(&self, unknown: ReadError) -> ReadError {
        match self.silent.first() {
            None => unknown,
            Some(region) => unavailable(*region),
        }
    }
}

fn unavailable(region: Region) -> ReadError {
    ReadError::Unavailable {
        reason: format!("region {region} does not answer, and may have it"),
    }
}
