//! Taking in the body of a manifest, within bounds.
//!
//! Owns two budgets of bytes that all connections share. *Buffered*: what was received and not
//! yet answered, counted as it arrives, so that a promise to send costs nothing. It is never
//! waited for: a budget that could be waited for by those who hold part of it would stand still.
//! *Parsing*: what is being parsed and written; it is waited for, because its holders need nothing
//! more from a client. Manifests above [`INLINE_BYTES`] are hashed and parsed off the threads that
//! serve connections.

use std::io;

use bytes::Bytes;
use meridian_oci::{Algorithm, Digest, MAX_MANIFEST_BYTES, Manifest, ParseManifestError};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::body::{CollectError, Inbound};

/// Below this, parsing takes less time than handing it over.
const INLINE_BYTES: usize = 64 * 1024;

/// The budgets for manifests under way.
#[derive(Debug)]
pub(crate) struct Intake {
    buffered: Semaphore,
    parsing: Semaphore,
}

/// Why a manifest was not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    /// It is longer than [`MAX_MANIFEST_BYTES`].
    #[error("manifest is longer than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// Too many manifests are on their way.
    #[error("the budget for manifests on their way is used up")]
    Overloaded,
    /// The body broke off.
    #[error("the request body broke off")]
    Body(#[source] io::Error),
}

impl From<CollectError> for IntakeError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::TooLong => Self::TooLarge,
            CollectError::BrokeOff(error) => Self::Body(error),
        }
    }
}

/// The bytes of a manifest, and their share of the budget.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    bytes: Bytes,
    share: Option<SemaphorePermit<'a>>,
}

/// A manifest that was read, its digest, and its share of both budgets.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
    /// To be held until the manifest is written.
    pub(crate) share: Share<'a>,
}

/// A share of the budgets, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    buffered: Option<SemaphorePermit<'a>>,
    _parsing: SemaphorePermit<'a>,
}

// === impl Intake ===

impl Intake {
    /// Budgets of so many bytes; each holds at least one manifest.
    pub(crate) fn new(buffered: usize, parsing: usize) -> Self {
        let budget = |bytes: usize| {
            let bytes = bytes.clamp(MAX_MANIFEST_BYTES, Semaphore::MAX_PERMITS);
            Semaphore::new(bytes)
        };
        Self {
            buffered: budget(buffered),
            parsing: budget(parsing),
        }
    }

    /// Receives a body of the announced length. One that is too long is refused before it is read.
    pub(crate) async fn receive(
        &self,
        length: Option<u64>,
        body: &Inbound,
    ) -> Result<Received<'_>, IntakeError> {
        if length.is_some_and(|length| length > MAX_MANIFEST_BYTES as u64) {
            return Err(IntakeError::TooLarge);
        }
        let mut share: Option<SemaphorePermit<'_>> = None;
        let admit = |length| {
            let more = self.buffered.try_acquire_many(weight(length));
            let more = more.map_err(|_used_up| IntakeError::Overloaded)?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
            Ok::<_, IntakeError>(())
        };
        let bytes = body.collect(MAX_MANIFEST_BYTES, admit).await?;
        Ok(Received { bytes, share })
    }

    /// Hashes and parses what was received.
    pub(crate) async fn accept<'a>(
        &'a self,
        received: Received<'a>,
        content_type: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Accepted<'a>, ParseManifestError> {
        let Received { bytes, share } = received;
        let parsing = self
            .parsing
            .acquire_many(weight(bytes.len()))
            .await
            .expect("the semaphore is never closed");
        let (manifest, digest) = if bytes.len() <= INLINE_BYTES {
            read(content_type, bytes, algorithm)
        } else {
            let content_type = content_type.map(str::to_owned);
            let work = move || read(content_type.as_deref(), bytes, algorithm);
            let read = tokio::task::spawn_blocking(work).await;
            read.expect("parsing does not panic, and the runtime outlives its requests")
        }?;
        Ok(Accepted {
            manifest,
            digest,
            share: Share {
                buffered: share,
                _parsing: parsing,
            },
        })
    }
}

// === impl Share ===

impl<'a> Share<'a> {
    /// Keeps what stands for bytes that are held, and lets others be parsed and written meanwhile.
    pub(crate) fn wait(self) -> Option<SemaphorePermit<'a>> {
        self.buffered
    }
}

fn read(
    content_type: Option<&str>,
    bytes: Bytes,
    algorithm: Algorithm,
) -> Result<(Manifest, Digest), ParseManifestError> {
    let manifest = Manifest::parse(content_type, bytes)?;
    let digest = manifest.digest(algorithm);
    Ok((manifest, digest))
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("no piece of a manifest is longer than a manifest")
}

#[cfg(test)]
mod tests;
