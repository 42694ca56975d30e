//! How far a log has acknowledged, for whoever opens it again in the same process.
//!
//! After a sync has failed, the page cache may hold what the disk does not, in pages that count as
//! written: the next sync succeeds, and what is read back is lost with the next power cut. So a log
//! that is opened again believes nothing behind what was acknowledged. Keeps two invariants: what
//! stands behind it is cut off before anybody reads it, as an unknown outcome allows; and what stands
//! before it is all there, or the log is damaged.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::durable;
use super::fault::{CorruptSegment, OpenError};
use super::segment::Segment;
use crate::Topic;

/// The end of each topic: its newest segment, and the first byte behind what is acknowledged there.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged(Vec<(Topic, u64, u64)>);

// === impl Acknowledged ===

impl Acknowledged {
    /// What `directory` shows to readers.
    pub(super) fn of(directory: &Directory) -> Self {
        let ends = directory.streams().into_iter().filter_map(|stream| {
            let (segment, end) = stream.end()?;
            Some((stream.topic.clone(), segment, end))
        });
        Self(ends.collect())
    }

    /// Cuts off what stands behind it in the log under `root`.
    pub(super) fn cut(&self, root: &Path) -> Result<(), OpenError> {
        for (topic, newest, end) in &self.0 {
            let folder = root.join(topic.as_str());
            let path = folder.join(Segment::file_name(*newest));
            let file = match OpenOptions::new().write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(missing(path, 0));
                }
                file => file.map_err(OpenError::io("open", &path))?,
            };
            let metadata = file.metadata().map_err(OpenError::io("look at", &path))?;
            if metadata.len() < *end {
                return Err(missing(path, metadata.len()));
            }
            file.set_len(*end).map_err(OpenError::io("cut", &path))?;
            durable::sync_file(&file).map_err(OpenError::io("sync", &path))?;
            // At most one more was begun, and nothing in it was acknowledged.
            let next = folder.join(Segment::file_name(newest + 1));
            match std::fs::remove_file(&next) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(OpenError::io("remove", &next)(error));
                }
                _ => {}
            }
            durable::sync_folder(&folder).map_err(OpenError::io("sync", &folder))?;
        }
        Ok(())
    }

    /// Checks that a log that was opened has all of it.
    pub(super) fn check(&self, root: &Path, opened: &Directory) -> Result<(), OpenError> {
        for (topic, newest, end) in &self.0 {
            let found = opened.find(topic).and_then(|stream| stream.end());
            let found = found.map_or(
                0,
                |(number, found)| if number == *newest { found } else { 0 },
            );
            if found < *end {
                let folder = root.join(topic.as_str());
                return Err(missing(folder.join(Segment::file_name(*newest)), found));
            }
        }
        Ok(())
    }
}

fn missing(path: PathBuf, position: u64) -> OpenError {
    OpenError::Corrupt(CorruptSegment {
        path,
        position,
        what: "records that were acknowledged are missing",
    })
}
