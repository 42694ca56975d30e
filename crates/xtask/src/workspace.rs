//! Where the sources and what is built from them lie, and how cargo is called.
//!
//! Keeps the invariant that everything is compiled once: every command builds the same packages with
//! the same features in the same profile, in one target folder, whoever calls first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Program;

/// What `cargo` compiles for tests and tools, always alike. Failpoints exist in this build only.
pub(crate) const WHOLE: &[&str] = &["--workspace", "--features", "meridian/failpoints"];

const BUILD_LIMIT: Duration = Duration::from_mins(40);

#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    cache: PathBuf,
}

impl Workspace {
    /// The clone that `cargo` runs this program in. The program itself may have been built from
    /// another one, if they share a target folder.
    pub(crate) fn find() -> Result<Self> {
        let package = set("CARGO_MANIFEST_DIR").context("say `cargo xtask …`")?;
        let root = Path::new(&package)
            .ancestors()
            .nth(2)
            .context("this package lies two folders below the root")?
            .to_owned();
        let cache = cache_folder().context("neither XDG_CACHE_HOME nor HOME is set")?;
        let target = set("CARGO_TARGET_DIR").map_or_else(|| cache.join("target"), PathBuf::from);
        let target = std::path::absolute(target)?;
        Ok(Self {
            root,
            target,
            cache,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is kept between runs, outside the clone.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// What is built, and may be thrown away.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A program of the workspace, as [`Workspace::build`] leaves it.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// The same, as `cargo build --release` leaves it.
    pub(crate) fn release_program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    pub(crate) fn cargo(&self, command: &str) -> Program {
        let cargo = set("CARGO").unwrap_or_else(|| "cargo".into());
        let program = Program::new(cargo)
            .arg(command)
            .dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .limit(BUILD_LIMIT);
        // `cargo run` tells us about our own package; a cargo below must not take it for its own.
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
            .fold(program, Program::without_env)
    }

    /// Compiles every program, library and test. In one go, because tests ask more features of what
    /// all stand on: without them it would be compiled twice.
    pub(crate) fn build(&self) -> Result<()> {
        self.cargo("build").args(WHOLE).arg("--all-targets").run()
    }
}

fn cache_folder() -> Option<PathBuf> {
    let base = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(base.join("meridian"))
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
