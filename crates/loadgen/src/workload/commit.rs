//! C1: commits of 256 bytes, beside etcd.
//!
//! Both are groups of three with their data on one disk, and acknowledge what a quorum has synced;
//! clients of both write to the leader over gRPC. Ours records a blob whose 256 bytes stand in the
//! record: the smallest write of our API that carries them, and more work than a put of etcd, since
//! its entry also leases the blob to its repository, remembers the request for retries, and makes
//! an event, which is published to the event log. etcd puts the bytes under the repository's name
//! and their digest. Making and hashing the bytes, which no two writes share, is part of the
//! operation on either side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use meridian_clients::grpc::{GrpcConfig, GrpcMetadata};
use meridian_clients::{BlobLocation, Encoding, MetadataApi, PutBlob, RepositoryPath, RequestId};
use meridian_oci::{Algorithm, Digest};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{About, Case, Fresh, LoadError, Manner, Measures, Scale, Site, Verified, Workload};
use crate::bench::Sides;
use crate::client::CallError;
use crate::drive::{Block, Worker, drive};
use crate::etcd::Etcd;
use crate::metric::{Bound, Metric, Target};
use crate::sample::Sample;
use crate::server::Product;

const WRITERS: &[u32] = &[1, 64, 256];
/// Writers share so many connections at most, as those of a region's frontends do.
const CONNECTIONS: usize = 8;
const LENGTH: usize = 256;
/// As many values are read back, evenly spread over all that were written.
const CHECKS: usize = 500;

const TARGETS: &[Target] = &[
    Target::ratio("c=1", Metric::Rate, Bound::AtLeast).required(1.0),
    Target::ratio("c=64", Metric::Rate, Bound::AtLeast).required(1.5),
    Target::ratio("c=256", Metric::Rate, Bound::AtLeast).ambitious(2.0),
    Target::ratio("", Metric::CpuPerOperation, Bound::AtMost).required(0.5),
];

pub(super) struct Commits;

struct Writes {
    site: Site,
    count: u32,
    counter: Arc<AtomicU64>,
    writers: Vec<Writer>,
}

struct Writer {
    store: Store,
    repository: RepositoryPath,
    counter: Arc<AtomicU64>,
    written: Vec<u64>,
}

/// The leader of a group.
#[derive(Clone)]
enum Store {
    Ours(GrpcMetadata),
    Etcd(Etcd),
}

/// The bytes with a number, and their digest.
struct Value {
    bytes: Bytes,
    digest: Digest,
}

// === impl Commits ===

impl Workload for Commits {
    fn about(&self) -> About {
        About {
            id: "C1",
            title: "commit 256 bytes in a group of three",
            operation: "commit",
            products: Sides {
                ours: Product::Members,
                peer: Product::Etcd,
            },
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |count: &u32| -> Box<dyn Case> {
            Box::new(Writes {
                site: site.clone(),
                count: *count,
                counter: Arc::default(),
                writers: Vec::new(),
            })
        };
        WRITERS.iter().map(case).collect()
    }
}

// === impl Writes ===

#[async_trait]
impl Case for Writes {
    fn name(&self) -> String {
        format!("c={}", self.count)
    }

