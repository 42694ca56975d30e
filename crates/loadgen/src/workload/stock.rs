//! Repositories with one small manifest each, shared by the cases that read manifests.
//!
//! Keeps the invariant that each repository has its own manifest of 1.2 kB, tagged `latest`, with
//! a config and a layer that were pushed once and mounted everywhere else.

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::Verified;
use crate::client::{CallError, Payload};
use crate::content::{Descriptor, Manifest};
use crate::digest::Digest;
use crate::registry::{Chore, Registry, Session, spread};

pub(super) const TAG: &str = "latest";
const MANIFEST_LENGTH: usize = 1200;
pub(super) const CONFIG: &[u8] =
    br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}"#;
pub(super) const LAYER: &[u8] = b"a layer that nobody unpacks";
const SET_UP_CONNECTIONS: u32 = 16;
const CHECKS: usize = 500;

/// A number of repositories in one registry, filled on first use.
pub(super) struct Stock {
    registry: Registry,
    prefix: &'static str,
    count: u32,
    filled: OnceCell<Vec<Shelf>>,
}

/// One repository and its manifest.
#[derive(Clone)]
pub(super) struct Shelf {
    pub(super) repository: String,
    pub(super) manifest: Manifest,
}

#[derive(Clone)]
struct Fill {
    source: String,
    prefix: &'static str,
}

// === impl Stock ===

impl Stock {
    pub(super) fn new(registry: &Registry, prefix: &'static str, count: u32) -> Self {
        Self {
            registry: registry.clone(),
            prefix,
            count,
            filled: OnceCell::new(),
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The repositories, which stand in the registry when this returns.
    pub(super) async fn shelves(&self) -> Result<&[Shelf], CallError> {
        let shelves = self.filled.get_or_try_init(|| self.fill()).await?;
        Ok(shelves)
    }

    async fn fill(&self) -> Result<Vec<Shelf>, CallError> {
        let source = format!("load/{}-source", self.prefix);
        let mut session = Session::open(&self.registry).await?;
        push_blobs(&mut session, &source).await?;
        let chore = Fill {
            source,
            prefix: self.prefix,
        };
        spread(
            &self.registry,
            SET_UP_CONNECTIONS,
            self.count,
            chore.clone(),
        )
        .await?;
        Ok((0..self.count).map(|number| chore.shelf(number)).collect())
    }

    /// Reads manifests back, at most 500, evenly spread, and compares their bytes.
    pub(super) async fn check(&self, session: &mut Session) -> Result<Verified, CallError> {
        let shelves = self.shelves().await?;
        let stride = shelves.len().div_ceil(CHECKS).max(1);
        let mut checked = 0;
        for shelf in shelves.iter().step_by(stride) {
            let path = format!("/v2/{}/manifests/{TAG}", shelf.repository);
            if session.get(&path, "GET manifest").await? != shelf.manifest.body {
                return Err(CallError::Content { what: path });
            }
            checked += 1;
        }
        Ok(Verified {
            checked,
            of: shelves.len() as u64,
        })
    }
}

/// The blobs that every small manifest names.
pub(super) async fn push_blobs(session: &mut Session, repository: &str) -> Result<(), CallError> {
    for content in [CONFIG, LAYER] {
        let payload = Payload::Whole(Bytes::from_static(content));
        session
            .push_blob(repository, &Digest::of(content), payload)
            .await?;
    }
    Ok(())
}

/// A manifest of 1.2 kB over those blobs, with a digest of its own for each key.
pub(super) fn small_manifest(key: u64) -> Manifest {
    let (config, layer) = (Descriptor::of(CONFIG), Descriptor::of(LAYER));
    Manifest::padded(&config, &[layer], key, MANIFEST_LENGTH)
}

// === impl Fill ===

impl Fill {
    fn shelf(&self, number: u32) -> Shelf {
        Shelf {
            repository: format!("load/{}-{number}", self.prefix),
            manifest: small_manifest(number.into()),
        }
    }
}

impl Chore for Fill {
    async fn act(&self, session: &mut Session, number: u32) -> Result<(), CallError> {
        let Shelf {
            repository,
            manifest,
        } = self.shelf(number);
        for content in [CONFIG, LAYER] {
            let digest = Digest::of(content);
            session.mount(&repository, &digest, &self.source).await?;
        }
        session.put_manifest(&repository, TAG, &manifest).await
    }
}
