//! Listing objects in the order of their keys.
//!
//! The bucket's own order is that of the keys, with a note behind its object, so a page is read from
//! one listing. Costs a request for each thousand names. A store that does not list in the order of
//! names (the directory buckets of S3) cannot be used.

use aws_sdk_s3::types::Object;

use super::Shared;
use super::failure::Failure;
use super::layout::Named;
use crate::{BlobKey, Listed};

/// As much as S3 lists at once.
const MOST: usize = 1000;

/// The objects after `after`, at most `limit`.
pub(super) async fn list(
    store: &Shared,
    after: Option<&BlobKey>,
    limit: usize,
) -> Result<Vec<Listed>, Failure> {
    let mut page: Vec<Listed> = Vec::new();
    // Behind the note, too.
    let mut behind = after.map(|key| store.layout.note(key));
    let mut more = true;
    while more && page.len() < limit {
        // Each may have a note, and one more name tells whether the last one does.
        let wanted = (limit - page.len()).saturating_mul(2).min(MOST);
        let prefix = store.layout.prefix();
        let (objects, truncated) = store.bucket.list(prefix, behind.take(), wanted).await?;
        more = truncated && !objects.is_empty();
        behind = objects.last().and_then(|last| last.key.clone());
        for object in objects {
            let Some(Named { key, finished }) = object.key().and_then(|it| store.layout.read(it))
            else {
                continue;
            };
            // The note of an object that is finished: its commit is about to end, or was cut short.
            if page.last().is_some_and(|last| last.key == key) {
                continue;
            }
            if page.len() == limit {
                return Ok(page);
            }
            page.push(listed(key, finished, &object));
        }
    }
    Ok(page)
}

fn listed(key: BlobKey, finished: bool, object: &Object) -> Listed {
    let modified = object.last_modified().and_then(|at| at.to_millis().ok());
    Listed {
        key,
        finished,
        size: object
            .size()
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or(0),
        modified_millis: modified.and_then(|millis| u64::try_from(millis).ok()),
    }
}
