//! What parts are made of, brought here once and kept outside the clone.
//!
//! A folder is named after the pins and the recipe, and appears under its name only when it is
//! complete: a run with the same pins brings nothing, and one with others never meets the old ones.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::workspace::Workspace;

/// The folder `name` for these `pins`, filled by `fill` unless it is there.
pub(super) fn ensure(
    name: &str,
    pins: &[&str],
    workspace: &Workspace,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let all = workspace.cache().join("parts");
    let dir = all.join(format!("{name}-{}", key(pins)));
    if dir.is_dir() {
        return Ok(dir);
    }
    fs::create_dir_all(&all).with_context(|| format!("cannot create {}", all.display()))?;
    let filling = tempfile::Builder::new()
        .prefix("filling.")
        .tempdir_in(&all)?;
    fill(filling.path())?;
    match fs::rename(filling.path(), &dir) {
        // Somebody else was faster, with the same pins.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
        renamed => renamed.with_context(|| format!("cannot create {}", dir.display()))?,
    }
    Ok(dir)
}

fn key(pins: &[&str]) -> String {
    let mut hash = Sha256::new();
    for pin in pins {
        hash.update(pin.len().to_be_bytes());
        hash.update(pin);
    }
    let hash = hash.finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
