//! `cargo xtask chart`: what can be proven of the chart without a cluster.
//!
//! Owns the order of the proofs. Each is a file: what is rendered and what both Helms make of it
//! (`release`), that the values are those of the schema and used (`values`), that every refusal is tried
//! (`refusals`), that `meridian` takes the settings of every role (`settings`), and that alerts, runbooks
//! and dashboards speak of what there is (`monitoring`). Leaves to a cluster what only one can tell.

mod certificates;
mod monitoring;
mod refusals;
mod release;
mod settings;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::prerequisites::{self, Need};
use crate::process::Program;
use crate::scratch::Scratch;
use crate::tools::Tools;
use crate::workspace::Workspace;
use release::{Helm, Release};

/// The oldest Kubernetes that Chart.yaml takes, and the newest that we have schemas of.
const KUBERNETES: [&str; 2] = ["v1.30.14", "v1.36.3"];
const UNIT_LIMIT: Duration = Duration::from_mins(5);

/// Where things lie.
struct Ground {
    root: PathBuf,
    scratch: Scratch,
    helms: [Helm; 2],
    tools: Tools,
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(&[Need::Go, Need::Promtool], workspace)?;
    let three = Tools::ensure(workspace)?.path("helm");
    let tools = Tools::of("tests/tools/chart", workspace)?;
    let ground = Ground {
        root: workspace.root().to_owned(),
        scratch: Scratch::new()?,
        helms: [Helm::new("3", three), Helm::new("4", tools.path("helm"))],
        tools,
    };
    let releases = Release::all(&ground.folder("helm/examples"))?;
    passed("values and schema agree", values::check(&ground))?;
    passed("no refusal is untried", refusals::check(&ground))?;
    passed(
        "alerts, runbooks and dashboards speak of what there is",
        monitoring::check(&ground.root),
    )?;
    passed("alerts fire where they should", alerts(&ground.root))?;
    passed("lint", lint(&ground, &releases))?;
    passed("unit tests", unit_tests(&ground))?;
    let rendered = render(&ground, &releases)?;
    passed("schemas of Kubernetes", conform(&ground, &rendered))?;
    passed(
        "a package renders as the folder does",
        package(&ground, &releases[0]),
    )?;
    workspace.build()?;
    settings::check(&rendered, &workspace.program("meridian"), &ground.scratch)
}

fn passed(what: &str, proof: Result<()>) -> Result<()> {
    proof.with_context(|| what.to_owned())?;
    println!("ok: {what}");
    Ok(())
}

/// Each alert has a test of its name, in which it fires in one region and not in another.
fn alerts(root: &Path) -> Result<()> {
    let tests = files(&root.join("deploy/alerts/tests"), "yaml")?;
    let promtool = Program::new("promtool").args(["test", "rules"]);
    promtool.args(tests).output().map(drop)
}

fn lint(ground: &Ground, releases: &[Release]) -> Result<()> {
    for helm in &ground.helms {
        for release in releases {
            helm.lint(&ground.chart(), release)?;
        }
    }
    Ok(())
}

fn unit_tests(ground: &Ground) -> Result<()> {
    let program = ground.tools.program("helm-unittest").limit(UNIT_LIMIT);
    program.arg("--strict").arg(ground.chart()).run()
}

/// Renders each release with both Helms, each twice: to the same bytes, and both to the same objects. They
/// differ in empty lines.
fn render(ground: &Ground, releases: &[Release]) -> Result<Vec<(String, PathBuf)>> {
    let dir = ground.scratch.dir("rendered")?;
    let mut rendered = Vec::new();
    for release in releases {
        let mut texts = Vec::new();
        for helm in &ground.helms {
            let text = helm.template(&ground.chart(), release)?;
            let again = helm.template(&ground.chart(), release)?;
            let version = helm.version();
            ensure!(
                again == text,
                "{release} is not the same again, with Helm {version}"
            );
            texts.push(text);
        }
        let [first, second] = &texts[..] else {
            bail!("there are two Helms");
        };
        let is_alike = documents(first)? == documents(second)?;
        ensure!(is_alike, "the Helms render {release} differently");
        let file = dir.join(format!("{}.yaml", release.name()));
        std::fs::write(&file, first)?;
        rendered.push((release.name().to_owned(), file));
        println!("ok: {release} renders alike");
    }
    Ok(rendered)
}

fn conform(ground: &Ground, rendered: &[(String, PathBuf)]) -> Result<()> {
    // What is wrong in one place, in the last pod, is found.
    let (_, last) = rendered.last().context("nothing is rendered")?;
    let wrong = ground.scratch.path().join("wrong.yaml");
    let text = read(last)?.replacen("automountServiceAccountToken", "automountServiceToken", 1);
    std::fs::write(&wrong, text)?;
    for version in KUBERNETES {
        let refused = kubeconform(ground, version).arg(&wrong).said()?;
        ensure!(
            refused.stdout.contains("automountServiceToken"),
            "a field that there is not is let through: {}",
            refused.stdout
        );
        let files = rendered.iter().map(|(_, file)| file);
        kubeconform(ground, version).args(files).run()?;
    }
    Ok(())
}

fn kubeconform(ground: &Ground, version: &str) -> Program {
    let schemas = ground.folder("helm/schemas");
    let schemas = schemas.display();
    let kubernetes = format!("{schemas}/{version}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json");
    let custom = format!(
        "{schemas}/custom/{{{{.Group}}}}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json"
    );
    let kubeconform = ground.tools.program("kubeconform");
    let kubeconform = kubeconform.args(["-strict", "-summary"]);
    kubeconform.args(["-schema-location", &kubernetes, "-schema-location", &custom])
}

/// What users install is a package, in which links have become files.
fn package(ground: &Ground, release: &Release) -> Result<()> {
    let dir = ground.scratch.dir("package")?;
    let [helm, _] = &ground.helms;
    let file = helm.package(&ground.chart(), &dir)?;
    let ours = helm.template(&ground.chart(), release)?;
    ensure!(helm.template(&file, release)? == ours, "it does not");
    Ok(())
}

// === impl Ground ===

impl Ground {
    fn folder(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn chart(&self) -> PathBuf {
        self.folder("helm/meridian")
    }
}

/// A YAML file as data.
fn yaml(path: &Path) -> Result<serde_json::Value> {
    let text = read(path)?;
    serde_norway::from_str(&text).with_context(|| format!("{} is no YAML", path.display()))
}

/// The objects of a rendered chart.
fn documents(text: &str) -> Result<Vec<serde_json::Value>> {
    serde_norway::Deserializer::from_str(text)
        .map(|document| Ok(serde_json::Value::deserialize(document)?))
        .collect()
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The files of a folder with that ending, in order.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<_> = entries.into_iter().map(|it| it.path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == ending));
    files.sort();
    Ok(files)
}
