//! A DNS server that leads the clients of a registry to a region that serves.
//!
//! It does what an operator's own does: it asks each region for `/healthz/region`, again and again, and answers the
//! name of the registry with the address of the first one that says 200. And the resolver that has a client ask
//! it, for each connection anew.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name as HostName, Resolve, Resolving};
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often regions are asked.
const EVERY: Duration = Duration::from_millis(100);
/// How long a region may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer may be kept, in seconds.
const TTL: u32 = 1;
/// How long the server may take to answer, on loopback.
const ANSWER: Duration = Duration::from_secs(5);
const LARGEST: usize = 512;

/// The server. It ends when it is dropped.
pub struct Dns {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

/// Asks the server.
struct Resolver {
    server: SocketAddr,
}

// === impl Dns ===

impl Dns {
    /// One for a name, which leads to the first of these frontends whose region serves.
    pub async fn serve(name: &str, frontends: Vec<SocketAddr>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (tell, serving) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(look(frontends, tell));
        tasks.spawn(answer(socket, name.to_owned(), serving));
        Self {
            address,
            _serving: tasks,
        }
    }

    /// Has a client ask it.
    pub fn resolver(&self) -> Arc<dyn Resolve> {
        let server = self.address;
        Arc::new(Resolver { server })
    }
}

async fn look(frontends: Vec<SocketAddr>, tell: watch::Sender<Option<Ipv4Addr>>) {
    // A probe that waits for a connection of the last one would not see that its region has gone.
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .pool_max_idle_per_host(0);
    let http = http.build().unwrap();
    loop {
        let mut first = None;
        for frontend in &frontends {
            let asked = http.get(format!("http://{frontend}/healthz/region")).send();
            if let (IpAddr::V4(address), Ok(answer)) = (frontend.ip(), asked.await)
                && answer.status().is_success()
            {
                first = Some(address);
                break;
            }
        }
        // Where none serves, the last one that did is as good as any.
        if first.is_some() {
            tell.send_replace(first);
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn answer(socket: UdpSocket, name: String, serving: watch::Receiver<Option<Ipv4Addr>>) {
    let mut bytes = [0; LARGEST];
    loop {
        let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
        let Ok(asked) = Packet::parse(&bytes[..length]) else {
            continue;
        };
        let mut reply = Packet::new_reply(asked.id());
        reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        for question in asked.questions {
            if question.qname.to_string() == name
                && question.qtype == QTYPE::TYPE(TYPE::A)
                && let Some(address) = *serving.borrow()
            {
                let address = RData::A(A::from(address));
                let record = ResourceRecord::new(question.qname.clone(), CLASS::IN, TTL, address);
                reply.answers.push(record);
            }
            reply.questions.push(question);
        }
        let reply = reply.build_bytes_vec().unwrap();
        drop(socket.send_to(&reply, from).await);
    }
}

// === impl Resolver ===

impl Resolve for Resolver {
    fn resolve(&self, name: HostName) -> Resolving {
        let server = self.server;
        Box::pin(async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let mut ask = Packet::new_query(7);
            let name = Name::new(name.as_str())?;
            let (kind, class) = (QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN));
            ask.questions.push(Question::new(name, kind, class, false));
            socket.send_to(&ask.build_bytes_vec()?, server).await?;
            let mut bytes = [0; LARGEST];
            let length = tokio::time::timeout(ANSWER, socket.recv(&mut bytes)).await??;
            let reply = Packet::parse(&bytes[..length])?;
            let found = reply
                .answers
                .iter()
                .filter_map(|record| match &record.rdata {
                    RData::A(a) => Some(SocketAddr::from((Ipv4Addr::from(a.address), 0))),
                    _ => None,
                });
            let found: Vec<_> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
