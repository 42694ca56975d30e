//! `meridian cluster` and `meridian replication`, asked of a process on this machine.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::binary;

/// What the command says, as JSON, of the member that keeps its data there.
pub fn cluster(data_dir: &Path, arguments: &[&str]) -> Output {
    ask("cluster", data_dir, &[arguments, &["--json"]].concat())
}

/// What the command says of replication, when the process is asked that keeps its data there.
pub fn replication(data_dir: &Path, arguments: &[&str]) -> Output {
    ask("replication", data_dir, arguments)
}

/// What the command says of webhooks, when the process is asked that keeps its data there.
pub fn webhook(data_dir: &Path, arguments: &[&str]) -> Output {
    ask("webhook", data_dir, arguments)
}

fn ask(verb: &str, data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    for name in ["MERIDIAN_SERVER", "MERIDIAN_TOKEN_FILE", "MERIDIAN_CA_FILE"] {
        command.env_remove(name);
    }
    let command = command.arg(verb).args(arguments);
    command.arg("--data-dir").arg(data_dir).output().unwrap()
}

/// Where the leader is found, by what a member says of its group.
pub fn leader_of(status: &Value) -> Option<&str> {
    let leader = status["leader"].as_str()?;
    let members = status["members"].as_array()?;
    let leader = members.iter().find(|member| member["node"] == leader)?;
    leader["endpoint"].as_str()
}
