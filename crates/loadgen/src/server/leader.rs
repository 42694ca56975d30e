//! Which member of a group leads.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::{interval, timeout};

use super::product::Group;
use crate::etcd::Etcd;

const POLL: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Asks until a leader is known.
pub(super) async fn of(group: &Group) -> SocketAddr {
    let mut poll = interval(POLL);
    loop {
        poll.tick().await;
        if let Ok(Some(leader)) = timeout(ANSWER_LIMIT, group.leader()).await {
            return leader;
        }
    }
}

// === impl Group ===

impl Group {
    async fn leader(&self) -> Option<SocketAddr> {
        match self {
            Self::Ours { program, data } => status(program, data.first()?).await,
            Self::Etcd { members } => {
                for member in members {
                    let leads = Etcd::at(*member).ok()?.leads().await;
                    if leads.is_ok_and(|leads| leads) {
                        return Some(*member);
                    }
                }
                None
            }
        }
    }
}

/// Asks a member of ours.
async fn status(program: &Path, data: &Path) -> Option<SocketAddr> {
    let mut command = Command::new(program);
    command
        .args(["cluster", "status", "--json", "--data-dir"])
        .arg(data)
        .kill_on_drop(true);
    let output = command.output().await.ok()?;
    leader_in(&serde_json::from_slice(&output.stdout).ok()?)
}

fn leader_in(status: &Value) -> Option<SocketAddr> {
    let leader = status["leader"].as_str()?;
    let mut members = status["members"].as_array()?.iter();
    let leader = members.find(|member| member["node"] == leader)?;
    leader["endpoint"]
        .as_str()?
        .strip_prefix("http://")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_leader_is_found_among_the_members() {
        let members = json!([
            {"node": "0a", "endpoint": "http://127.0.0.1:1"},
            {"node": "0b", "endpoint": "http://127.0.0.1:2"},
        ]);
        let status = |leader: Value| json!({"leader": leader, "members": members});
        let second = ([127, 0, 0, 1], 2).into();
        assert_eq!(leader_in(&status(json!("0b"))), Some(second));
        assert_eq!(leader_in(&status(json!("0c"))), None);
        assert_eq!(leader_in(&status(Value::Null)), None);
    }
}
