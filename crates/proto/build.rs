//! Compiles `/proto` with a pure-Rust compiler, so that a build needs no `protoc`.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;

const FILES: &[&str] = &[
    "meridian/blob/v1/blob.proto",
    "meridian/content/v1/content.proto",
    "meridian/error/v1/error.proto",
    "meridian/event/v1/event.proto",
    "meridian/metadata/v1/metadata.proto",
    "meridian/raft/v1/raft.proto",
    "meridian/replication/v1/replication.proto",
    "meridian/webhook/v1/dispatch.proto",
    "meridian/webhook/v1/webhook.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo says so to build scripts: one that another clone has compiled may run here"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    let mut prost = tonic_prost_build::Config::new();
    prost.bytes(["."]);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    std::fs::write(
        out.join("methods.rs"),
        format!("&{:?}", methods(&descriptors)),
    )?;
    tonic_prost_build::configure().compile_fds_with_config(descriptors, prost)?;
    Ok(())
}

/// The paths of all methods, in order.
fn methods(descriptors: &FileDescriptorSet) -> Vec<String> {
    let mut paths = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let (package, service, method) = (file.package(), service.name(), method.name());
                paths.push(format!("/{package}.{service}/{method}"));
            }
        }
    }
    paths.sort();
    paths
}
