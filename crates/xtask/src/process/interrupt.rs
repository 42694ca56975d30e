//! Ctrl-C: the first asks every child to end and lets the command unwind, so that what it holds is
//! cleaned up on the way; ten seconds later, or at the second, they are killed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::group::signal_all;

static STRUCK: AtomicU32 = AtomicU32::new(0);

/// Also heeds SIGTERM and SIGHUP. Call once.
pub(crate) fn heed() -> Result<()> {
    ctrlc::set_handler(|| {
        if STRUCK.fetch_add(1, Ordering::SeqCst) == 0 {
            signal_all(Signal::TERM);
            thread::spawn(|| {
                thread::sleep(Duration::from_secs(10));
                signal_all(Signal::KILL);
            });
        } else {
            signal_all(Signal::KILL);
        }
    })
    .context("cannot heed Ctrl-C")
}

pub(crate) fn struck() -> bool {
    STRUCK.load(Ordering::SeqCst) > 0
}

pub(super) fn check() -> Result<()> {
    if struck() {
        bail!("interrupted");
    }
    Ok(())
}
