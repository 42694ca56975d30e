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

/// The allocator of the executable, which says here how much of it is in use.
#[global_allocator]
static ALLOCATOR: cap::Cap<mimalloc::MiMalloc> = cap::Cap::new(mimalloc::MiMalloc, usize::MAX);

static TURN: Mutex<()> = Mutex::new(());
