//! Links to blobs: by what a frontend sends a client to the data endpoint of a blob service.
//!
//! ```text
//! /blobs/<registry>/<repository>/<digest>?expires=<seconds since 1970>&signature=<base64url>
//! ```
//!
//! The signature is HMAC-SHA256 over the region and all that the link says. So a link gives one blob
//! of one repository of one registry, for a few minutes, to whoever has it, and the data endpoint of
//! another region does not take it. Keeps the invariants that a link has one spelling, and that
//! nothing but its signature is secret. Leaves to the frontend whether its client may read the blob,
//! and to the data endpoint whether the blob is still present.

mod keys;
mod presigned;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use meridian_clock::Region;
use meridian_oci::Digest;
use sha2::Sha256;

use crate::RepositoryPath;

pub use keys::{LinkKeys, ParseLinkKeysError};
pub use presigned::{ParsePresignedUrlError, PresignedUrl};

/// By how much the clocks of a frontend and a blob service may differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// No link is made for longer, so that none lives longer than five minutes: made by a clock that is ahead,
/// it is followed by one that allows for one that is behind.
pub const MAX_LIFETIME: Duration = Duration::from_secs(240);

const PREFIX: &str = "/blobs/";
const EXPIRES: &str = "expires=";
const SIGNATURE: &str = "&signature=";

/// Makes links and recognises them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Links {
    region: Region,
    keys: LinkKeys,
}

/// What a link says that was made here and has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The repository.
    pub repository: RepositoryPath,
    /// The blob.
    pub digest: Digest,
    /// For how much longer the link is good.
    pub left: Duration,
}

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenLinkError {
    /// The path is not that of a link.
    #[error("the path is not that of a link to a blob")]
    Path,
    /// There is no signature, or something besides.
    #[error("the query is not that of a link to a blob")]
    Query,
    /// It was not signed with a key of ours, or says something else than what was signed.
    #[error("the signature is not one of ours for this link")]
    Forged,
    /// It was good once.
    #[error("the link has expired")]
    Expired,
    /// It would be good for longer than any link: a clock is wrong.
    #[error("the link is good for longer than any that is made now: a clock is wrong")]
    TooFar,
}

// === impl Links ===

impl Links {
    /// Links of a region.
    #[must_use]
    pub const fn new(region: Region, keys: LinkKeys) -> Self {
        Self { region, keys }
    }

    /// The path and the query of a link that is good for `lifetime` from `now_millis` on, but for
    /// [`MAX_LIFETIME`] at most.
    #[must_use]
    pub fn make(
        &self,
        repository: &RepositoryPath,
        digest: &Digest,
        now_millis: u64,
        lifetime: Duration,
    ) -> String {
        let lifetime = lifetime.min(MAX_LIFETIME).as_secs();
        let expires = (now_millis / 1000).saturating_add(lifetime);
        let said = self.said(repository, digest, expires);
        let signature = keyed(self.keys.first(), &said).finalize().into_bytes();
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let RepositoryPath { registry, name } = repository;
        format!("{PREFIX}{registry}/{name}/{digest}?{EXPIRES}{expires}{SIGNATURE}{signature}")
    }

    /// What a link says, if it is one of ours and good at `now_millis`. That it was signed is looked
    /// at first: of what was not, nothing else is told.
    ///
    /// # Errors
    ///
    /// When it is not to be followed.
    pub fn open(
        &self,
        path: &str,
        query: Option<&str>,
        now_millis: u64,
    ) -> Result<Link, OpenLinkError> {
        let (repository, digest) = subject(path).ok_or(OpenLinkError::Path)?;
        let (expires, signature) = query.and_then(seal).ok_or(OpenLinkError::Query)?;
        let said = self.said(&repository, &digest, expires);
        let is_ours = |key| keyed(key, &said).verify_slice(&signature).is_ok();
        if !self.keys.all().any(is_ours) {
            return Err(OpenLinkError::Forged);
        }
        let skew = CLOCK_SKEW.as_secs();
        let now = now_millis / 1000;
        if now > expires.saturating_add(skew) {
            return Err(OpenLinkError::Expired);
        }
        let left = expires.saturating_sub(now);
        if left > MAX_LIFETIME.as_secs() + skew {
            return Err(OpenLinkError::TooFar);
        }
        Ok(Link {
            repository,
            digest,
            left: Duration::from_secs(left),
        })
    }

    /// What is signed. No name can hold the separator, so no two links read the same.
    fn said(&self, repository: &RepositoryPath, digest: &Digest, expires: u64) -> String {
        let RepositoryPath { registry, name } = repository;
        let region = self.region.as_str();
        format!("meridian blob link 1\0{region}\0{registry}\0{name}\0{digest}\0{expires}")
    }
}

fn keyed(key: &Hmac<Sha256>, said: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(said.as_bytes());
    mac
}

/// The blob that a path names. Every part has one spelling, so the path has.
fn subject(path: &str) -> Option<(RepositoryPath, Digest)> {
    let (registry, rest) = path.strip_prefix(PREFIX)?.split_once('/')?;
    let (name, digest) = rest.rsplit_once('/')?;
    let repository = RepositoryPath {
        registry: registry.parse().ok()?,
        name: name.parse().ok()?,
    };
    Some((repository, digest.parse().ok()?))
}

/// When the link expires, and the signature, if the query says just that.
fn seal(query: &str) -> Option<(u64, Vec<u8>)> {
    let (expires, signature) = query.strip_prefix(EXPIRES)?.split_once(SIGNATURE)?;
    let is_plain = expires.bytes().all(|byte| byte.is_ascii_digit()) && !expires.starts_with('0');
    let expires = expires.parse().ok().filter(|_| is_plain)?;
    // Longer than a signature, it need not be decoded to be none.
    let signature = Some(signature).filter(|text| text.len() <= 64)?;
    Some((expires, URL_SAFE_NO_PAD.decode(signature).ok()?))
}

#[cfg(test)]
mod tests;
