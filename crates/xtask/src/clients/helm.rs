//! helm: a chart as an OCI artifact.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::ground::Ground;
use super::{Case, Client};
use crate::content::digest;
use crate::process::Program;

pub(super) const CLIENT: Client = Client {
    name: "helm",
    needs: &[],
    cases: &[Case {
        name: "pushes_and_pulls_a_chart",
        check: pushes_and_pulls,
    }],
};

const CHART: &str = "apiVersion: v2\nname: example\nversion: 1.2.3+build.4\nappVersion: \"7\"\n";
const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n";

fn pushes_and_pulls(ground: &Ground) -> Result<()> {
    let dir = ground.dir("helm")?;
    let chart = dir.join("example");
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), CHART)?;
    fs::write(chart.join("templates/map.yaml"), TEMPLATE)?;
    helm(ground)?
        .arg("package")
        .arg(&chart)
        .dir(&dir)
        .output()?;
    let package = dir.join("example-1.2.3+build.4.tgz");
    let charts = format!("oci://{}/helm/charts", ground.registry().address());
    helm(ground)?
        .arg("push")
        .arg(&package)
        .args([&charts, "--plain-http"])
        .output()?;
    // A tag has no `+`, so helm writes `_` for it.
    let stored = ground
        .registry()
        .manifest("helm/charts/example", "1.2.3_build.4")?;
    ensure!(
        stored["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json",
        "stored {stored}"
    );
    let back = ground.dir("helm.back")?;
    helm(ground)?
        .args([
            "pull",
            &format!("{charts}/example"),
            "--version",
            "1.2.3+build.4",
            "--plain-http",
        ])
        .dir(&back)
        .output()?;
    let file = back.join("example-1.2.3+build.4.tgz");
    let came = digest(fs::File::open(&file).context("no chart came back")?)?;
    ensure!(
        came == digest(fs::File::open(&package)?)?,
        "another chart came back"
    );
    let shown = helm(ground)?
        .args([
            "show",
            "chart",
            &format!("{charts}/example"),
            "--version",
            "1.2.3+build.4",
        ])
        .arg("--plain-http")
        .output()?;
    ensure!(shown.contains("appVersion: \"7\""), "shown {shown}");
    Ok(())
}

fn helm(ground: &Ground) -> Result<Program> {
    ground.tool("helm")
}
