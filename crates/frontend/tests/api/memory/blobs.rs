//! Blobs and upload sessions in memory.

use std::io;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use meridian_clients::{
    BlobApi, BlobRead, BlobStat, ByteStream, DeleteBlobError, Delivered, Delivery, Handover,
    MountOutcome, ReadBlobError, RepositoryPath, Transfer, UploadError, UploadStatus, WriteError,
};
use meridian_oci::{Algorithm, ByteRange, Digest, RepositoryName, Resolved, UploadId};

use super::{Memory, Session};

impl Memory {
    fn session(
        &self,
        repository: &RepositoryPath,
        id: &UploadId,
        act: impl FnOnce(&mut Session) -> Result<(), UploadError>,
    ) -> Result<UploadStatus, UploadError> {
        let mut contents = self.contents().map_err(WriteError::from)?;
        let session = contents
            .sessions
            .get_mut(id)
            .filter(|session| session.repository == repository.name)
            .ok_or(UploadError::Unknown)?;
        act(session)?;
        Ok(UploadStatus {
            upload: id.clone(),
            offset: session.bytes.len() as u64,
            min_chunk: None,
        })
    }

    /// Takes the session, reads the body, and gives the session back with what counts of it.
    async fn write(
        &self,
        repository: &RepositoryPath,
        id: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        let before = self.session(repository, id, |session| {
            if session.finished.is_some() {
                return Err(UploadError::Unknown);
            }
            if std::mem::replace(&mut session.busy, true) {
                return Err(UploadError::Busy);
            }
            Ok(())
        })?;
        let release = |bytes: &[u8]| {
            self.session(repository, id, |session| {
                session.busy = false;
                session.bytes.extend_from_slice(bytes);
                Ok(())
            })
        };
        if chunk
            .range
            .is_some_and(|range| range.start() != before.offset)
        {
            return Err(UploadError::OutOfOrder(release(&[])?));
        }
        let announced = chunk
            .length
            .or_else(|| chunk.range.map(|range| range.length()));
        let (bytes, broken) = drain(chunk.body).await;
        match (announced, broken) {
            (Some(expected), None) if expected != bytes.len() as u64 => {
                release(&[])?;
                let actual = bytes.len() as u64;
                Err(UploadError::LengthDiffers { expected, actual })
            }
            (Some(_), Some(error)) => {
                release(&[])?;
                Err(UploadError::Body(error))
            }
            (None, Some(error)) => {
                release(&bytes)?;
                Err(UploadError::Body(error))
            }
            (_, None) => release(&bytes),
        }
    }
}

