//! skopeo: copies between image layouts and registries, byte for byte.

use anyhow::{Result, ensure};

use super::ground::{Ground, LONG, Sample, TAG};
use super::{Case, Client};
use crate::layout::Layout;
use crate::prerequisites::Need;

pub(super) const CLIENT: Client = Client {
    name: "skopeo",
    needs: &[Need::Skopeo],
    cases: &[
        Case {
            name: "copies_a_multi_arch_index",
            check: |ground| copies(ground, "skopeo/index", &ground.multi_arch("skopeo/index")?),
        },
        Case {
            name: "copies_an_image_with_a_foreign_layer",
            check: |ground| {
                copies(
                    ground,
                    "skopeo/foreign",
                    &ground.foreign_layer("skopeo/foreign")?,
                )
            },
        },
        Case {
            name: "copies_a_layer_of_one_gibibyte",
            check: |ground| copies(ground, "skopeo/gibibyte", ground.gibibyte()?),
        },
        Case {
            name: "lists_and_deletes",
            check: lists_and_deletes,
        },
    ],
};

fn copies(ground: &Ground, repository: &str, sample: &Sample) -> Result<()> {
    let remote = format!("docker://{}", ground.reference(repository));
    let back = ground.path(&repository.replace('/', "."));
    copy(ground, &sample.transport(), &remote)?;
    ground
        .registry()
        .holds(repository, TAG, &sample.layout, &sample.root)?;
    copy(ground, &remote, &format!("oci:{}:{TAG}", back.display()))?;
    sample.layout.same_in(&Layout::open(&back), &sample.root)?;
    std::fs::remove_dir_all(back)?;
    Ok(())
}

fn lists_and_deletes(ground: &Ground) -> Result<()> {
    let repository = "skopeo/deleted";
    let sample = ground.image("skopeo/deleted", 1000)?;
    let remote = format!("docker://{}", ground.reference(repository));
    copy(ground, &sample.transport(), &remote)?;
    let list = || {
        let name = remote.trim_end_matches(&format!(":{TAG}"));
        ground
            .program("skopeo")?
            .args(["list-tags", "--tls-verify=false", name])
            .output()
    };
    let tags: serde_json::Value = serde_json::from_str(&list()?)?;
    ensure!(tags["Tags"] == serde_json::json!([TAG]), "listed {tags}");
    ground
        .program("skopeo")?
        .args(["delete", "--tls-verify=false", &remote])
        .output()?;
    let inspect =
        ground
            .program("skopeo")?
            .args(["inspect", "--raw", "--tls-verify=false", &remote]);
    ensure!(!inspect.said()?.status.success(), "it can still be pulled");
    Ok(())
}

fn copy(ground: &Ground, from: &str, to: &str) -> Result<()> {
    ground
        .program("skopeo")?
        .args(["--insecure-policy", "copy", "--all", "--preserve-digests"])
        .args([
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            from,
            to,
        ])
        .limit(LONG)
        .output()?;
    Ok(())
}
