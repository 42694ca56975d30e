//! What the clients stand on: a registry, tools, an engine once it is needed, a folder, and content.
//!
//! Keeps the invariant that clients share nothing: each pushes bytes of its own into repositories of
//! its own, so that none finds there what another has brought, and none reads this user's settings.

use std::cell::{Cell, OnceCell};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::engine::{Containerd, Docker};
use crate::content::Noise;
use crate::layout::{Descriptor, Layout};
use crate::process::{Program, Service};
use crate::registry::{Registry, Subject};
use crate::scratch::Scratch;
use crate::tools::Tools;
use crate::workspace::Workspace;

pub(super) const MIB: u64 = 1 << 20;
/// For what moves a layer of a gibibyte.
pub(super) const LONG: Duration = Duration::from_mins(5);
/// The tag of every sample.
pub(super) const TAG: &str = "1";
/// The one file of every layer.
pub(super) const FILE: &str = "content";

// What runs is dropped before the folder that it uses.
pub(super) struct Ground {
    docker: OnceCell<Result<Docker, String>>,
    containerd: OnceCell<Result<Containerd, String>>,
    registry: Registry,
    tools: Tools,
    seed: u64,
    large: OnceCell<Sample>,
    workspace: Workspace,
    is_built: Cell<bool>,
    scratch: Scratch,
}

/// A layout, and what its tag [`TAG`] names.
pub(super) struct Sample {
    pub(super) layout: Layout,
    pub(super) root: Descriptor,
}

impl Sample {
    /// `oci:PATH:TAG`, as skopeo and podman call it.
    pub(super) fn transport(&self) -> String {
        format!("oci:{}:{TAG}", self.layout.path().display())
    }
}

