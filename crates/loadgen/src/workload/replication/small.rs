//! Small images, as P1 pushes them.

use std::ops::Range;
use std::time::Instant;

use super::arrivals::Pushes;
use super::image::{repository, tag};
use crate::client::{CallError, Payload};
use crate::content::Image;
use crate::registry::{Chore, Registry, Session, spread};
use crate::workload::push_layer::compare;

/// Clients that push at the same time.
const CLIENTS: u32 = 16;

/// The push of many.
#[derive(Clone)]
struct Push {
    first: u64,
    pushes: Pushes,
}

/// Pushes images with these numbers, in any order.
pub(super) async fn push_all(
    registry: &Registry,
    pushes: Pushes,
    numbers: Range<u64>,
) -> Result<(), CallError> {
    let count = u32::try_from(numbers.end - numbers.start).unwrap_or(u32::MAX);
    let chore = Push {
        first: numbers.start,
        pushes,
    };
    spread(registry, CLIENTS, count, chore).await
}

/// Pushes the image with a number.
pub(super) async fn push(session: &mut Session, number: u64) -> Result<Image, CallError> {
    let image = Image::numbered(number);
    let repository = repository(number);
    for (blob, content) in &image.blobs {
        let payload = Payload::Whole(content.clone());
        session
            .push_blob(&repository, &blob.digest, payload)
            .await?;
    }
    session
        .put_manifest(&repository, &tag(number), &image.manifest)
        .await?;
    Ok(image)
}

/// Pulls it by digest, and compares.
pub(super) async fn check(session: &mut Session, number: u64) -> Result<(), CallError> {
    let image = Image::numbered(number);
    let repository = repository(number);
    let path = format!("/v2/{repository}/manifests/{}", image.manifest.digest);
    if session.get(&path, "GET manifest").await? != image.manifest.body {
        return Err(CallError::Content { what: path });
    }
    for (blob, _) in &image.blobs {
        compare(session, &repository, &blob.digest).await?;
    }
    Ok(())
}

// === impl Push ===

impl Chore for Push {
    async fn act(&self, session: &mut Session, number: u32) -> Result<(), CallError> {
        let number = self.first + u64::from(number);
        push(session, number).await?;
        self.pushes.done(number, Instant::now());
        Ok(())
    }
}
