//! A release of an example, and what a Helm makes of it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{KUBERNETES, files};
use crate::process::Program;

/// One of `helm/examples`: a folder is a scenario, a file `values*.yaml` in it a release, and `common.yaml`,
/// if it is there, what all of them have.
pub(super) struct Release {
    name: String,
    values: Vec<PathBuf>,
}

pub(super) struct Helm {
    version: &'static str,
    program: PathBuf,
}

// === impl Release ===

impl Release {
    /// All of them, in order.
    pub(super) fn all(examples: &Path) -> Result<Vec<Self>> {
        let mut scenarios: Vec<_> = std::fs::read_dir(examples)?
            .map(|entry| entry.map(|it| it.path()))
            .collect::<Result<_, _>>()?;
        scenarios.retain(|it| it.is_dir());
        scenarios.sort();
        let mut releases = Vec::new();
        for scenario in scenarios {
            let readme = scenario.join("README.md");
            ensure!(readme.is_file(), "{} is missing", readme.display());
            releases.extend(Self::of(&scenario)?);
        }
        ensure!(!releases.is_empty(), "there are no examples");
        Ok(releases)
    }

    fn of(scenario: &Path) -> Result<Vec<Self>> {
        let name = |path: &Path| {
            let name = path.file_stem().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let (common, own): (Vec<_>, Vec<_>) = files(scenario, "yaml")?
            .into_iter()
            .partition(|file| name(file) == "common");
        let of = |own: PathBuf| Self {
            name: format!("{}.{}", name(scenario), name(&own)),
            values: common.iter().cloned().chain([own]).collect(),
        };
        Ok(own.into_iter().map(of).collect())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

// === impl Helm ===

impl Helm {
    pub(super) const fn new(version: &'static str, program: PathBuf) -> Self {
        Self { version, program }
    }

    pub(super) const fn version(&self) -> &'static str {
        self.version
    }

    pub(super) fn lint(&self, chart: &Path, release: &Release) -> Result<()> {
        let lint = self.for_release("lint", release).arg(chart);
        lint.arg("--strict").output().map(drop)
    }

    pub(super) fn template(&self, chart: &Path, release: &Release) -> Result<String> {
        let template = self.for_release("template", release);
        template.args(["meridian"]).arg(chart).output()
    }

    /// The file that it wrote.
    pub(super) fn package(&self, chart: &Path, dir: &Path) -> Result<PathBuf> {
        let package = Program::new(&self.program).arg("package").arg(chart);
        package.arg("--destination").arg(dir).output()?;
        let mut packages = files(dir, "tgz")?;
        packages.pop().context("there is no package")
    }

    /// A Helm without a cluster takes the oldest for granted unless it is told.
    fn for_release(&self, verb: &str, release: &Release) -> Program {
        let [_, newest] = KUBERNETES;
        let helm = Program::new(&self.program).arg(verb);
        let helm = helm.args(["--namespace", "meridian", "--kube-version", newest]);
        let values = release.values.iter();
        values.fold(helm, |helm, file| helm.arg("--values").arg(file))
    }
}
