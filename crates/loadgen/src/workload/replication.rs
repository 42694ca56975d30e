//! R1 to R5: what is pushed at the near place, and when and how it comes to the far one.
//!
//! Ours is two regions that replicate each other; the peer is two registries and skopeo, which is started
//! for each image when that was pushed. Both cross the same emulated network. An image has arrived when a
//! client of the far place can pull it whole from there: of ours, that is when the far region tells so in
//! its own event log (`replicated`, from the entry that completes the image) and somebody there has read
//! that; of the peer, when the far registry answers for the manifest, which skopeo puts last. Every row
//! pulls from the far place in the end, while the network is cut.

mod arrivals;
mod at_once;
mod burst;
mod change;
mod effort;
mod fetch;
mod ground;
mod image;
mod lag;
mod path;
mod small;
mod travels;
mod trouble;
mod usage;

pub(super) use at_once::AtOnce;
pub(super) use burst::Burst;
pub(super) use change::Change;
pub(super) use effort::Effort;
pub(super) use fetch::Fetch;
pub(super) use lag::Lag;
pub(super) use trouble::Trouble;

use crate::bench::Sides;
use crate::server::Product;

/// What is compared where images come by themselves, or are copied.
const PRODUCTS: Sides<Product> = Sides {
    ours: Product::Regions,
    peer: Product::Copied,
};

/// What is compared where clients of the far place ask for what was pushed a moment ago.
const ASKED: Sides<Product> = Sides {
    ours: Product::Regions,
    peer: Product::PulledThrough,
};
