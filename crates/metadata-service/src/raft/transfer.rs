//! A snapshot on its way from one member to another.
//!
//! ```text
//! head: vote, meta ── rows ── rows ── … ── end: how many
//! rows: (length, key, length, value) …       lengths are u32, little endian
//! ```
//!
//! Owns that format, and the file into which a member receives. Keeps two invariants: what has
//! broken off is never taken for a snapshot, because only the end says how many rows there are; and
//! what is received lies in a file of its own, which takes part in nothing before it is complete.
//! Rows are read and written by threads that may block, a few parts ahead of the network at most.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use meridian_proto::meridian::raft::v1 as pb;
use pb::snapshot_part::Part;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;

use crate::patience::Patience;
use crate::raft::SnapshotMeta;
use crate::raft::snapshot::{Image, Received};
use crate::store::{Applied, PutRow, Store};

/// Bytes of rows in a part, about.
const PART_BYTES: usize = 512 << 10;
/// Parts that wait for the other side.
const AHEAD: usize = 4;
/// What a snapshot is received into. Names of this form are cleared away at a start.
const INCOMING: &str = "state-incoming.redb";
/// Bytes that the database of what is received may cache.
const CACHE_BYTES: usize = 64 << 20;

/// The parts of a snapshot that begins with `head`.
pub(super) fn send(head: pb::Message, image: Image) -> ReceiverStream<pb::SnapshotPart> {
    let (parts, outgoing) = mpsc::channel(AHEAD);
    let reading = spawn_blocking(move || {
        let put = |part| parts.blocking_send(part_of(part)).is_ok();
        if put(Part::Head(head)) {
            match read_rows(&image, &put) {
                Ok(Some(rows)) => drop(put(Part::End(pb::SnapshotEnd { rows }))),
                // The receiver went away.
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the state cannot be read for a snapshot"),
            }
        }
    });
    drop(reading);
    ReceiverStream::new(outgoing)
}

fn part_of(part: Part) -> pb::SnapshotPart {
    pb::SnapshotPart { part: Some(part) }
}

/// Puts all rows; says how many, unless nobody takes them any more.
fn read_rows(image: &Image, put: &impl Fn(Part) -> bool) -> io::Result<Option<u64>> {
    let mut count = 0;
    let mut part = Vec::new();
    let mut taken = true;
    image.for_each_row(|key, value| {
        for text in [key, value] {
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            part.extend_from_slice(&length.to_le_bytes());
            part.extend_from_slice(text);
        }
        count += 1;
        if part.len() >= PART_BYTES {
            taken = put(Part::Rows(std::mem::take(&mut part).into()));
        }
        Ok(taken)
    })?;
    if taken && !part.is_empty() {
        taken = put(Part::Rows(part.into()));
    }
    Ok(taken.then_some(count))
}

/// The writer of a snapshot that is being received.
pub(crate) struct Receiver {
    rows: mpsc::Sender<Bytes>,
    writing: tokio::task::JoinHandle<io::Result<(Store, u64)>>,
    path: PathBuf,
}

// === impl Receiver ===

impl Receiver {
    /// Begins to receive into `folder` what `meta` describes. One at a time.
    pub(crate) fn begin(folder: &Path, meta: &SnapshotMeta, patience: &Patience) -> Self {
        let applied = Applied {
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        let (rows, mut incoming) = mpsc::channel::<Bytes>(AHEAD);
        let path = folder.join(INCOMING);
        let writing = spawn_blocking({
            let (folder, path, patience) = (folder.to_owned(), path.clone(), patience.clone());
            move || {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                let store = Store::begin(&folder, INCOMING, CACHE_BYTES, &patience)?;
                let mut count = 0;
                store.fill_with(&applied, |put| {
                    while let Some(part) = incoming.blocking_recv() {
                        count += write_rows(part, put)?;
                    }
                    Ok(())
                })?;
                Ok((store, count))
            }
        });
        Self {
            rows,
            writing,
            path,
        }
    }

    /// Takes some rows.
    pub(crate) async fn rows(&self, rows: Bytes) -> io::Result<()> {
        let put = self.rows.send(rows).await;
        put.map_err(|_| io::Error::other("the snapshot cannot be written"))
    }

    /// All rows are here, if they are so many.
    pub(crate) async fn finish(self, rows: u64) -> io::Result<Image> {
        let Self {
            rows: sender,
            writing,
            path,
        } = self;
        drop(sender);
        let (store, written) = writing.await.map_err(io::Error::other)??;
        let received = Received::new(store, path);
        if written != rows {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the snapshot has {written} rows instead of {rows}"),
            ));
        }
        Ok(Image::Received(received))
    }
}

/// Puts the rows of a part; says how many.
fn write_rows(mut part: Bytes, put: &mut PutRow<'_>) -> io::Result<u64> {
    let mut count = 0;
    while !part.is_empty() {
        let key = text(&mut part)?;
        let value = text(&mut part)?;
        put(&key, &value)?;
        count += 1;
    }
    Ok(count)
}

fn text(part: &mut Bytes) -> io::Result<Bytes> {
    let cut = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "a row of a snapshot is cut short",
        )
    };
    let length = part.try_get_u32_le().map_err(|_| cut())? as usize;
    if part.len() < length {
        return Err(cut());
    }
    Ok(part.split_to(length))
}
