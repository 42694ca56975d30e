//! What frontends are told of other regions.

use std::time::Duration;

use meridian_clock::Region;
use meridian_oci::Digest;
use meridian_proto::meridian::content::v1 as content;
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, digest, required, text};

use super::Result;
use crate::regions::{Freshness, Resolved};

impl From<Freshness> for pb::GetFreshnessResponse {
    fn from(freshness: Freshness) -> Self {
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let peers = freshness
            .peers
            .into_iter()
            .map(|(region, age)| pb::PeerFreshness {
                region: region.to_string(),
                age_millis: age.map(millis),
            });
        Self {
            region: freshness.region.to_string(),
            peers: peers.collect(),
        }
    }
}

impl TryFrom<pb::GetFreshnessResponse> for Freshness {
    type Error = DecodeError;

    fn try_from(value: pb::GetFreshnessResponse) -> Result<Self> {
        let peers = value.peers.into_iter().map(|peer| {
            let region: Region = text(&peer.region, "peers.region")?;
            Ok((region, peer.age_millis.map(Duration::from_millis)))
        });
        Ok(Self {
            region: text(&value.region, "region")?,
            peers: peers.collect::<Result<_>>()?,
        })
    }
}

impl From<Resolved> for pb::ResolveResponse {
    fn from(resolved: Resolved) -> Self {
        Self {
            manifest: Some(resolved.manifest.into()),
            region: resolved.region.to_string(),
        }
    }
}

impl TryFrom<pb::ResolveResponse> for Resolved {
    type Error = DecodeError;

    fn try_from(value: pb::ResolveResponse) -> Result<Self> {
        Ok(Self {
            manifest: required(value.manifest, "manifest")?.try_into()?,
            region: text(&value.region, "region")?,
        })
    }
}

/// Digests, as they are sent.
#[must_use]
pub fn digests(digests: &[Digest]) -> Vec<content::Digest> {
    digests.iter().map(|digest| (*digest).into()).collect()
}

/// Digests.
///
/// # Errors
///
/// When one of them is none.
pub fn take_digests(value: Vec<content::Digest>) -> Result<Vec<Digest>> {
    let digests = value.into_iter().map(|it| digest(Some(it), "digests"));
    digests.collect()
}
