//! `meridian cluster`, asked of a member on this machine.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::binary;

/// What the command says, as JSON, of the member that keeps its data there.
pub fn cluster(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .arg("cluster")
        .args(arguments)
        .args(["--json", "--data-dir"])
        .arg(data_dir)
        .output()
        .unwrap()
}

/// Where the leader is found, by what a member says of its group.
pub fn leader_of(status: &Value) -> Option<&str> {
    let leader = status["leader"].as_str()?;
    let members = status["members"].as_array()?;
    let leader = members.iter().find(|member| member["node"] == leader)?;
    leader["endpoint"].as_str()
}
