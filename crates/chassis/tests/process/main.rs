//! What concerns a whole process: its memory, its file descriptors, its end. These tests take
//! turns.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy's exception for tests does not reach helper functions; figures are shown"
)]

mod ending;
mod footprint;

use std::sync::Mutex;

/// The allocator of the executable: what is given back to it is given back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static TURN: Mutex<()> = Mutex::new(());
