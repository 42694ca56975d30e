//! Compiles `/proto` with a pure-Rust compiler, so that a build needs no `protoc`.

use std::error::Error;
use std::path::Path;

const FILES: &[&str] = &[
    "meridian/blob/v1/blob.proto",
    "meridian/content/v1/content.proto",
    "meridian/error/v1/error.proto",
    "meridian/event/v1/event.proto",
    "meridian/metadata/v1/metadata.proto",
    "meridian/raft/v1/raft.proto",
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
    tonic_prost_build::configure().compile_fds_with_config(descriptors, prost)?;
    Ok(())
}
