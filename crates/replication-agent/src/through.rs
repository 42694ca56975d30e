//! Reading through: what other regions have, for clients of this one.
//!
//! Keeps these invariants: what is found elsewhere is merged here before it is answered, with the
//! version that it has, and makes no event (design §6.3); content comes once, however many wait for
//! it; what a region does not answer in time is not waited for, and the answer says so.

mod answers;
mod blob;
mod bring;
mod holders;
mod locate;
mod resolve;

use async_trait::async_trait;
use meridian_clients::image::ImageStatus;
use meridian_clients::regions::{Freshness, RegionsApi, RemoteBlob, ReplicationStatus, Resolved};
use meridian_clients::{ReadBlobError, ReadError, RepositoryPath};
use meridian_clock::{Region, Version};
use meridian_event::Target;
use meridian_oci::{Digest, Reference};
use meridian_replication::StreamId;

use crate::{ReplicationAgent, image, status};

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

    async fn holders(
        &self,
        repository: &RepositoryPath,
        target: &Target,
    ) -> Result<Vec<Region>, ReadError> {
        holders::holders(&self.shell, repository, target).await
    }

    async fn status(&self) -> Result<ReplicationStatus, ReadError> {
        status::status(&self.shell).await
    }

    async fn skip(&self, origin: Region, shard: u16) -> Result<Option<u64>, ReadError> {
        Ok(self.shell.skip(StreamId { origin, shard }))
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

fn unavailable(region: Region) -> ReadError {
    ReadError::Unavailable {
        reason: format!("region {region} does not answer, and may have it"),
    }
}
