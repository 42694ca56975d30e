//! `meridian cluster`: the metadata group, from the command line.

use http::Method;
use serde_json::json;

use crate::cli::{self, ClusterVerb};
use crate::exit::Exit;
use crate::management::{Cluster, Founders, NewMember};
use crate::verbs::{client, print};

pub(crate) async fn run(options: cli::Cluster) -> Result<(), Exit> {
    let client = client(&options.target)?;
    let members = "/v1/cluster/members";
    let cluster: Cluster = match options.verb {
        ClusterVerb::Status => client.call(Method::GET, "/v1/cluster").await,
        ClusterVerb::Init { members: endpoints } => {
            let founders = Founders { endpoints };
            client.tell(Method::POST, "/v1/cluster", &founders).await
        }
        ClusterVerb::Join { endpoint } => {
            let member = NewMember {
                endpoint,
                instead_of: None,
            };
            client.tell(Method::POST, members, &member).await
        }
        ClusterVerb::Replace { node, endpoint } => {
            let member = NewMember {
                endpoint,
                instead_of: Some(format!("{node:016x}")),
            };
            client.tell(Method::POST, members, &member).await
        }
        ClusterVerb::Leave { node } => {
            let path = format!("{members}/{node:016x}");
            client.call(Method::DELETE, &path).await
        }
        ClusterVerb::Lead { node } => {
            let leader = json!({ "node": format!("{node:016x}") });
            client
                .tell(Method::PUT, "/v1/cluster/leader", &leader)
                .await
        }
        ClusterVerb::Snapshot => client.call(Method::POST, "/v1/cluster/snapshots").await,
    }?;
    print(&options.target, &cluster)
}
