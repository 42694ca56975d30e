//! The shape of the workspace, as a test: who may know whom, and what a pure crate may not link.
//!
//! Owns the table of layers. A crate without a layer, a dependency that points up or sideways, and
//! a pure crate that links I/O each fail here, with the name of the offender.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod files;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

struct Layer {
    name: &'static str,
    crates: &'static [&'static str],
    /// The layers that this one may depend on.
    knows: &'static [&'static str],
    /// Third parties that this layer may never link directly.
    never: &'static [&'static str],
}

const IO: &[&str] = &[
    "aws-sdk-s3",
    "axum",
    "hyper",
    "openraft",
    "prost",
    "rdkafka",
    "redb",
    "redis",
    "rustix",
    "tokio",
    "tonic",
    "tracing",
];

const LAYERS: &[Layer] = &[
    Layer {
        name: "kernel",
        crates: &[
            "meridian-clock",
            "meridian-error",
            "meridian-event",
            "meridian-oci",
            "meridian-secret",
            "meridian-simulation",
        ],
        knows: &["kernel"],
        never: IO,
    },
    Layer {
        name: "contract",
        crates: &["meridian-proto"],
        knows: &["kernel"],
        never: &["axum", "openraft", "rdkafka", "redb", "redis", "tokio"],
    },
    Layer {
        name: "engine",
        crates: &[
            "meridian-catalog",
            "meridian-delivery",
            "meridian-replication",
        ],
        knows: &["kernel"],
        never: IO,
    },
    Layer {
        name: "port",
        crates: &[
            "meridian-blobstore",
            "meridian-cache",
            "meridian-clients",
            "meridian-eventlog",
        ],
        knows: &["kernel", "contract"],
        never: &["axum", "openraft"],
    },
    Layer {
        name: "chassis",
        crates: &["meridian-chassis"],
        knows: &["kernel", "contract"],
        never: &["openraft", "rdkafka", "redb", "redis"],
    },
    Layer {
        name: "service",
        crates: &[
            "meridian-blob-service",
            "meridian-frontend",
            "meridian-metadata-service",
            "meridian-replication-agent",
            "meridian-webhook-dispatcher",
        ],
        knows: &["kernel", "contract", "engine", "port", "chassis"],
        never: &["aws-sdk-s3", "rdkafka", "redis"],
    },
    // What a registry is put into: no part of one, so nothing below the top may know it.
    Layer {
        name: "surroundings",
        crates: &["meridian-wan"],
        knows: &[],
        never: &[
            "aws-sdk-s3",
            "axum",
            "hyper",
            "openraft",
            "prost",
            "rdkafka",
            "redb",
            "redis",
            "tonic",
        ],
    },
    Layer {
        name: "top",
        crates: &["cluster-tests", "loadgen", "meridian", "xtask"],
        knows: &[
            "kernel",
            "contract",
            "engine",
            "port",
            "chassis",
            "service",
            "surroundings",
            "top",
        ],
        never: &[],
    },
];

/// Third parties that exactly one crate may link.
const OWNED: &[(&str, &str)] = &[
    ("aws-sdk-s3", "meridian-blobstore"),
    ("rdkafka", "meridian-eventlog"),
    ("redis", "meridian-cache"),
    ("openraft", "meridian-metadata-service"),
];

#[test]
fn dependencies_point_down() {
    let broken = broken(&packages());
    assert!(broken.is_empty(), "{}", broken.join("; "));
}

#[test]
fn a_pure_crate_that_links_io_is_seen() {
    let catalog = package("meridian-catalog", &["tokio", "meridian-chassis"]);
    assert_eq!(
        broken(&[catalog]),
        [
            "meridian-catalog is in the engine layer, but links tokio",
            "meridian-catalog may not know meridian-chassis",
        ]
    );
}

#[test]
fn a_service_that_knows_another_is_seen() {
    let frontend = package("meridian-frontend", &["meridian-blob-service"]);
    assert_eq!(
        broken(&[frontend]),
        ["meridian-frontend may not know meridian-blob-service"]
    );
}

#[test]
fn a_crate_without_a_layer_is_seen() {
    assert_eq!(
        broken(&[package("meridian-util", &[])]),
        ["meridian-util has no layer"]
    );
}

#[test]
fn a_third_party_outside_its_owner_is_seen() {
    let loadgen = package("loadgen", &["openraft"]);
    assert_eq!(
        broken(&[loadgen]),
        ["only meridian-metadata-service may link openraft, but loadgen does"]
    );
}

fn broken(packages: &[Value]) -> Vec<String> {
    let layer_of: BTreeMap<&str, &Layer> = LAYERS
        .iter()
        .flat_map(|layer| layer.crates.iter().map(move |name| (*name, layer)))
        .collect();
    let mut broken = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some(layer) = layer_of.get(name) else {
            broken.push(format!("{name} has no layer"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            if dependency["kind"] != "dev" && target != name {
                broken.extend(fault(name, layer, target, layer_of.get(target).copied()));
            }
        }
    }
    broken
}

fn fault(name: &str, layer: &Layer, target: &str, other: Option<&Layer>) -> Option<String> {
    if layer.never.contains(&target) {
        return Some(format!(
            "{name} is in the {} layer, but links {target}",
            layer.name
        ));
    }
    if let Some((_, owner)) = OWNED.iter().find(|(party, _)| *party == target)
        && *owner != name
    {
        return Some(format!("only {owner} may link {target}, but {name} does"));
    }
    let known = other.is_none_or(|other| layer.knows.contains(&other.name));
    (!known).then(|| format!("{name} may not know {target}"))
}

/// A package as `cargo metadata` shows it.
fn package(name: &str, dependencies: &[&str]) -> Value {
    let dependencies: Vec<Value> = dependencies
        .iter()
        .map(|name| serde_json::json!({"name": name, "kind": null}))
        .collect();
    serde_json::json!({"name": name, "dependencies": dependencies})
}

fn packages() -> Vec<Value> {
    let output = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}
