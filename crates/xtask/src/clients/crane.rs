//! crane, and with it ko, cosign and kaniko, which push and pull by the same library.

use std::fs;

use anyhow::{Result, ensure};

use super::ground::{Ground, LONG, Sample, TAG};
use super::{Case, Client};
use crate::layout::Layout;
use crate::process::Program;

pub(super) const CLIENT: Client = Client {
    name: "crane",
    needs: &[],
    cases: &[
        Case {
            name: "copies_a_multi_arch_index",
            check: |ground| copies(ground, "crane/index", &ground.multi_arch("crane/index")?),
        },
        Case {
            name: "copies_a_nested_index",
            check: |ground| {
                copies(
                    ground,
                    "crane/nested",
                    &ground.nested_index("crane/nested")?,
                )
            },
        },
        Case {
            name: "copies_a_layer_of_one_gibibyte",
            check: |ground| copies(ground, "crane/gibibyte", ground.gibibyte()?),
        },
        Case {
            name: "pushes_an_image_with_a_foreign_layer",
            check: pushes_a_foreign_layer,
        },
        Case {
            name: "copies_between_repositories",
            check: copies_between_repositories,
        },
        Case {
            name: "tags_lists_and_deletes",
            check: tags_lists_and_deletes,
        },
    ],
};

fn copies(ground: &Ground, repository: &str, sample: &Sample) -> Result<()> {
    push(ground, repository, sample)?;
    ground
        .registry()
        .holds(repository, TAG, &sample.layout, &sample.root)?;
    let back = ground.path(&repository.replace('/', "."));
    crane(ground)?
        .args([
            "pull",
            "--format=oci",
            "--platform=all",
            &ground.reference(repository),
        ])
        .arg(&back)
        .output()?;
    sample.layout.same_in(&Layout::open(&back), &sample.root)?;
    fs::remove_dir_all(back)?;
    Ok(())
}

/// It takes the layer's word for where the bytes are, and so must the registry.
fn pushes_a_foreign_layer(ground: &Ground) -> Result<()> {
    let repository = "crane/foreign";
    let sample = ground.foreign_layer(repository)?;
    push(ground, repository, &sample)?;
    ground
        .registry()
        .holds(repository, TAG, &sample.layout, &sample.root)
}

/// Here blobs are mounted, not sent.
fn copies_between_repositories(ground: &Ground) -> Result<()> {
    let sample = ground.multi_arch("crane/from")?;
    push(ground, "crane/from", &sample)?;
    let (from, to) = (ground.reference("crane/from"), ground.reference("crane/to"));
    crane(ground)?.args(["copy", &from, &to]).output()?;
    ground
        .registry()
        .holds("crane/to", TAG, &sample.layout, &sample.root)?;
    crane(ground)?
        .args(["validate", "--remote", &to])
        .output()?;
    Ok(())
}

fn tags_lists_and_deletes(ground: &Ground) -> Result<()> {
    let repository = "crane/tags";
    let sample = ground.image(repository, 1000)?;
    let reference = ground.reference(repository);
    let name = reference.trim_end_matches(&format!(":{TAG}"));
    push(ground, repository, &sample)?;
    crane(ground)?
        .args(["tag", &reference, "another"])
        .output()?;
    let tags = crane(ground)?.args(["ls", name]).output()?;
    ensure!(tags.lines().eq([TAG, "another"]), "listed {tags}");
    let digest = crane(ground)?.args(["digest", &reference]).output()?;
    ensure!(digest.trim() == sample.root.digest, "digest {digest}");
    crane(ground)?
        .args(["delete", &format!("{name}@{}", sample.root.digest)])
        .output()?;
    let gone = crane(ground)?.args(["manifest", &reference]).said()?;
    ensure!(!gone.status.success(), "it can still be pulled");
    Ok(())
}

fn push(ground: &Ground, repository: &str, sample: &Sample) -> Result<()> {
    crane(ground)?
        .arg("push")
        .arg(sample.layout.path())
        .arg(ground.reference(repository))
        .output()?;
    Ok(())
}

fn crane(ground: &Ground) -> Result<Program> {
    Ok(ground.tool("crane")?.limit(LONG))
}
