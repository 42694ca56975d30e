//! containerd by its own `ctr`, and with it every Kubernetes node that runs containerd.

use anyhow::Result;

use super::ground::{Ground, LONG, MIB, Sample, TAG};
use super::{Case, Client};
use crate::layout::unpack;
use crate::prerequisites::Need;
use crate::process::Program;

pub(super) const CLIENT: Client = Client {
    name: "ctr",
    needs: &[Need::Containerd, Need::Root],
    cases: &[
        Case {
            name: "copies_a_multi_arch_index",
            check: |ground| copies(ground, "ctr/index", &ground.multi_arch("ctr/index")?),
        },
        Case {
            name: "copies_a_layer_of_64_mebibytes",
            check: |ground| copies(ground, "ctr/layer", &ground.image("ctr/layer", 64 * MIB)?),
        },
    ],
};

fn copies(ground: &Ground, repository: &str, sample: &Sample) -> Result<()> {
    let name = repository.replace('/', ".");
    let reference = ground.reference(repository);
    let archive = ground.path(&format!("{name}.tar"));
    sample.layout.archive(&archive)?;
    ctr(ground)?
        .args(["images", "import", "--all-platforms", "--no-unpack"])
        .args([
            "--base-name",
            reference.trim_end_matches(&format!(":{TAG}")),
        ])
        .arg(&archive)
        .output()?;
    ctr(ground)?
        .args(["images", "push", "--plain-http", &reference])
        .output()?;
    ground
        .registry()
        .holds(repository, TAG, &sample.layout, &sample.root)?;
    ctr(ground)?
        .args(["images", "rm", "--sync", &reference])
        .output()?;
    ctr(ground)?
        .args(["images", "pull", "--plain-http", "--all-platforms"])
        .args(["--snapshotter", "native", &reference])
        .output()?;
    let back = ground.path(&format!("{name}.back.tar"));
    ctr(ground)?
        .args([
            "images",
            "export",
            "--all-platforms",
            "--skip-manifest-json",
        ])
        .arg(&back)
        .arg(&reference)
        .output()?;
    let back = unpack(&back, &ground.path(&name))?;
    sample.layout.same_in(&back, &sample.root)
}

fn ctr(ground: &Ground) -> Result<Program> {
    let socket = ground.containerd()?.socket();
    Ok(ground
        .program("ctr")?
        .arg("--address")
        .arg(socket)
        .args(["--namespace", "matrix"])
        .limit(LONG))
}
