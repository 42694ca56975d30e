//! Parts of blobs that outlive the process.
//!
//! ```text
//! <dir>/lock            held by the process that uses the folder; a number for who that is
//! <dir>/<name>.bytes    a blob, as far as it has come; what has not is a hole
//! <dir>/<name>.parts    a line that says which blob it is, then a record for each piece that has come
//! ```
//!
//! Keeps the invariant that a piece counts only if its bytes are those that came, by a checksum: nothing is
//! synced, so that after a power cut a record may be there without its bytes. Whether the blob as a whole is
//! what its digest says is seen where it is stored. A file whose line cannot be read is thrown away.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meridian_replication::Body;
use tokio::sync::OnceCell;

use super::Lease;
use super::spans::Spans;

/// What the first word of a line says: that this program can read the rest.
const FORMAT: &str = "1";
/// No line is longer.
const LONGEST_LINE: u64 = 1 << 10;
/// A record: where the piece begins, how long it is, its checksum.
const RECORD: usize = 16;
/// No piece is longer.
const LONGEST_PIECE: u32 = 16 << 20;
const BYTES: &str = "bytes";
const PARTS: &str = "parts";

/// The files of a blob.
#[derive(Debug)]
pub(super) struct Files {
    bytes: File,
    parts: File,
    /// Both names, but for their endings.
    path: PathBuf,
    _lease: Lease,
}

/// A blob of which a process before this one has kept something.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) files: Arc<Files>,
    pub(super) size: u64,
    /// What of it has its checksum, once somebody has looked.
    verified: OnceCell<Spans>,
}

/// A piece that has come.
struct Record {
    start: u64,
    length: u32,
    checksum: u32,
}

// === impl Files ===

impl Files {
    /// New files, for a blob of which nothing has come.
    pub(super) fn create(path: &Path, body: &Body, size: u64, lease: Lease) -> io::Result<Self> {
        let mut options = File::options();
        let options = options.read(true).append(true).create_new(true);
        let mut parts = options.open(path.with_extension(PARTS))?;
        let line = format!("{FORMAT} {} {} {size}\n", body.registry, body.digest);
        parts.write_all(line.as_bytes())?;
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        Ok(Self {
            bytes: options.open(path.with_extension(BYTES))?,
            parts,
            path: path.to_owned(),
            _lease: lease,
        })
    }

    /// Keeps a piece.
    pub(super) fn write(&self, offset: u64, piece: &[u8]) -> io::Result<()> {
        self.bytes.write_all_at(piece, offset)?;
        let longest = usize::try_from(LONGEST_PIECE).unwrap_or(usize::MAX);
        let mut start = offset;
        for piece in piece.chunks(longest) {
            let record = Record {
                start,
                length: u32::try_from(piece.len()).unwrap_or(LONGEST_PIECE),
                checksum: crc32fast::hash(piece),
            };
            // In one call: records of two pieces do not mix.
            (&self.parts).write_all(&record.encode())?;
            start += piece.len() as u64;
        }
        Ok(())
    }

    pub(super) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_exact_at(bytes, offset)
    }

    /// Takes their names away: they go when nobody reads them.
    pub(super) fn remove(&self) {
        for ending in [PARTS, BYTES] {
            let path = self.path.with_extension(ending);
            if let Err(error) = std::fs::remove_file(&path) {
                let path = path.display();
                tracing::warn!(%path, %error, "a file of the spool cannot be removed");
            }
        }
    }
}

// === impl Kept ===

impl Kept {
    /// What there is under a name.
    fn open(path: &Path, lease: impl FnOnce(u64) -> io::Result<Lease>) -> io::Result<(Body, Self)> {
        let mut options = File::options();
        let mut parts = options
            .read(true)
            .append(true)
            .open(path.with_extension(PARTS))?;
        let mut text = Vec::new();
        (&mut parts).take(LONGEST_LINE).read_to_end(&mut text)?;
        let meaningless = || io::Error::from(io::ErrorKind::InvalidData);
        let (body, size) = line(&text).ok_or_else(meaningless)?;
        let mut options = File::options();
        let bytes = options
            .read(true)
            .write(true)
            .open(path.with_extension(BYTES))?;
        let files = Files {
            bytes,
            parts,
            path: path.to_owned(),
            _lease: lease(size)?,
        };
        let kept = Self {
            files: Arc::new(files),
            size,
            verified: OnceCell::new(),
        };
        Ok((body, kept))
    }

