//! etcd's API, as far as the bench speaks it: put, get, and who leads.
//!
//! Owns the messages of `etcdserverpb`, with the fields that are used here and no others; what else
//! an answer holds is passed over. They are written out because the crates that generate them want
//! `protoc` on the machine. Calls go over the gRPC client that ours go over, so that either side
//! costs the generator the same.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::{self, Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// A member of etcd. Clones share their connection, which is made when it is first used.
#[derive(Clone)]
pub(crate) struct Etcd(Grpc<Channel>);

#[derive(Clone, PartialEq, Message)]
struct Put {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Range {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Found {
    #[prost(message, repeated, tag = "2")]
    pairs: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Standing {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member: u64,
}

/// A message of which nothing matters.
#[derive(Clone, PartialEq, Message)]
struct Nothing {}

// === impl Etcd ===

impl Etcd {
    pub(crate) fn at(address: SocketAddr) -> Result<Self, transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_LIMIT);
        Ok(Self(Grpc::new(endpoint.connect_lazy())))
    }

    pub(crate) async fn put(&self, key: Bytes, value: Bytes) -> Result<(), Status> {
        let put = Put { key, value };
        let _revision: Nothing = self.call("/etcdserverpb.KV/Put", put).await?;
        Ok(())
    }

    pub(crate) async fn get(&self, key: Bytes) -> Result<Option<Bytes>, Status> {
        let found: Found = self.call("/etcdserverpb.KV/Range", Range { key }).await?;
        Ok(found.pairs.into_iter().next().map(|pair| pair.value))
    }

    /// Whether this member knows itself to be the leader.
    pub(crate) async fn leads(&self) -> Result<bool, Status> {
        let path = "/etcdserverpb.Maintenance/Status";
        let standing: Standing = self.call(path, Nothing {}).await?;
        Ok(standing.leads())
    }

    async fn call<Q, A>(&self, path: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut member = self.0.clone();
        let ready = member.ready().await;
        ready.map_err(|error| Status::from_error(error.into()))?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(path);
        let answer = member.unary(Request::new(question), path, codec).await?;
        Ok(answer.into_inner())
    }
}

// === impl Standing ===

impl Standing {
    /// Without a leader its id is 0, which no member has.
    fn leads(&self) -> bool {
        let member = self.header.as_ref().map_or(0, |header| header.member);
        self.leader != 0 && self.leader == member
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_itself_leads() {
        let standing = |member, leader| Standing {
            header: Some(Header { member }),
            leader,
        };
        assert!(standing(7, 7).leads());
        assert!(!standing(7, 8).leads());
        assert!(!standing(0, 0).leads());
        assert!(!Standing::default().leads());
    }

    /// A put of `k` and `v`, and an answer to a range, as etcd's own clients and servers write them.
    #[test]
    fn messages_have_the_numbers_of_etcd() {
        let put = Put {
            key: Bytes::from_static(b"k"),
            value: Bytes::from_static(b"v"),
        };
        assert_eq!(put.encode_to_vec(), b"\x0a\x01k\x12\x01v");
        // A header with a revision, and one pair: key, two revisions, a version, the value.
        let answer = b"\x0a\x02\x18\x05\x12\x0c\x0a\x01k\x10\x05\x18\x05\x20\x01\x2a\x01v\x20\x01";
        let found = Found::decode(&answer[..]).unwrap();
        assert_eq!(found.pairs[0].value, &b"v"[..]);
    }
}
