//! The docker engine: it compresses what it pushes and unpacks what it pulls, so files are compared.

use std::fs::File;

use anyhow::{Context, Result, ensure};

use super::ground::{FILE, Ground, LONG, MIB, TAG, architecture};
use super::{Case, Client};
use crate::content::digest;
use crate::layout::{DOCKER_LIST, DOCKER_MANIFEST};
use crate::prerequisites::Need;
use crate::process::Program;

pub(super) const CLIENT: Client = Client {
    name: "docker",
    needs: &[Need::Docker, Need::Containerd, Need::Root],
    cases: &[
        Case {
            name: "pushes_and_pulls_a_layer_of_64_mebibytes",
            check: pushes_and_pulls,
        },
        Case {
            name: "pulls_its_image_from_an_index",
            check: pulls_from_an_index,
        },
        Case {
            name: "pushes_a_manifest_list",
            check: pushes_a_manifest_list,
        },
    ],
};

fn pushes_and_pulls(ground: &Ground) -> Result<()> {
    let repository = "docker/layer";
    let reference = import(ground, repository, 64 * MIB)?;
    docker(ground)?.args(["push", &reference]).output()?;
    docker(ground)?.args(["image", "rm", &reference]).output()?;
    pull(ground, &reference)?;
    let file = file_in(ground, &reference)?;
    ensure!(
        file == ground.file(repository, 64 * MIB)?,
        "another file came back"
    );
    Ok(())
}

fn pulls_from_an_index(ground: &Ground) -> Result<()> {
    let repository = "docker/index";
    let sample = ground.multi_arch(repository)?;
    let reference = reference(ground, repository);
    ground
        .tool("crane")?
        .arg("push")
        .arg(sample.layout.path())
        .arg(&reference)
        .output()?;
    pull(ground, &reference)?;
    let file = file_in(ground, &reference)?;
    ensure!(
        file == ground.multi_arch_file(repository)?,
        "another file came back"
    );
    Ok(())
}

fn pushes_a_manifest_list(ground: &Ground) -> Result<()> {
    let image = import(ground, "docker/list", MIB)?;
    docker(ground)?.args(["push", &image]).output()?;
    let list = image.replace(&format!(":{TAG}"), ":list");
    docker(ground)?
        .args(["manifest", "create", "--insecure", &list, &image])
        .output()?;
    docker(ground)?
        .args(["manifest", "push", "--insecure", &list])
        .output()?;
    let stored = ground.registry().manifest("docker/list", "list")?;
    let child = &stored["manifests"][0];
    ensure!(stored["mediaType"] == DOCKER_LIST, "stored {stored}");
    ensure!(child["mediaType"] == DOCKER_MANIFEST, "stored {stored}");
    ensure!(
        child["platform"]["architecture"] == architecture(),
        "stored {stored}"
    );
    let digest = ground.registry().digest("docker/list", TAG)?;
    ensure!(
        child["digest"] == *digest,
        "the list names {child}, not {digest}"
    );
    docker(ground)?.args(["image", "rm", &image]).output()?;
    pull(ground, &list)?;
    let file = file_in(ground, &list)?;
    ensure!(
        file == ground.file("docker/list", MIB)?,
        "another file came back"
    );
    Ok(())
}

/// As people write it: docker speaks plain HTTP to `localhost` without being told.
fn reference(ground: &Ground, repository: &str) -> String {
    ground
        .reference(repository)
        .replace("127.0.0.1:", "localhost:")
}

/// Makes an image of one layer and returns its reference.
fn import(ground: &Ground, repository: &str, size: u64) -> Result<String> {
    let reference = reference(ground, repository);
    let archive = ground.archive(repository, size)?;
    docker(ground)?
        .arg("import")
        .arg(archive)
        .arg(&reference)
        .output()?;
    Ok(reference)
}

fn pull(ground: &Ground, reference: &str) -> Result<()> {
    let said = docker(ground)?.args(["pull", reference]).output()?;
    // Else it had the layers all the time, and nothing was proven.
    ensure!(!said.contains("Already exists"), "not pulled anew:\n{said}");
    Ok(())
}

fn file_in(ground: &Ground, reference: &str) -> Result<String> {
    let container = docker(ground)?
        .args(["create", reference, "/content"])
        .output()?;
    let container = container.trim();
    let file = ground.path(&format!("{container}.content"));
    docker(ground)?
        .args(["cp", &format!("{container}:/{FILE}")])
        .arg(&file)
        .output()?;
    docker(ground)?.args(["rm", container]).output()?;
    Ok(digest(File::open(&file).context("nothing was copied")?)?.0)
}

fn docker(ground: &Ground) -> Result<Program> {
    let host = ground.docker()?.host();
    Ok(ground
        .program("docker")?
        .env("DOCKER_HOST", host)
        .limit(LONG))
}