impl Ground {
    pub(super) fn lay(subject: &Subject, seed: u64, workspace: &Workspace) -> Result<Self> {
        if subject.is_ours() {
            workspace.build()?;
        }
        let tools = Tools::ensure(workspace)?;
        let scratch = Scratch::new()?;
        Ok(Self {
            docker: OnceCell::new(),
            containerd: OnceCell::new(),
            registry: Registry::start(subject, &scratch, workspace, &tools)?,
            tools,
            seed,
            large: OnceCell::new(),
            workspace: workspace.clone(),
            is_built: Cell::new(subject.is_ours()),
            scratch,
        })
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// `HOST:PORT/REPOSITORY:TAG`.
    pub(super) fn reference(&self, repository: &str) -> String {
        format!("{}/{repository}:{TAG}", self.registry.address())
    }

    /// A folder for one purpose.
    pub(super) fn dir(&self, name: &str) -> Result<PathBuf> {
        self.scratch.dir(name)
    }

    /// A path that nothing lies at yet.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A program of the machine.
    pub(super) fn program(&self, name: &str) -> Result<Program> {
        self.at_home(Program::new(name))
    }

    /// Meridian from this workspace, whatever is under test.
    pub(super) fn meridian(&self) -> Result<Program> {
        if !self.is_built.replace(true) {
            self.workspace.build()?;
        }
        Ok(Program::new(self.workspace.program("meridian")))
    }

    /// Notes a service that keeps its data in our folder.
    pub(super) fn note(&self, service: &Service) -> Result<()> {
        self.scratch.note(service)
    }

    /// A program that `tests/tools/go.mod` pins.
    pub(super) fn tool(&self, name: &str) -> Result<Program> {
        self.at_home(self.tools.program(name))
    }

    /// Started by the first who asks. Who asks after a failure is told of it again.
    pub(super) fn containerd(&self) -> Result<&Containerd> {
        let start = || Containerd::start(&self.scratch).map_err(|error| format!("{error:#}"));
        let started = self.containerd.get_or_init(start).as_ref();
        started.map_err(|error| anyhow!("{error}"))
    }

    /// The same for docker.
    pub(super) fn docker(&self) -> Result<&Docker> {
        let containerd = self.containerd()?;
        let start =
            || Docker::start(&self.scratch, containerd).map_err(|error| format!("{error:#}"));
        let started = self.docker.get_or_init(start).as_ref();
        started.map_err(|error| anyhow!("{error}"))
    }

    pub(super) fn noise(&self, label: &str) -> Noise {
        Noise::new(self.seed, label)
    }

    /// An index of images for three architectures, two layers each.
    pub(super) fn multi_arch(&self, label: &str) -> Result<Sample> {
        self.sample(label, |layout| {
            let images = ["amd64", "arm64", "s390x"].map(|architecture| {
                let label = format!("{label}/{architecture}");
                let first = layout.gzip_layer(FILE, MIB, self.noise(&label))?;
                let second =
                    layout.gzip_layer("more", 100, self.noise(&format!("{label}/more")))?;
                Ok(layout
                    .image(architecture, &[first, second])?
                    .on(architecture))
            });
            let images: Result<Vec<Descriptor>> = images.into_iter().collect();
            layout.index(&images?)
        })
    }

    /// The digest of the file in the sample of [`Ground::multi_arch`] for this machine.
    pub(super) fn multi_arch_file(&self, label: &str) -> Result<String> {
        self.file(&format!("{label}/{}", architecture()), MIB)
    }

    /// An index of an index and an image.
    pub(super) fn nested_index(&self, label: &str) -> Result<Sample> {
        self.sample(label, |layout| {
            let image = |part: &str| {
                let layer = layout.gzip_layer(FILE, MIB, self.noise(&format!("{label}/{part}")))?;
                layout.image("amd64", &[layer])
            };
            let inner =
                layout.index(&[image("inner")?.on("amd64"), image("other")?.on("arm64")])?;
            layout.index(&[inner, image("outer")?.on("amd64")])
        })
    }

    /// An image one of whose layers lies elsewhere.
    pub(super) fn foreign_layer(&self, label: &str) -> Result<Sample> {
        self.sample(label, |layout| {
            let url = "https://example.invalid/layer";
            let away = layout.foreign_layer(url, self.noise(&format!("{label}/away")))?;
            let here = layout.gzip_layer(FILE, MIB, self.noise(label))?;
            layout.image("amd64", &[away, here])
        })
    }

    /// An image of one compressed layer.
    pub(super) fn image(&self, label: &str, size: u64) -> Result<Sample> {
        self.sample(label, |layout| {
            let layer = layout.gzip_layer(FILE, size, self.noise(label))?;
            layout.image(architecture(), &[layer])
        })
    }

    /// An image of one layer of a gibibyte, made once.
    pub(super) fn gibibyte(&self) -> Result<&Sample> {
        if let Some(large) = self.large.get() {
            return Ok(large);
        }
        let large = self.sample("gibibyte", |layout| {
            let layer = layout.plain_layer(FILE, 1024 * MIB, self.noise("gibibyte"))?;
            layout.image(architecture(), &[layer])
        })?;
        Ok(self.large.get_or_init(|| large))
    }

    /// The file system of an image of one layer, as engines import it.
    pub(super) fn archive(&self, label: &str, size: u64) -> Result<PathBuf> {
        let layout = Layout::create(&self.samples(label))?;
        let layer = layout.plain_layer(FILE, size, self.noise(label))?;
        Ok(layout.blob_path(&layer.descriptor.digest))
    }

    /// The digest of the file that a layer made with that label holds.
    pub(super) fn file(&self, label: &str, size: u64) -> Result<String> {
        Ok(crate::content::digest(self.noise(label).take(size))?.0)
    }

    fn sample(
        &self,
        label: &str,
        make: impl FnOnce(&Layout) -> Result<Descriptor>,
    ) -> Result<Sample> {
        let layout = Layout::create(&self.samples(label))?;
        let root = make(&layout)?;
        layout.tag(TAG, &root)?;
        Ok(Sample { layout, root })
    }

    fn samples(&self, label: &str) -> PathBuf {
        self.path("samples").join(label.replace('/', "."))
    }

    /// With a home, temporary files and settings below our folder.
    fn at_home(&self, program: Program) -> Result<Program> {
        let home = self.dir("home")?;
        let docker = self.dir("home/docker")?;
        // Some fail when the variable names a folder without the file.
        fs::write(docker.join("config.json"), "{}")?;
        Ok(program
            .env("HOME", &home)
            .env("TMPDIR", self.dir("tmp")?)
            .env("XDG_RUNTIME_DIR", self.dir("runtime")?)
            .env("DOCKER_CONFIG", docker)
            .without_env("XDG_CACHE_HOME")
            .without_env("XDG_CONFIG_HOME")
            .without_env("XDG_DATA_HOME")
            .without_env("DOCKER_HOST")
            .without_env("CONTAINER_HOST")
            .without_env("REGISTRY_AUTH_FILE"))
    }
}

/// This machine's, as Go names it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
