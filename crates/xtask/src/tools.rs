//! `cargo xtask tools`: builds the Go programs that `tests/tools/go.mod` pins. Those that only the chart needs
//! are pinned in a module below, because they ask for other versions of what they share.
//!
//! They lie outside the clone, in a folder named after the pins, so that a run with the same pins
//! builds nothing and a run with others never meets the old ones. A folder appears under its name
//! only when it is complete.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::prerequisites::{self, Need};
use crate::process::Program;
use crate::workspace::Workspace;

const BUILD_LIMIT: Duration = Duration::from_mins(15);

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(&[Need::Go], workspace)?;
    Tools::ensure(workspace).map(drop)
}

pub(crate) struct Tools {
    dir: PathBuf,
}

impl Tools {
    /// Builds the programs unless they are there.
    pub(crate) fn ensure(workspace: &Workspace) -> Result<Self> {
        Self::of("tests/tools", workspace)
    }

    /// Builds those of one module, unless they are there.
    pub(crate) fn of(module: &str, workspace: &Workspace) -> Result<Self> {
        let source = workspace.root().join(module);
        let all = workspace.cache().join("tools");
        let dir = all.join(key(&source)?);
        if !dir.is_dir() {
            fs::create_dir_all(&all).with_context(|| format!("cannot create {}", all.display()))?;
            build(&source, &all, &dir)?;
        }
        println!("tools: {}", dir.display());
        Ok(Self { dir })
    }

    /// `conformance`, `crane`, `helm` (3), `oras` and `registry`; of the chart `helm` (4), `helm-unittest`
    /// and `kubeconform`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn program(&self, name: &str) -> Program {
        Program::new(self.path(name))
    }
}

/// Names the pins and the way they are built: others, another name.
fn key(source: &Path) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(include_str!("tools.rs"));
    for name in ["go.mod", "go.sum"] {
        let path = source.join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update(text);
    }
    let hash = hash.finalize();
    Ok(hash[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

fn build(source: &Path, all: &Path, dir: &Path) -> Result<()> {
    let building = tempfile::Builder::new()
        .prefix("building.")
        .tempdir_in(all)?;
    // `tool` stands for every `tool` line of go.mod.
    Program::new("go")
        .arg("build")
        .args(["-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(building.path())
        .arg("tool")
        .dir(source)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .limit(BUILD_LIMIT)
        .output()?;
    match fs::rename(building.path(), dir) {
        // Somebody else was faster, with the same pins.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        renamed => renamed.with_context(|| format!("cannot create {}", dir.display())),
    }
}
