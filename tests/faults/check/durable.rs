//! DUR and INTEG: what was acknowledged is there, with its bytes.
//!
//! Nobody in these runs deletes a manifest by its digest, so one that was put stays. While faults go
//! on an answer may be refused, but never be "not there"; in the end every frontend has everything, in
//! every region.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use harness::{Client, Image};
use meridian_oci::Digest;

use super::{Breach, End, breach};
use crate::history::{Call, Name, Op, Outcome};

/// Requests under way at once.
const AT_ONCE: usize = 8;
/// So many losses are enough to say that there are some.
const ENOUGH: usize = 5;
/// How often a read is tried in the end.
const ATTEMPTS: usize = 3;
/// For how long whoever cannot be reached may be waited for, as 503 says to (design §4, leaves first).
const PATIENCE: Duration = Duration::from_secs(30);
/// What 503 says to wait for.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// When each manifest was acknowledged, and where.
fn acknowledged(ops: &[Op]) -> HashMap<Digest, (Duration, Name)> {
    let puts = ops.iter().filter_map(|op| match (&op.call, &op.outcome) {
        (Call::Put(name, digest), Outcome::Done(_)) => Some((*digest, (op.ended, name.clone()))),
        _ => None,
    });
    puts.collect()
}

/// An upload of which acknowledged bytes are gone: it may have to begin again (404), but is never continued
/// elsewhere (416) nor with other bytes (400).
fn forgotten(op: &Op) -> Option<Breach> {
    let (Call::Upload(digest), Outcome::Refused(status @ (400 | 416))) = (&op.call, &op.outcome)
    else {
        return None;
    };
    Some(breach("DUR")(format!(
        "the upload of {digest} lost what it had, and got {status} at {:?}",
        op.ended
    )))
}

/// What the calls themselves show.
pub(super) fn online(ops: &[Op]) -> Vec<Breach> {
    let acknowledged = acknowledged(ops);
    let mut found: Vec<_> = ops.iter().filter_map(forgotten).collect();
    for op in ops {
        let Call::Fetch(_, digest) = &op.call else {
            continue;
        };
        match &op.outcome {
            Outcome::Found(other) if other != digest => {
                found.push(breach("INTEG")(format!(
                    "{digest} has other bytes: {other}"
                )));
            }
            Outcome::Absent
                if acknowledged
                    .get(digest)
                    .is_some_and(|(at, _)| *at < op.begun) =>
            {
                found.push(breach("DUR")(format!(
                    "{digest} was gone at {:?}",
                    op.begun
                )));
            }
            _ => {}
        }
    }
    found
}

/// What is there in the end.
pub(super) async fn at_the_end(ops: &[Op], end: &End<'_>) -> Vec<Breach> {
    let acknowledged = acknowledged(ops);
    let kept = end.images.iter().filter_map(|image| {
        let (_, name) = acknowledged.get(&image.digest())?;
        Some((name.repository.as_str(), image))
    });
    let kept: Vec<_> = kept.collect();
    let asked = end.clients.iter().enumerate().flat_map(|(front, client)| {
        let kept = kept.iter();
        kept.map(move |(repository, image)| async move {
            let lost = lost(client, repository, image).await?;
            Some(format!("frontend {front}: {repository}: {lost}"))
        })
    });
    let lost = stream::iter(asked).buffered(AT_ONCE);
    let lost = lost.filter_map(async |lost| lost).take(ENOUGH);
    let lost: Vec<_> = lost.collect().await;
    lost.into_iter().map(breach("DUR")).collect()
}

/// What of an image cannot be had.
async fn lost(client: &Client, repository: &str, image: &Image) -> Option<String> {
    let manifest = (format!("manifests/{}", image.digest()), &image.manifest);
    let blobs = image.blobs.iter();
    let blobs = blobs.map(|blob| (format!("blobs/{}", harness::digest(blob)), blob));
    for (path, bytes) in std::iter::once(manifest).chain(blobs) {
        let mut said = String::new();
        let since = Instant::now();
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            said = match client.get(&format!("/v2/{repository}/{path}")).await {
                Ok(answer) if answer.status.as_u16() == 200 && answer.body == *bytes => {
                    String::new()
                }
                Ok(answer) if answer.status.as_u16() == 200 => "it has other bytes".to_owned(),
                Ok(answer) if answer.status.as_u16() == 503 && since.elapsed() < PATIENCE => {
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
                Ok(answer) => answer.status.to_string(),
                Err(error) => error.to_string(),
            };
            if said.is_empty() {
                break;
            }
            attempts += 1;
        }
        if !said.is_empty() {
            return Some(format!("{path}: {said}"));
        }
    }
    None
}
