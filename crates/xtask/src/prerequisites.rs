//! What the commands need from the machine, whether it is here, and how it gets here.
//!
//! Debian's names for the packages stand in one table. As root, or in CI, what is missing is
//! installed; otherwise the one line that would install it is the error. What no package gives (a
//! recent Go where the distribution has an old one, the rights of root) is named.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{Program, find};
use crate::workspace::Workspace;

/// From Debian 13 on a package of its own, before that a part of `docker.io`.
const DOCKER_CLIENT: &str = "docker-cli";
const INSTALL_LIMIT: Duration = Duration::from_mins(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    CCompiler,
    /// The version that `tests/tools/go.mod` asks for, or one that fetches it.
    Go,
    /// Version 17 or later.
    Java,
    Maven,
    Redis,
    Etcd,
    /// With what makes virtual environments.
    Python,
    /// For networks that can be cut.
    Iproute,
    Iptables,
    /// For regions from which nothing leads.
    Namespaces,
    /// For clocks that can be set.
    Faketime,
    /// For engines, loop devices and networks.
    Root,
    Skopeo,
    Podman,
    Docker,
    Containerd,
    Ext4,
    LoopDevices,
    /// For rules of alerts.
    Promtool,
}

impl Need {
    /// What `cargo xtask test` needs.
    pub(crate) const ALL: &[Self] = &[
        Self::CCompiler,
        Self::Go,
        Self::Java,
        Self::Maven,
        Self::Iproute,
        Self::Iptables,
        Self::Namespaces,
        Self::Faketime,
        Self::Root,
        Self::Skopeo,
        Self::Podman,
        Self::Docker,
        Self::Containerd,
        Self::Ext4,
        Self::LoopDevices,
        Self::Promtool,
    ];

    const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::CCompiler => &["cc", "make", "perl"],
            Self::Go => &["go"],
            Self::Java => &["java"],
            Self::Maven => &["mvn"],
            Self::Redis => &["redis-server"],
            Self::Etcd => &["etcd"],
            Self::Python => &["python3"],
            Self::Iproute => &["ip"],
            Self::Iptables => &["iptables"],
            Self::Namespaces => &["unshare", "nsenter"],
            Self::Faketime => &["faketime"],
            Self::Root => &[],
            Self::Skopeo => &["skopeo"],
            Self::Podman => &["podman"],
            Self::Docker => &["docker", "dockerd", "runc"],
            Self::Containerd => &["containerd", "ctr"],
            Self::Ext4 => &["mkfs.ext4"],
            Self::LoopDevices => &["losetup", "mount", "umount"],
            Self::Promtool => &["promtool"],
        }
    }

    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::CCompiler => &["gcc", "libc6-dev", "make", "perl"],
            Self::Go => &["golang-go"],
            Self::Java => &["default-jre-headless"],
            Self::Maven => &["maven"],
            Self::Redis => &["redis-server"],
            Self::Etcd => &["etcd-server"],
            Self::Python => &["python3-venv"],
            Self::Iproute => &["iproute2"],
            Self::Iptables => &["iptables"],
            Self::Namespaces => &["util-linux"],
            Self::Faketime => &["faketime"],
            Self::Root => &[],
            Self::Skopeo => &["skopeo"],
            Self::Podman => &["podman"],
            Self::Docker => &["docker.io", DOCKER_CLIENT, "runc"],
            Self::Containerd => &["containerd"],
            Self::Ext4 => &["e2fsprogs"],
            Self::LoopDevices => &["util-linux", "mount"],
            Self::Promtool => &["prometheus"],
        }
    }

    fn is_met(self, workspace: &Workspace) -> bool {
        match self {
            Self::Root => is_root(),
            Self::Go => find("go").is_some() && go_is_recent(workspace),
            Self::Java => find("java").is_some() && java_is_recent(),
            Self::Python => find("python3").is_some() && python_makes_environments(),
            _ => self.programs().iter().all(|name| find(name).is_some()),
        }
    }

    /// What to do where packages did not help.
    const fn advice(self) -> &'static str {
        match self {
            Self::Go => "install the Go that `tests/tools/go.mod` asks for, from https://go.dev/dl",
            Self::Java => "install Java 17 or later, which Kafka runs on",
            Self::Python => "`python3` finds neither `venv` nor `ensurepip`",
            Self::Root => {
                "engines and loop devices need it; put `sudo --preserve-env env \"PATH=$PATH\"` before the command"
            }
            _ => "its package was installed, but the program is not in PATH",
        }
    }
}

/// Makes sure that all of `needs` are met, and says how they were.
pub(crate) fn ensure(needs: &[Need], workspace: &Workspace) -> Result<()> {
    let missing = missing(needs, workspace);
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages())
        .copied()
        .filter(|package| *package != DOCKER_CLIENT || exists(package))
        .collect();
    if !packages.is_empty() {
        let line = line(&packages);
        if !(is_root() || std::env::var_os("CI").is_some()) {
            bail!("programs are missing ({missing:?}); this installs them:\n{line}");
        }
        println!("{line}");
        install(&packages)?;
    }
    match self::missing(&missing, workspace).first() {
        Some(need) => bail!("{need:?} is missing: {}", need.advice()),
        None => {
            println!("all here: {needs:?}");
            Ok(())
        }
    }
}

fn missing(needs: &[Need], workspace: &Workspace) -> Vec<Need> {
    let needs = needs.iter().copied();
    needs.filter(|need| !need.is_met(workspace)).collect()
}

fn line(packages: &[&str]) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    format!(
        "{sudo}apt-get update && {sudo}apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    )
}

fn install(packages: &[&str]) -> Result<()> {
    let Some(apt) = find("apt-get") else {
        bail!(
            "there is no apt-get here; install by hand: {}",
            packages.join(" ")
        );
    };
    let apt = || {
        let program = if is_root() {
            Program::new(&apt)
        } else {
            Program::new("sudo").arg("--non-interactive").arg(&apt)
        };
        program
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .limit(INSTALL_LIMIT)
    };
    apt().arg("update").output()?;
    apt()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages)
        .output()?;
    Ok(())
}

fn exists(package: &str) -> bool {
    Program::new("apt-cache")
        .args(["show", package])
        .output()
        .is_ok()
}

/// Go itself judges: an old one refuses the file, a newer one fetches what the file asks for.
fn go_is_recent(workspace: &Workspace) -> bool {
    Program::new("go")
        .args(["list", "-m"])
        .env("GOWORK", "off")
        .dir(workspace.root().join("tests/tools"))
        .output()
        .is_ok()
}

/// It says `version "17.0.1"` or `version "25"`; before 9 it said `version "1.8"`.
fn java_is_recent() -> bool {
    let said = Program::new("java").arg("-version").said();
    said.is_ok_and(|said| java_version(&said.stderr).is_some_and(|version| version >= 17))
}

fn java_version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("version \"")?;
    version.split(['.', '"', '-', '+']).next()?.parse().ok()
}

fn python_makes_environments() -> bool {
    Program::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_that_a_package_meets_names_its_programs() {
        for need in Need::ALL {
            assert_eq!(
                need.packages().is_empty(),
                need.programs().is_empty(),
                "{need:?}"
            );
        }
    }

    #[test]
    fn the_version_of_java_is_read() {
        for (said, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("java version \"1.8.0_392\"", Some(1)),
            ("no such thing", None),
        ] {
            assert_eq!(java_version(said), version, "{said}");
        }
    }

    #[test]
    fn what_every_machine_has_is_found() {
        assert!(find("sh").is_some());
        assert!(find("a-program-that-nobody-has").is_none());
    }
}