async fn drain(mut body: ByteStream) -> (Vec<u8>, Option<io::Error>) {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

fn of_bytes(bytes: Bytes) -> ByteStream {
    Box::pin(futures::stream::iter([Ok(bytes)]))
}

#[async_trait]
impl BlobApi for Memory {
    async fn stat(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        _for_push: bool,
    ) -> Result<BlobStat, ReadBlobError> {
        let size = self.contents()?.blob(repository, &digest)?.len() as u64;
        let stale = *self.stale.lock().unwrap();
        Ok(BlobStat {
            size,
            is_readable: !self.is_unreadable.load(Ordering::Relaxed),
            stale,
        })
    }

    async fn read(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
    ) -> Result<BlobRead, ReadBlobError> {
        let bytes = self.contents()?.blob(repository, &digest)?;
        let size = bytes.len() as u64;
        Ok(match ByteRange::resolve(range, size) {
            Resolved::Whole => BlobRead::Whole {
                size,
                body: of_bytes(bytes),
            },
            Resolved::Part {
                start,
                end_inclusive,
            } => {
                let from = usize::try_from(start).unwrap();
                let to = usize::try_from(end_inclusive).unwrap();
                BlobRead::Part {
                    size,
                    start,
                    end_inclusive,
                    body: of_bytes(bytes.slice(from..=to)),
                }
            }
            Resolved::Unsatisfiable => BlobRead::Unsatisfiable { size },
        })
    }

    async fn deliver(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        range: Option<&str>,
        handover: Handover,
    ) -> Result<Delivered, ReadBlobError> {
        self.stat(repository, digest, false).await?.pulled()?;
        let read = self.read(repository, digest, range).await?;
        let stale = *self.stale.lock().unwrap();
        let (BlobRead::Whole { size, .. }
        | BlobRead::Part { size, .. }
        | BlobRead::Unsatisfiable { size }) = read;
        let is_here = matches!(read, BlobRead::Unsatisfiable { .. }) || size < handover.at_least;
        let url = self.presigned.lock().unwrap().clone();
        let url = url.filter(|_| handover.presigned.is_some());
        let delivery = match url {
            _ if is_here => Delivery::Here(read),
            Some(url) => Delivery::Presigned { size, url },
            None if handover.by_link => Delivery::Link { size },
            None => Delivery::Here(read),
        };
        Ok(Delivered { delivery, stale })
    }

    async fn start(
        &self,
        repository: &RepositoryPath,
        _algorithm: Algorithm,
    ) -> Result<UploadStatus, UploadError> {
        let id: u128 = rand::random();
        let upload: UploadId = format!("{id:032x}").parse().unwrap();
        let session = Session {
            repository: repository.name.clone(),
            bytes: Vec::new(),
            busy: false,
            finished: None,
        };
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents.sessions.insert(upload.clone(), session);
        Ok(UploadStatus {
            upload,
            offset: 0,
            min_chunk: Some(1024),
        })
    }

    async fn append(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        chunk: Transfer,
    ) -> Result<UploadStatus, UploadError> {
        self.write(repository, upload, chunk).await
    }

    async fn finish(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
        digest: Digest,
        chunk: Transfer,
    ) -> Result<(), UploadError> {
        let mut repeated = false;
        self.session(repository, upload, |session| {
            repeated = session.finished == Some(digest);
            Ok(())
        })?;
        if repeated {
            return Ok(());
        }
        self.write(repository, upload, chunk).await?;
        let mut bytes = Vec::new();
        self.session(repository, upload, |session| {
            if Digest::of(digest.algorithm(), &session.bytes) != digest {
                return Err(UploadError::DigestDiffers);
            }
            session.finished = Some(digest);
            bytes = std::mem::take(&mut session.bytes);
            Ok(())
        })?;
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents.keep(&repository.name, digest, bytes.into());
        Ok(())
    }

    async fn upload(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
        body: Transfer,
    ) -> Result<(), UploadError> {
        let status = self.start(repository, digest.algorithm()).await?;
        self.finish(repository, &status.upload, digest, body).await
    }

    async fn status(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        self.session(repository, upload, |session| match session.finished {
            Some(_) => Err(UploadError::Unknown),
            None => Ok(()),
        })
    }

    async fn cancel(
        &self,
        repository: &RepositoryPath,
        upload: &UploadId,
    ) -> Result<(), UploadError> {
        self.status(repository, upload).await?;
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents.sessions.remove(upload);
        Ok(())
    }

    async fn probe(&self) -> Result<Option<String>, ReadBlobError> {
        Ok(self.trouble.lock().unwrap().clone())
    }

    async fn mount(
        &self,
        repository: &RepositoryPath,
        from: Option<&RepositoryName>,
        digest: Digest,
    ) -> Result<MountOutcome, UploadError> {
        let found = {
            let contents = self.contents().map_err(WriteError::from)?;
            let mut sources = contents.repositories.iter();
            sources
                .find(|(name, held)| {
                    from.is_none_or(|from| from == *name) && held.blobs.contains_key(&digest)
                })
                .map(|(_, held)| held.blobs[&digest].clone())
        };
        match found {
            Some(bytes) => {
                let mut contents = self.contents().map_err(WriteError::from)?;
                contents.keep(&repository.name, digest, bytes);
                Ok(MountOutcome::Mounted)
            }
            None => {
                let status = self.start(repository, digest.algorithm()).await?;
                Ok(MountOutcome::Session(status))
            }
        }
    }

    async fn delete(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<(), DeleteBlobError> {
        let mut contents = self.contents().map_err(WriteError::from)?;
        contents
            .blob(repository, &digest)
            .map_err(WriteError::from)?;
        let repository = contents.repositories.entry(repository.name.clone());
        let repository = repository.or_default();
        repository.free(&digest)?;
        repository.blobs.remove(&digest);
        Ok(())
    }
}
