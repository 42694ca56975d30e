//! How much the workloads do.

use bytesize::ByteSize;
use clap::Args;
use serde::Serialize;

use crate::content::PIECE;

/// Sizes and counts of all workloads.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scale {
    /// P2: bytes of one layer.
    pub(crate) layer: u64,
    /// P2: bytes of one chunk, a multiple of 1 MiB.
    pub(crate) chunk: u64,
    /// G1: bytes of the blob that is pulled.
    pub(crate) hot_blob: u64,
    /// M1: repositories of the Zipf cases.
    pub(crate) repositories: u32,
    /// L1: tags in the repository, one case each.
    pub(crate) tags: Vec<u32>,
    /// D1: tags in the repository.
    pub(crate) tags_at_delete: u32,
    /// X1: idle connections.
    pub(crate) idle: u32,
    /// X1: slow transfers at once.
    pub(crate) slow: u32,
    /// R3: images of a burst.
    pub(crate) burst: u32,
    /// R3/backlog: images that wait for the network.
    pub(crate) backlog: u32,
    /// W1: pushes of which receivers are told.
    pub(crate) notices: u32,
    /// W4: messages that wait to be told again.
    pub(crate) pending: u32,
    /// S1: manifests in the registry.
    pub(crate) manifests: u32,
    /// S1/growth: manifests in the larger one.
    pub(crate) many_manifests: u32,
}

/// Changes to the scale on the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct ScaleArgs {
    /// Small data and short blocks: shows that everything works, proves nothing.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Size of the layers of P2 (1GiB) and of the blob of G1 (512MiB).
    #[arg(long, value_name = "BYTES")]
    size: Option<ByteSize>,
    /// Size of the chunks of P2 (100MiB); rounded up to whole MiB.
    #[arg(long, value_name = "BYTES")]
    chunk: Option<ByteSize>,
    /// Number of repositories of M1's Zipf cases (10000).
    #[arg(long, value_name = "N")]
    repositories: Option<u32>,
    /// Numbers of tags of L1 (10000,50000,100000).
    #[arg(long, value_name = "N", value_delimiter = ',')]
    tags: Vec<u32>,
    /// Number of tags in the repository of D1 (50000).
    #[arg(long, value_name = "N")]
    tags_at_delete: Option<u32>,
    /// Number of idle connections of X1 (10000, or what the file limit allows).
    #[arg(long, value_name = "N")]
    idle: Option<u32>,
    /// Number of slow transfers of X1 (200).
    #[arg(long, value_name = "N")]
    slow: Option<u32>,
    /// Number of images of R3 (1000).
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Number of images of R3/backlog (10000).
    #[arg(long, value_name = "N")]
    backlog: Option<u32>,
    /// Number of pushes of which the receiver of W1 is told (10000); those of W1/100 are told of a tenth.
    #[arg(long, value_name = "N")]
    notices: Option<u32>,
    /// Number of messages of W4 that wait to be told again (1000000).
    #[arg(long, value_name = "N")]
    pending: Option<u32>,
    /// Number of manifests of the larger registry of S1/growth (100000).
    #[arg(long, value_name = "N")]
    many_manifests: Option<u32>,
}

// === impl Scale ===

impl Scale {
    pub(crate) fn full() -> Self {
        Self {
            layer: 1 << 30,
            chunk: 100 << 20,
            hot_blob: 512 << 20,
            repositories: 10_000,
            tags: vec![10_000, 50_000, 100_000],
            tags_at_delete: 50_000,
            idle: 10_000,
            slow: 200,
            burst: 1_000,
            backlog: 10_000,
            notices: 10_000,
            pending: 1_000_000,
            manifests: 10_000,
            many_manifests: 100_000,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            layer: 128 << 20,
            chunk: 16 << 20,
            hot_blob: 128 << 20,
            repositories: 200,
            tags: vec![500, 2_000],
            tags_at_delete: 1_000,
            idle: 1_000,
            slow: 40,
            burst: 100,
            backlog: 500,
            notices: 500,
            pending: 10_000,
            manifests: 300,
            many_manifests: 2_000,
        }
    }
}

// === impl ScaleArgs ===

impl ScaleArgs {
    pub(crate) fn scale(&self) -> Scale {
        let mut scale = if self.quick {
            Scale::quick()
        } else {
            Scale::full()
        };
        set(&mut scale.layer, self.size.map(|it| it.as_u64().max(1)));
        set(&mut scale.hot_blob, self.size.map(|it| it.as_u64().max(1)));
        set(
            &mut scale.chunk,
            self.chunk.map(|it| whole_pieces(it.as_u64())),
        );
        set(
            &mut scale.repositories,
            self.repositories.map(|it| it.max(1)),
        );
        set(
            &mut scale.tags_at_delete,
            self.tags_at_delete.map(|it| it.max(1)),
        );
        set(&mut scale.idle, self.idle.map(|it| it.max(10)));
        set(&mut scale.slow, self.slow.map(|it| it.max(10)));
        set(&mut scale.burst, self.burst.map(|it| it.max(100)));
        set(&mut scale.backlog, self.backlog.map(|it| it.max(100)));
        set(&mut scale.notices, self.notices.map(|it| it.max(100)));
        set(&mut scale.pending, self.pending.map(|it| it.max(1_000)));
        set(&mut scale.many_manifests, self.many_manifests);
        if !self.tags.is_empty() {
            scale.tags.clone_from(&self.tags);
        }
        scale
    }
}

fn set<T>(value: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *value = wanted;
    }
}

fn whole_pieces(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(PIECE as u64)
}
