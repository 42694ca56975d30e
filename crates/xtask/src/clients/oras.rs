//! oras: artifacts that are no images, and what refers to what.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::ground::{Ground, MIB, TAG};
use super::{Case, Client};
use crate::content::digest;
use crate::layout::Layout;
use crate::process::Program;

pub(super) const CLIENT: Client = Client {
    name: "oras",
    needs: &[],
    cases: &[
        Case {
            name: "pushes_and_pulls_an_artifact",
            check: pushes_and_pulls,
        },
        Case {
            name: "attaches_and_discovers_referrers",
            check: attaches_and_discovers,
        },
        Case {
            name: "copies_a_nested_index",
            check: copies_a_nested_index,
        },
    ],
};

const SBOM: &str = "application/vnd.example.sbom";
const SIGNATURE: &str = "application/vnd.example.signature";

fn pushes_and_pulls(ground: &Ground) -> Result<()> {
    let (repository, reference) = ("oras/artifact", ground.reference("oras/artifact"));
    push(ground, repository)?;
    let stored = ground.registry().manifest(repository, TAG)?;
    ensure!(
        stored["artifactType"] == "application/vnd.example.model",
        "stored {stored}"
    );
    let back = ground.dir("oras.back")?;
    oras(ground)?
        .args(["pull", "--plain-http", &reference])
        .dir(&back)
        .output()?;
    for name in ["weights", "card"] {
        same_file(ground, repository, name, &back)?;
    }
    Ok(())
}

fn attaches_and_discovers(ground: &Ground) -> Result<()> {
    let (repository, reference) = ("oras/subject", ground.reference("oras/subject"));
    push(ground, repository)?;
    let dir = ground.dir("oras.attached")?;
    for (name, kind) in [("sbom", SBOM), ("signature", SIGNATURE)] {
        write_file(ground, repository, name, &dir)?;
        oras(ground)?
            .args(["attach", "--plain-http", "--artifact-type", kind])
            .args([
                "--annotation",
                &format!("example.name={name}"),
                &reference,
                name,
            ])
            .dir(&dir)
            .output()?;
    }
    let all = discover(ground, &reference, &[])?;
    ensure!(all.len() == 2, "discovered {all:?}");
    let signatures = discover(ground, &reference, &["--artifact-type", SIGNATURE])?;
    let [signature] = &*signatures else {
        anyhow::bail!("discovered {signatures:?}");
    };
    ensure!(
        signature["annotations"]["example.name"] == "signature",
        "discovered {signature}"
    );
    let referrer = signature["reference"].as_str().context("no reference")?;
    let back = ground.dir("oras.signature")?;
    oras(ground)?
        .args(["pull", "--plain-http", referrer])
        .dir(&back)
        .output()?;
    same_file(ground, repository, "signature", &back)?;
    takes_its_referrers_along(ground, &reference)
}

/// A copy with its referrers has as many of them in another repository.
fn takes_its_referrers_along(ground: &Ground, reference: &str) -> Result<()> {
    let copy = ground.reference("oras/copy");
    oras(ground)?
        .args(["cp", "--recursive", "--from-plain-http", "--to-plain-http"])
        .args([reference, &copy])
        .output()?;
    let copied = discover(ground, &copy, &[])?;
    ensure!(copied.len() == 2, "the copy has {copied:?}");
    Ok(())
}

fn copies_a_nested_index(ground: &Ground) -> Result<()> {
    let (repository, reference) = ("oras/nested", ground.reference("oras/nested"));
    let sample = ground.nested_index(repository)?;
    let local = format!("{}:{TAG}", sample.layout.path().display());
    oras(ground)?
        .args([
            "cp",
            "--from-oci-layout",
            &local,
            "--to-plain-http",
            &reference,
        ])
        .output()?;
    ground
        .registry()
        .holds(repository, TAG, &sample.layout, &sample.root)?;
    let back = ground.path("oras.nested");
    oras(ground)?
        .args(["cp", "--from-plain-http", &reference, "--to-oci-layout"])
        .arg(format!("{}:{TAG}", back.display()))
        .output()?;
    sample.layout.same_in(&Layout::open(&back), &sample.root)
}

fn push(ground: &Ground, repository: &str) -> Result<()> {
    let dir = ground.dir(&repository.replace('/', "."))?;
    for name in ["weights", "card"] {
        write_file(ground, repository, name, &dir)?;
    }
    oras(ground)?
        .args([
            "push",
            "--plain-http",
            "--artifact-type",
            "application/vnd.example.model",
        ])
        .args([
            &ground.reference(repository),
            "weights:application/octet-stream",
            "card:text/plain",
        ])
        .dir(&dir)
        .output()?;
    Ok(())
}

fn discover(ground: &Ground, reference: &str, filter: &[&str]) -> Result<Vec<Value>> {
    let said = oras(ground)?
        .args(["discover", "--plain-http", "--format", "json"])
        .args(filter)
        .arg(reference)
        .output()?;
    let tree: Value = serde_json::from_str(&said)?;
    let referrers = tree["referrers"].as_array();
    Ok(referrers
        .with_context(|| format!("discovered {tree}"))?
        .clone())
}

fn write_file(ground: &Ground, label: &str, name: &str, dir: &Path) -> Result<()> {
    let mut noise = ground.noise(&format!("{label}/{name}")).take(MIB);
    io::copy(&mut noise, &mut File::create(dir.join(name))?)?;
    Ok(())
}

fn same_file(ground: &Ground, label: &str, name: &str, dir: &Path) -> Result<()> {
    let file = File::open(dir.join(name)).with_context(|| format!("no {name} came back"))?;
    let wanted = ground.file(&format!("{label}/{name}"), MIB)?;
    ensure!(digest(file)?.0 == wanted, "another {name} came back");
    Ok(())
}

fn oras(ground: &Ground) -> Result<Program> {
    ground.tool("oras")
}
