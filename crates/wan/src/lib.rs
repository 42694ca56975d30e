#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod carrier;
mod connection;
mod flow;
mod lane;
mod link;
mod mesh;
mod pacer;
mod place;
mod profile;
mod window;

pub use lane::{Lane, Traffic};
pub use link::Link;
pub use mesh::{LinkError, Mesh, NoSuchLane};
pub use place::Place;
pub use profile::{ParseProfileError, Profile};
