//! `cargo xtask conformance`: the OCI distribution conformance suite against a fresh registry.
//!
//! Passes only on proof: a result file has to exist, has to say that tests ran in every part of the
//! suite that is switched on, and has to know no failure and no error. The suite's own exit code is
//! not proof: one generation of it exits with 0 when its settings cannot be read.

mod junit;
mod suite;

use std::fs;
use std::io::ErrorKind;
use std::path::{self, Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::prerequisites::{self, Need};
use crate::process::Program;
use crate::registry::{Registry, Subject};
use crate::scratch::Scratch;
use crate::tools::Tools;
use crate::workspace::Workspace;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What to test: `meridian`, `redirecting`, `region` or `distribution`, started fresh, or
    /// HOST:PORT, which runs already
    #[arg(long, default_value = "meridian", value_name = "REGISTRY")]
    registry: Subject,
    /// Keep the suite's reports in this folder
    #[arg(long, value_name = "FOLDER")]
    reports: Option<PathBuf>,
}

/// The pinned suite against this workspace's registry.
impl Default for Options {
    fn default() -> Self {
        Self {
            registry: Subject::Meridian,
            reports: None,
        }
    }
}

pub(crate) fn run(options: &Options, workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(&[Need::Go], workspace)?;
    if options.registry.is_ours() {
        workspace.build()?;
    }
    let tools = Tools::ensure(workspace)?;
    let scratch = Scratch::new()?;
    let registry = Registry::start(&options.registry, &scratch, workspace, &tools)?;
    let reports = match &options.reports {
        Some(folder) => folder.clone(),
        None => scratch.dir("reports")?,
    };
    let reports = emptied(&reports)?;
    let suite = clean(&tools.path("conformance"))?;
    let outcome = suite::run(suite, registry.address(), &reports);
    outcome.with_context(|| match registry.log_end() {
        Some(log) if !log.is_empty() => format!("the registry said:\n{log}\nand the suite"),
        _ => "the suite".to_owned(),
    })
}

/// A folder without the reports of an earlier run, which would be taken for this one's.
fn emptied(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    for name in ["junit.xml", "results.yaml", "report.html"] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(path::absolute(folder)?)
}

/// The suite without settings of this user's, which might switch a part of it off.
fn clean(suite: &Path) -> Result<Program> {
    Ok(std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("OCI_"))
        .fold(Program::new(path::absolute(suite)?), Program::without_env))
}
