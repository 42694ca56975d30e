//! The local-disk body.
//!
//! Owns one folder and everything below it; `layout` draws the tree. Keeps the contract of
//! [`BlobStore`] on any POSIX file system under Linux: bytes, then name, then acknowledgement, each
//! made durable before the next. Leaves to the process that it is the only one on the folder.
//!
//! # Crash points
//!
//! With the feature `failpoints` these points exist, in the order of a push and a delete; each can
//! also be told to `return`, which fails that step:
//!
//! * `blob.tmp.after_write_before_fsync`
//! * `blob.tmp.after_fsync_before_rename`
//! * `blob.tmp.after_rename_before_dirsync`
//! * `blob.tmp.after_dirsync_before_ack`
//! * `blob.delete.after_unlink_before_report`
//!
//! The binary turns a crash point into an `abort()` through `fail::cfg_callback`: the action `panic`
//! would end a thread only. All points are passed on blocking threads, so `sleep` and `pause` delay
//! one object and no other task. Besides, `return` at `blob.write` makes a write fail with a full
//! disk, at `blob.sync` a sync with an I/O error, and at `blob.skip_file_sync` and
//! `blob.skip_dir_sync` leaves that kind of sync out.

mod buffer;
mod folders;
mod layout;
mod list;
mod publish;
mod reader;
mod staged;
mod sync;
mod writer;

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use bytesize::ByteSize;
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use self::buffer::BufferPool;
use self::folders::Folders;
use self::layout::Layout;
use self::publish::Publisher;
use self::reader::{FileStream, Unwaiting};
use self::staged::StagedFile;
use self::sync::crash_point;
use self::writer::DiskWriter;
use crate::claim::{Busy, Claims};
use crate::reader::resolve;
use crate::{
    BlobKey, BlobReader, BlobStore, BlobWriter, CreateError, Listed, ReadError, ResumeError, Space,
    StorageError, WriterState,
};

/// Settings of [`DiskBlobStore`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// The folder of the store. It is made, with its parents, if it does not exist.
    pub root: PathBuf,
    /// How much memory uploads and downloads may have in buffers before each gets by with the least
    /// possible (128 KiB an upload, 64 KiB a download).
    #[serde(default = "DiskConfig::default_buffers")]
    pub buffers: ByteSize,
}

/// Objects as files below one folder.
#[derive(Clone)]
pub struct DiskBlobStore {
    shared: Arc<Shared>,
}

/// What a store shares with its writers and readers.
struct Shared {
    layout: Layout,
    root: OwnedFd,
    pool: Arc<BufferPool>,
    claims: Arc<Claims>,
    folders: Folders,
    publisher: Publisher,
    unwaiting: Arc<Unwaiting>,
    /// Whether the file system takes direct writes, as far as is known.
    direct: Arc<AtomicBool>,
}

// === impl DiskConfig ===

impl DiskConfig {
    /// The defaults, for a store in `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            buffers: Self::default_buffers(),
        }
    }

    const fn default_buffers() -> ByteSize {
        ByteSize::mib(64)
    }
}

// === impl DiskBlobStore ===

impl DiskBlobStore {
    /// Opens the store, or makes an empty one. Takes the same time however much it holds.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made, or not written to.
    pub async fn open(config: DiskConfig) -> Result<Self, StorageError> {
        let DiskConfig { root, buffers } = config;
        let shared = blocking("open the blob folder", move || {
            prepare(&root)?;
            let folder = File::open(&root)?;
            Ok(Shared {
                root: folder.try_clone()?.into(),
                publisher: Publisher::new(folder),
                layout: Layout::new(root),
                pool: BufferPool::new(usize::try_from(buffers.as_u64()).unwrap_or(usize::MAX)),
                claims: Arc::default(),
                folders: Folders::default(),
                unwaiting: Arc::default(),
                direct: Arc::new(AtomicBool::new(true)),
            })
        });
        Ok(Self {
            shared: Arc::new(shared.await?),
        })
    }

    /// The file of a finished object, and its size.
    async fn file(&self, key: &BlobKey) -> Result<Option<(File, u64)>, StorageError> {
        let shared = &self.shared;
        let path = Layout::finished_from_root(key);
        if let Some(opened) = shared.unwaiting.open(&shared.root, Path::new(&path)) {
            return measured(opened).map_err(|error| StorageError::io(OPEN, error));
        }
        let path = shared.layout.finished(key);
        blocking(OPEN, move || measured(File::open(path))).await
    }
}

const OPEN: &str = "open an object";

/// Makes the folders of an empty store, or finds them.
fn prepare(root: &Path) -> io::Result<()> {
    let mut folders = DirBuilder::new();
    folders.recursive(true).mode(layout::FOLDER_MODE);
    let layout = Layout::new(root.to_owned());
    for folder in [layout.staging(), layout.blobs()] {
        let made = folders.create(&folder);
        let usable = made.and_then(|()| Ok(access(&folder, Access::WRITE_OK)?));
        usable.map_err(|error| {
            let text = format!("{}: {error}", folder.display());
            io::Error::new(error.kind(), text)
        })?;
    }
    Ok(())
}

