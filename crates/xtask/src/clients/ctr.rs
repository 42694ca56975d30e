//! containerd by its own `ctr`, and with it every Kubernetes node that runs containerd.
//!
//! Also what such a node does when it is told of two regions: it goes on with the other one when the
//! nearer one is lost.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::ground::{Ground, LONG, MIB, Sample, TAG};
use super::regions::{Region, Regions};
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
        Case {
            name: "pulls_from_the_other_region_when_the_nearer_one_is_lost",
            check: |ground| in_two_regions(ground, "ctr/lost", pulls_without_the_nearer),
        },
        Case {
            name: "finishes_a_pull_amid_which_the_nearer_region_dies",
            check: |ground| in_two_regions(ground, "ctr/amid", finishes_without_the_nearer),
        },
    ],
};

/// The name by which both regions are known, to containerd alone.
const HOST: &str = "registry.test";

/// Ends the nearer region when it has sent some pieces of a layer, and not all of them.
const DIES: (&str, &str) = ("MERIDIAN_CRASH_POINT", "fe.get.mid_body@20");

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
    forget(ground, &reference)?;
    ctr(ground)?
        .args(["images", "pull", "--plain-http", "--all-platforms"])
        .args(["--snapshotter", "native", &reference])
        .output()?;
    has(ground, &reference, &name, sample)
}

/// An image that both of two regions have, and containerd is to pull.
struct Spread<'a> {
    ground: &'a Ground,
    regions: Regions,
    /// In the repository that bears its label.
    label: &'a str,
    sample: Sample,
}

/// Pushes an image to the nearer of two regions, waits until the other one has it, and checks that.
fn in_two_regions(
    ground: &Ground,
    label: &str,
    check: fn(&mut Spread<'_>) -> Result<()>,
) -> Result<()> {
    let regions = Regions::start(ground, &label.replace('/', ".regions."))?;
    let mut spread = Spread {
        ground,
        regions,
        label,
        sample: ground.image(label, 64 * MIB)?,
    };
    let checked = spread.push().and_then(|()| check(&mut spread));
    checked.with_context(|| spread.regions.log_ends())
}

fn pulls_without_the_nearer(spread: &mut Spread<'_>) -> Result<()> {
    let before = spread.answers()?;
    spread.pull()?;
    let after = spread.answers()?;
    ensure!(
        after.0 > before.0 && after.1 == before.1,
        "the nearer region answered {} requests and the other one {}",
        after.0 - before.0,
        after.1 - before.1,
    );
    spread.regions.eu.kill();
    spread.pull()?;
    let sent = spread.regions.us.answered("blob", 200)?;
    ensure!(sent > 0, "the other region sent no layer");
    Ok(())
}

fn finishes_without_the_nearer(spread: &mut Spread<'_>) -> Result<()> {
    let Regions { eu, us } = &mut spread.regions;
    eu.kill();
    eu.start(us, spread.ground, &[DIES])?;
    spread.pull()?;
    let said = spread.regions.eu.end()?;
    ensure!(said.contains("crash point"), "{said}");
    // It asked for the rest, and not for all of it again.
    let rests = spread.regions.us.answered("blob", 206)?;
    ensure!(rests > 0, "the other region was not asked for the rest");
    Ok(())
}

// === impl Spread ===

impl Spread<'_> {
    fn push(&self) -> Result<()> {
        let name = format!("{}/{}:{TAG}", self.regions.eu.address(), self.label);
        self.ground
            .tool("crane")?
            .arg("push")
            .arg(self.sample.layout.path())
            .arg(name)
            .limit(LONG)
            .output()?;
        let image = format!("{}:{TAG}", self.label);
        self.regions.wait_for(&image, self.ground)
    }

    /// Pulls it anew from wherever it is to be had, and compares the bytes.
    fn pull(&self) -> Result<()> {
        let name = self.label.replace('/', ".");
        let hosts = self.ground.dir(&format!("{name}.hosts"))?;
        self.regions.write_hosts(&hosts, HOST)?;
        let reference = format!("{HOST}/{}:{TAG}", self.label);
        ctr(self.ground)?
            .args(["images", "pull", "--snapshotter", "native", "--hosts-dir"])
            .arg(&hosts)
            .arg(&reference)
            .output()?;
        has(self.ground, &reference, &name, &self.sample)?;
        forget(self.ground, &reference)?;
        let kept = ctr(self.ground)?.args(["content", "ls", "-q"]).output()?;
        for descriptor in self.sample.layout.below(&self.sample.root)? {
            let digest = &descriptor.digest;
            ensure!(!kept.contains(digest), "containerd has kept {digest}");
        }
        Ok(())
    }

    /// How many manifests and layers the nearer region has answered, and the other one.
    fn answers(&self) -> Result<(u64, u64)> {
        let count = |region: &Region| -> Result<u64> {
            Ok(region.answered("manifest", 200)? + region.answered("blob", 200)?)
        };
        Ok((count(&self.regions.eu)?, count(&self.regions.us)?))
    }
}

/// Has containerd forget an image and its content.
fn forget(ground: &Ground, reference: &str) -> Result<()> {
    ctr(ground)?
        .args(["images", "rm", "--sync", reference])
        .output()?;
    Ok(())
}

/// Fails unless containerd holds an image, byte for byte.
fn has(ground: &Ground, reference: &str, name: &str, sample: &Sample) -> Result<()> {
    let back = ground.path(&format!("{name}.back.tar"));
    ctr(ground)?
        .args([
            "images",
            "export",
            "--all-platforms",
            "--skip-manifest-json",
        ])
        .arg(&back)
        .arg(reference)
        .output()?;
    let unpacked = ground.path(name);
    let back = unpack(&back, &unpacked)?;
    sample.layout.same_in(&back, &sample.root)?;
    // The next one is not to find there what this one had.
    fs::remove_dir_all(unpacked)?;
    Ok(())
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