    fn manner(&self) -> Manner {
        Manner {
            open_loop: self.count == 64,
            count_syncs: true,
            ..Manner::of(Measures::Operations)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let leader = self.site.leader.ok_or(LoadError::NoLeader)?;
        let connect = |_| Store::at(self.site.product, leader);
        let stores: Vec<Store> = (0..CONNECTIONS).map(connect).collect::<Result<_, _>>()?;
        for number in 0..self.count {
            let repository = format!("load/commit-{number}");
            self.writers.push(Writer {
                store: stores[number as usize % CONNECTIONS].clone(),
                repository: path(&repository)?,
                counter: Arc::clone(&self.counter),
                written: Vec::new(),
            });
        }
        Ok(())
    }

    /// The warm-up has connected.
    async fn arm(&mut self) -> Result<(), LoadError> {
        Ok(())
    }

    async fn fire(&mut self, block: &Block) -> Result<Sample, LoadError> {
        Ok(drive(&mut self.writers, block).await?)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let all: usize = self.writers.iter().map(|it| it.written.len()).sum();
        let mut verified = Verified {
            checked: 0,
            of: all as u64,
        };
        let stride = all.div_ceil(CHECKS).max(1) as u64;
        for writer in &self.writers {
            let mut numbers = writer.written.iter();
            while let Some(number) = numbers.find(|number| number.is_multiple_of(stride)) {
                writer.check(*number).await?;
                verified.checked += 1;
            }
        }
        Ok(verified)
    }
}

fn path(repository: &str) -> Result<RepositoryPath, CallError> {
    Ok(RepositoryPath {
        registry: "default".parse().map_err(CallError::of("a name"))?,
        name: repository.parse().map_err(CallError::of("a name"))?,
    })
}

// === impl Writer ===

impl Worker for Writer {
    async fn step(&mut self) -> Result<u64, CallError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.store
            .put(&self.repository, Value::numbered(number))
            .await?;
        self.written.push(number);
        Ok(LENGTH as u64)
    }
}

impl Writer {
    async fn check(&self, number: u64) -> Result<(), CallError> {
        let value = Value::numbered(number);
        let there = self.store.get(&self.repository, value.digest).await?;
        if there.is_some_and(|bytes| bytes == value.bytes) {
            return Ok(());
        }
        Err(CallError::Content {
            what: format!("a read of commit {number}"),
        })
    }
}

// === impl Store ===

impl Store {
    fn at(product: Product, leader: SocketAddr) -> Result<Self, CallError> {
        if product == Product::Etcd {
            let etcd = Etcd::at(leader).map_err(CallError::of("an address"))?;
            return Ok(Self::Etcd(etcd));
        }
        let ours = GrpcMetadata::at(&format!("http://{leader}"), &GrpcConfig::default());
        Ok(Self::Ours(ours.map_err(CallError::of("an address"))?))
    }

    async fn put(&self, repository: &RepositoryPath, value: Value) -> Result<(), CallError> {
        match self {
            Self::Ours(metadata) => {
                let blob = PutBlob {
                    repository: repository.clone(),
                    digest: value.digest,
                    size: LENGTH as u64,
                    encoding: Encoding::Plain,
                    location: BlobLocation::Inline(value.bytes),
                    instead_of: None,
                    request: RequestId(rand::random()),
                };
                let put = metadata.put_blob(blob).await;
                put.map(drop).map_err(CallError::of("a commit"))
            }
            Self::Etcd(etcd) => {
                let put = etcd.put(key(repository, value.digest), value.bytes).await;
                put.map_err(CallError::of("a commit"))
            }
        }
    }

    async fn get(
        &self,
        repository: &RepositoryPath,
        digest: Digest,
    ) -> Result<Option<Bytes>, CallError> {
        match self {
            Self::Ours(metadata) => {
                let blob = metadata.blob(repository, digest).await;
                let blob = blob.map_err(CallError::of("a read of a commit"))?;
                Ok(match blob.location {
                    BlobLocation::Inline(bytes) => Some(bytes),
                    BlobLocation::Stored(_) => None,
                })
            }
            Self::Etcd(etcd) => {
                let value = etcd.get(key(repository, digest)).await;
                value.map_err(CallError::of("a read of a commit"))
            }
        }
    }
}

/// What etcd finds a value by.
fn key(repository: &RepositoryPath, digest: Digest) -> Bytes {
    let name = repository.name.as_str().as_bytes();
    [name, b"/", digest.as_bytes()].concat().into()
}

// === impl Value ===

impl Value {
    /// A `ChaCha` stream keyed by the number.
    fn numbered(number: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(0x636f_6d6d_6974);
        random.set_stream(number);
        let mut bytes = vec![0; LENGTH];
        random.fill_bytes(&mut bytes);
        Self {
            digest: Digest::of(Algorithm::Sha256, &bytes),
            bytes: bytes.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_always_gives_the_same_value_and_no_other_number_does() {
        let [one, again, other] = [1, 1, 2].map(Value::numbered);
        assert_eq!((one.digest, &one.bytes), (again.digest, &again.bytes));
        assert_ne!(one.digest, other.digest);
        assert_eq!(one.bytes.len(), LENGTH);
    }

    #[test]
    fn a_key_holds_the_repository_and_the_digest() {
        let repository = path("load/commit-7").unwrap();
        let key = key(&repository, Value::numbered(1).digest);
        assert_eq!(key.len(), "load/commit-7/".len() + 32);
        assert!(key.starts_with(b"load/commit-7/"));
    }
}