/// Makes the name of a finished object durable: its commit may have been cut short by a crash,
/// behind the rename and before the sync of the folder.
fn settle(shared: &Shared, key: &BlobKey) -> io::Result<()> {
    let Shared {
        layout, folders, ..
    } = shared;
    if !layout.finished(key).try_exists()? {
        return Ok(());
    }
    let folder = layout.shard_of(&key.registry, key.shard());
    folders.ensure(layout.root(), &folder)?;
    sync::sync_folder(&folder)
}

/// An opened file with its size; nothing if there is no such file.
fn measured(opened: io::Result<File>) -> io::Result<Option<(File, u64)>> {
    match opened {
        Ok(file) => {
            let size = file.metadata()?.len();
            Ok(Some((file, size)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs `call` where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    doing: &'static str,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let outcome = spawn_blocking(call).await.map_err(io::Error::from);
    outcome
        .and_then(|outcome| outcome)
        .map_err(|error| StorageError::io(doing, error))
}

#[async_trait]
impl BlobStore for DiskBlobStore {
    async fn create(&self, key: &BlobKey) -> Result<Box<dyn BlobWriter>, CreateError> {
        let exists = || CreateError::Exists(key.clone());
        let claim = self.shared.claims.take(key).await;
        let claim = claim.map_err(|Busy| exists())?;
        let (shared, name) = (Arc::clone(&self.shared), key.clone());
        let file = blocking("start an object", move || {
            let Shared { layout, direct, .. } = &*shared;
            if layout.finished(&name).try_exists()? {
                return Ok(None);
            }
            let folder = layout.staging_of(&name.registry);
            shared.folders.ensure(layout.root(), &folder)?;
            match StagedFile::create(layout.staged(&name), claim, Arc::clone(direct)) {
                Ok(file) => Ok(Some(Arc::new(file))),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(error),
            }
        });
        let file = file.await?.ok_or_else(exists)?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(DiskWriter::new(
            shared,
            key.clone(),
            file,
            0,
            false,
        )))
    }

    async fn resume(
        &self,
        key: &BlobKey,
        state: Option<&WriterState>,
    ) -> Result<Option<Box<dyn BlobWriter>>, ResumeError> {
        let claim = self.shared.claims.take(key).await;
        let claim = claim.map_err(|Busy| ResumeError::Busy(key.clone()))?;
        let (shared, name) = (Arc::clone(&self.shared), key.clone());
        let promised = state.map(|state| state.len);
        let found = blocking("take up an object", move || {
            let Shared { layout, direct, .. } = &*shared;
            let file = match StagedFile::open(layout.staged(&name), claim, Arc::clone(direct)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    settle(&shared, &name)?;
                    return Ok(None);
                }
                file => file?,
            };
            let kept = file.len()?;
            if promised.is_none_or(|promised| promised <= kept) {
                file.truncate(promised.unwrap_or(kept))?;
                // What a dead process left in the page cache is promised by nobody yet.
                file.sync()?;
                sync::sync_folder(&layout.staging_of(&name.registry))?;
            }
            Ok(Some((Arc::new(file), kept)))
        });
        let Some((file, kept)) = found.await? else {
            return Ok(None);
        };
        let at = promised.unwrap_or(kept);
        if at > kept {
            return Err(ResumeError::Lost {
                key: key.clone(),
                kept,
                promised: at,
            });
        }
        let shared = Arc::clone(&self.shared);
        let writer = DiskWriter::new(shared, key.clone(), file, at, true);
        Ok(Some(Box::new(writer)))
    }

    async fn open(
        &self,
        key: &BlobKey,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, ReadError> {
        let file = self.file(key).await?;
        let (file, size) = file.ok_or_else(|| ReadError::NotFound(key.clone()))?;
        let range = resolve(range, size)?;
        let Shared {
            pool, unwaiting, ..
        } = &*self.shared;
        let (pool, unwaiting) = (Arc::clone(pool), Arc::clone(unwaiting));
        let stream = FileStream::new(file, range.clone(), pool, unwaiting);
        Ok(BlobReader::new(size, &range, stream))
    }

    async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, StorageError> {
        let file = self.file(key).await?;
        Ok(file.map(|(_, size)| size))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StorageError> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        blocking("delete an object", move || {
            // In the direction in which a commit moves it, so that a commit cannot slip past.
            remove(&shared.layout.staged(&key))?;
            remove(&shared.layout.finished(&key))?;
            crash_point!("blob.delete.after_unlink_before_report");
            Ok(())
        })
        .await
    }

    async fn list(
        &self,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StorageError> {
        let (shared, after) = (Arc::clone(&self.shared), after.cloned());
        blocking("list objects", move || {
            list::list(&shared.layout, after.as_ref(), limit)
        })
        .await
    }

    async fn space(&self) -> Result<Option<Space>, StorageError> {
        let shared = Arc::clone(&self.shared);
        blocking("look at the room on disk", move || {
            let room = rustix::fs::fstatvfs(&shared.root)?;
            Ok(Some(Space {
                free: room.f_bavail.saturating_mul(room.f_frsize),
                total: room.f_blocks.saturating_mul(room.f_frsize),
            }))
        })
        .await
    }
}
