//! The agent over gRPC.
//!
//! Owns the adapters between the messages of `meridian.replication.v1` and the agent's two faces:
//! [`PeerApi`](meridian_clients::peer::PeerApi) for other regions, and
//! [`RegionsApi`](meridian_clients::regions::RegionsApi) for the frontends of its own. Keeps the
//! invariants that the agent is handed nothing that was not parsed here, and that content passes
//! without being gathered, each next piece when there is room for it. Leaves listening, and who may
//! call, to the process.

mod peer;
mod regions;

pub use peer::{PEER_GRPC_SERVICE, PeerAdapter, peer_server};
pub use regions::{REGIONS_GRPC_SERVICE, RegionsAdapter, regions_server};

use meridian_chassis::status;
use meridian_clients::grpc::convert::DecodeError;
use meridian_clients::grpc::failure::{self, WireError};
use tonic::{Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// The status of a message that means nothing.
fn malformed(error: DecodeError) -> Status {
    status::to_status(&error)
}

/// The status of an error of the agent.
fn refused<E: WireError>(error: E) -> Status {
    failure::attach(status::to_status(&error), &error)
}

#[cfg(test)]
mod tests;
