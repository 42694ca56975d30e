//! Content on its way from a peer.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use meridian_clients::peer::{FetchPart, PeerError, Piece};
use meridian_clients::replica::ContentKind;
use meridian_event::Leaf;
use meridian_replication::{Class, End, Kind, Order, Part};

use super::Shell;
use crate::spool::{Haste, Slot};

/// A part that is under way, and where it goes.
struct Incoming {
    /// Which part of the order it is.
    number: usize,
    slot: Arc<Slot>,
    /// Where the next bytes go.
    next: u64,
    end: u64,
}

/// Why a transfer does not go on.
enum Stop {
    Peer(PeerError),
    Here(io::Error),
    /// The peer sends what was not asked for.
    Nonsense,
}

impl Shell {
    pub(super) async fn transfer(&self, order: Order) {
        let end = match self.receive(&order).await {
            Ok(()) => End::Complete,
            Err(Stop::Peer(PeerError::Busy { retry_after })) => End::Busy(retry_after),
            Err(stop) => {
                stop.tell(&order);
                End::BrokeOff
            }
        };
        self.engine
            .tell(|agent, now| agent.ended(now, order.id, end));
    }

    async fn receive(&self, order: &Order) -> Result<(), Stop> {
        let refused = || PeerError::Refused {
            reason: "it is no peer any more".to_owned(),
        };
        let peer = self.peer(order.peer).ok_or_else(refused)?;
        let haste = match order.class {
            Class::Demand => Haste::Demand,
            Class::Next | Class::Backlog => Haste::None,
        };
        let (mut incoming, mut parts) = (Vec::new(), Vec::new());
        for (number, part) in order.parts.iter().enumerate() {
            match Incoming::new(self, number, part, haste) {
                Ok(new) => {
                    incoming.push(new);
                    parts.push(fetch_part(part));
                }
                Err(error) => self.give_up(order, number, &error),
            }
        }
        if parts.is_empty() {
            return Ok(());
        }
        self.meters.begun(order.peer);
        let mut pieces = peer.fetch(&parts).await?;
        while let Some(piece) = pieces.next().await {
            match piece? {
                Piece::Bytes(part, bytes) => {
                    let incoming = incoming.get_mut(part).ok_or(Stop::Nonsense)?;
                    match incoming.take(bytes).await {
                        Ok(length) => {
                            self.meters.received(order.peer, length);
                            self.engine.tell(|agent, now| {
                                agent.received(now, order.id, incoming.number, length);
                            });
                        }
                        Err(Stop::Here(error)) => self.give_up(order, incoming.number, &error),
                        Err(stop) => return Err(stop),
                    }
                }
                Piece::Absent(part) => {
                    let incoming = incoming.get(part).ok_or(Stop::Nonsense)?;
                    self.engine
                        .tell(|agent, now| agent.gone(now, order.id, incoming.number));
                }
            }
        }
        Ok(())
    }

    /// There is no room for a part. Nobody else is to suffer from it, the peer least of all: the body is
    /// tried again in a while.
    fn give_up(&self, order: &Order, number: usize, error: &io::Error) {
        let body = order.parts.get(number).map(|part| part.body.to_string());
        tracing::warn!(body, %error, "there is no room for what comes from another region");
        self.engine
            .tell(|agent, now| agent.no_room(now, order.id, number));
    }
}

// === impl Incoming ===

impl Incoming {
    fn new(shell: &Shell, number: usize, part: &Part, haste: Haste) -> io::Result<Self> {
        Ok(Self {
            number,
            slot: shell
                .spool
                .slot(part.body, part.want, part.kind, part.size, haste)?,
            next: part.start,
            end: part.end,
        })
    }

    async fn take(&mut self, bytes: Bytes) -> Result<u64, Stop> {
        let length = bytes.len() as u64;
        let next = self.next + length;
        if next > self.end {
            return Err(Stop::Nonsense);
        }
        self.slot.write(self.next, bytes).await?;
        self.next = next;
        Ok(length)
    }
}

// === impl Stop ===

impl Stop {
    fn tell(&self, order: &Order) {
        let (peer, parts) = (order.peer, order.parts.len());
        match self {
            Self::Peer(error) => tracing::debug!(%peer, parts, %error, "a transfer broke off"),
            Self::Here(error) => {
                tracing::warn!(%peer, parts, %error, "what comes from a region cannot be kept");
            }
            Self::Nonsense => tracing::warn!(%peer, parts, "a region sends what nobody asked for"),
        }
    }
}

impl From<PeerError> for Stop {
    fn from(error: PeerError) -> Self {
        Self::Peer(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Here(error)
    }
}

fn fetch_part(part: &Part) -> FetchPart {
    FetchPart {
        registry: part.body.registry,
        repository: part.repository.clone(),
        kind: match part.kind {
            Kind::Manifest => ContentKind::Manifest,
            Kind::Blob => ContentKind::Blob,
        },
        leaf: Leaf {
            digest: part.body.digest,
            size: part.size,
        },
        range: part.start..part.end,
    }
}
