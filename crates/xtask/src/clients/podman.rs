//! podman, and with it buildah and CRI-O, which push and pull by the same library.

use std::fs::{self, File};

use anyhow::{Context, Result, ensure};

use super::ground::{FILE, Ground, LONG, MIB, TAG};
use super::{Case, Client};
use crate::content::digest;
use crate::prerequisites::Need;
use crate::process::Program;

pub(super) const CLIENT: Client = Client {
    name: "podman",
    needs: &[Need::Podman, Need::Root],
    cases: &[
        Case {
            name: "pushes_and_pulls_a_layer_of_64_mebibytes",
            check: pushes_and_pulls,
        },
        Case {
            name: "pushes_an_index_and_pulls_its_image_from_it",
            check: pushes_an_index,
        },
    ],
};

fn pushes_and_pulls(ground: &Ground) -> Result<()> {
    let repository = "podman/layer";
    let reference = ground.reference(repository);
    podman(ground)?
        .arg("import")
        .arg(ground.archive(repository, 64 * MIB)?)
        .arg(&reference)
        .output()?;
    podman(ground)?
        .args(["push", "--tls-verify=false", &reference])
        .output()?;
    podman(ground)?.args(["rmi", &reference]).output()?;
    pull(ground, &reference)?;
    let file = file_in(ground, &reference)?;
    ensure!(
        file == ground.file(repository, 64 * MIB)?,
        "another file came back"
    );
    Ok(())
}

fn pushes_an_index(ground: &Ground) -> Result<()> {
    let repository = "podman/index";
    let sample = ground.multi_arch(repository)?;
    let reference = ground.reference(repository);
    podman(ground)?
        .args(["manifest", "create", "index"])
        .output()?;
    podman(ground)?
        .args(["manifest", "add", "--all", "index", &sample.transport()])
        .output()?;
    podman(ground)?
        .args(["manifest", "push", "--all", "--tls-verify=false", "index"])
        .arg(format!("docker://{reference}"))
        .output()?;
    podman(ground)?.args(["manifest", "rm", "index"]).output()?;
    let stored = ground.registry().manifest(repository, TAG)?;
    let children = stored["manifests"].as_array().map_or(0, Vec::len);
    ensure!(children == 3, "stored {stored}");
    pull(ground, &reference)?;
    let file = file_in(ground, &reference)?;
    ensure!(
        file == ground.multi_arch_file(repository)?,
        "another file came back"
    );
    Ok(())
}

fn pull(ground: &Ground, reference: &str) -> Result<()> {
    podman(ground)?
        .args(["pull", "--tls-verify=false", reference])
        .output()?;
    Ok(())
}

fn file_in(ground: &Ground, reference: &str) -> Result<String> {
    let container = podman(ground)?
        .args(["create", "--network=none", reference, "/content"])
        .output()?;
    let container = container.trim();
    let file = ground.path(&format!("{container}.content"));
    podman(ground)?
        .args(["cp", &format!("{container}:/{FILE}")])
        .arg(&file)
        .output()?;
    podman(ground)?.args(["rm", container]).output()?;
    Ok(digest(File::open(&file).context("nothing was copied")?)?.0)
}

/// With storage, state and settings of its own.
fn podman(ground: &Ground) -> Result<Program> {
    let dir = ground.dir("podman")?;
    let settings = dir.join("containers.conf");
    fs::write(&settings, "")?;
    let home = ground.dir("home/.config/containers")?;
    fs::write(
        home.join("policy.json"),
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    )?;
    Ok(ground
        .program("podman")?
        .env("CONTAINERS_CONF", settings)
        .arg("--root")
        .arg(dir.join("storage"))
        .arg("--runroot")
        .arg(dir.join("state"))
        .arg("--tmpdir")
        .arg(dir.join("tmp"))
        .args([
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
        ])
        .limit(LONG))
}
