//! `cargo xtask lint`: formatting, and every lint as an error.

use anyhow::Result;

use crate::workspace::{WHOLE, Workspace};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    workspace.cargo("fmt").arg("--check").run()?;
    workspace
        .cargo("clippy")
        .args(WHOLE)
        .args(["--all-targets", "--", "--deny", "warnings"])
        .run()
}