    /// Looks which pieces are here.
    pub(super) async fn verify(&self) -> Vec<Range<u64>> {
        let verified = self.verified.get_or_init(|| async {
            let (files, size) = (Arc::clone(&self.files), self.size);
            let verified = tokio::task::spawn_blocking(move || verify(&files, size)).await;
            verified
                .unwrap_or_else(|error| Err(io::Error::other(error)))
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "what is kept of a blob cannot be read");
                    Spans::default()
                })
        });
        verified.await.ranges().to_vec()
    }

    /// What was found to be here.
    pub(super) fn verified(&self) -> Spans {
        self.verified.get().cloned().unwrap_or_default()
    }
}

/// The pieces that have their checksum.
fn verify(files: &Files, size: u64) -> io::Result<Spans> {
    let length = files.parts.metadata()?.len();
    let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    files.parts.read_exact_at(&mut text, 0)?;
    let begin = text.iter().position(|byte| *byte == b'\n');
    let records = begin.and_then(|begin| text.get(begin + 1..));
    let (mut spans, mut piece) = (Spans::default(), Vec::new());
    // What is left at the end was being written.
    for record in records.unwrap_or_default().chunks_exact(RECORD) {
        let Some(record) = Record::decode(record, size) else {
            continue;
        };
        piece.resize(usize::try_from(record.length).map_err(io::Error::other)?, 0);
        let is_here = files.bytes.read_exact_at(&mut piece, record.start).is_ok();
        if is_here && crc32fast::hash(&piece) == record.checksum {
            spans.insert(record.start..record.start + u64::from(record.length));
        }
    }
    Ok(spans)
}

/// Which blob it is, and how long.
fn line(text: &[u8]) -> Option<(Body, u64)> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let mut words = std::str::from_utf8(&text[..end]).ok()?.split(' ');
    if words.next()? != FORMAT {
        return None;
    }
    let body = Body {
        registry: words.next()?.parse().ok()?,
        digest: words.next()?.parse().ok()?,
    };
    let size = words.next()?.parse().ok()?;
    words.next().is_none().then_some((body, size))
}

/// Everything that is kept in a folder, as far as there is room for it. All else that bears such a name is thrown
/// away.
pub(super) fn all(
    dir: &Path,
    mut lease: impl FnMut(u64) -> io::Result<Lease>,
) -> io::Result<Vec<(Body, Kept)>> {
    let mut kept = Vec::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some(BYTES | PARTS)) {
            names.push(path.with_extension(""));
        }
    }
    names.sort_unstable();
    names.dedup();
    for path in names {
        match Kept::open(&path, &mut lease) {
            Ok(found) => kept.push(found),
            Err(error) => {
                let name = path.display();
                tracing::info!(%name, %error, "what is kept of a blob is of no use");
                for ending in [PARTS, BYTES] {
                    // One of the two may be all that there is.
                    drop(std::fs::remove_file(path.with_extension(ending)));
                }
            }
        }
    }
    Ok(kept)
}

// === impl Record ===

impl Record {
    fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..8].copy_from_slice(&self.start.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_be_bytes());
        bytes[12..].copy_from_slice(&self.checksum.to_be_bytes());
        bytes
    }

    /// A record of a blob of that size, if it means something.
    fn decode(bytes: &[u8], size: u64) -> Option<Self> {
        let (start, rest) = bytes.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (checksum, _) = rest.split_first_chunk::<4>()?;
        let record = Self {
            start: u64::from_be_bytes(*start),
            length: u32::from_be_bytes(*length),
            checksum: u32::from_be_bytes(*checksum),
        };
        let end = record.start.checked_add(record.length.into())?;
        let is_sound = (1..=LONGEST_PIECE).contains(&record.length) && end <= size;
        is_sound.then_some(record)
    }
}
