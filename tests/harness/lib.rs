//! Starts Meridian for a test, talks to it, breaks it, and looks at what is left.
//!
//! Owns the child processes of tests and their ends: nothing outlives the value that started it.
//! Waiting is always for a condition with a deadline, never for a time.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a panic is how a test fails, and its log goes to standard error"
)]

mod authority;
mod collector;
mod content;
mod dev;
mod disk;
mod registry;
mod wait;

pub use authority::{Authority, IdentityFiles, Leaf};
pub use collector::{Collector, SeenSpan};
pub use content::{Content, Image, digest};
pub use dev::{Dev, DevBuilder, Ended, Starting, binary};
pub use disk::{Backing, Filler, LoopDisk, can_mount, cut_power};
pub use registry::{Answer, Client, with_digest};
pub use wait::{eventually, left_out, seed};
