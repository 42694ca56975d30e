//! What is pushed: random bytes that no registry can have seen before.

mod image;
mod layer;
mod manifest;

pub(crate) use image::Image;
pub(crate) use layer::{Layer, Noise, PIECE, Remaining};
pub(crate) use manifest::{Descriptor, MANIFEST_TYPE, Manifest};
