//! Content of another region on its way in.
//!
//! Keeps the invariants that a stream ends well only when its sender said that all was said, and that
//! pieces come in the order of the parts. Leaves to whoever asked for a part how many bytes it has.

use std::time::Duration;

use futures::stream;
use meridian_proto::DecodeError;
use meridian_proto::meridian::replication::v1 as pb;
use pb::fetch_response::Message;
use tokio::time::timeout;
use tonic::Streaming;

use crate::grpc::call::unreadable;
use crate::grpc::failure;
use crate::peer::{PeerError, Piece, Pieces};

/// The pieces of so many parts. A sender that is silent for `stall_timeout` is given up.
pub(super) fn pieces(
    messages: Streaming<pb::FetchResponse>,
    parts: usize,
    stall_timeout: Duration,
) -> Pieces {
    let incoming = Incoming {
        messages,
        parts,
        at: 0,
        stall_timeout,
    };
    Box::pin(stream::try_unfold(incoming, |mut incoming| async move {
        let piece = incoming.next().await?;
        Ok(piece.map(|piece| (piece, incoming)))
    }))
}

struct Incoming {
    messages: Streaming<pb::FetchResponse>,
    parts: usize,
    /// The part that is under way.
    at: usize,
    stall_timeout: Duration,
}

// === impl Incoming ===

impl Incoming {
    /// The next piece that is not empty; none after the end.
    async fn next(&mut self) -> Result<Option<Piece>, PeerError> {
        loop {
            match self.message().await? {
                Message::Chunk(chunk) if chunk.content.is_empty() => {}
                Message::Chunk(chunk) => {
                    let part = self.part(chunk.part)?;
                    return Ok(Some(Piece::Bytes(part, chunk.content)));
                }
                Message::Absent(part) => return Ok(Some(Piece::Absent(self.part(part)?))),
                Message::End(true) => return Ok(None),
                Message::End(false) => return Err(unreadable(&DecodeError::Invalid("end"))),
            }
        }
    }

    async fn message(&mut self) -> Result<Message, PeerError> {
        let next = timeout(self.stall_timeout, self.messages.message()).await;
        match next.map_err(|_elapsed| PeerError::DeadlineExceeded)? {
            Ok(Some(message)) => message
                .message
                .ok_or_else(|| unreadable(&DecodeError::Missing("message"))),
            Ok(None) => Err(PeerError::Unavailable {
                reason: "the content broke off".to_owned(),
            }),
            Err(status) => Err(failure::from_status(&status)),
        }
    }

    fn part(&mut self, number: u32) -> Result<usize, PeerError> {
        let part = usize::try_from(number).unwrap_or(usize::MAX);
        if part < self.at || part >= self.parts {
            return Err(unreadable(&DecodeError::Invalid("part")));
        }
        self.at = part;
        Ok(part)
    }
}
