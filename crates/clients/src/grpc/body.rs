//! Bodies as messages, where the sender and the receiver of them meet.
//!
//! Owns how a body is cut into messages and put together again. Keeps the invariant that a body
//! ends only where its sender said so: an upload says it with a message of its own, because tonic
//! shows a server the same for a client that went away and for one that is done; a download says it
//! with the length in its head. Nothing is read ahead: the next piece is asked for when there is
//! room for it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use meridian_proto::DecodeError;
use meridian_proto::meridian::blob::v1 as pb;
use tonic::{Status, Streaming};

use super::MAX_CHUNK;
use crate::ByteStream;

/// A message of an upload's stream, whatever the call is.
#[derive(Debug)]
pub enum UploadPart<H> {
    /// The first message.
    Head(H),
    /// Bytes.
    Chunk(Bytes),
    /// The last message.
    End(pb::TransferEnd),
}

/// The messages of a call that uploads.
pub trait UploadMessage: Send + 'static {
    /// What comes first.
    type Head: Send + Unpin + 'static;

    /// The message that holds `part`.
    fn new(part: UploadPart<Self::Head>) -> Self;

    /// What the message holds; `None` if that is nothing this build knows.
    fn part(self) -> Option<UploadPart<Self::Head>>;
}

/// The body of an upload as its receiver sees it.
struct Received<M> {
    messages: Streaming<M>,
    is_over: bool,
}

/// Bytes on their way out, in pieces that fit a message.
#[derive(Debug, Default)]
pub struct Pieces {
    rest: VecDeque<Bytes>,
}

/// Takes the head off an upload; what is left is its body.
///
/// # Errors
///
/// When the sender broke off, or the first message is no head.
pub async fn receive<M: UploadMessage>(
    mut messages: Streaming<M>,
) -> Result<(M::Head, ByteStream), ReceiveError> {
    let first = messages.message().await.map_err(ReceiveError::Broken)?;
    let Some(UploadPart::Head(head)) = first.and_then(M::part) else {
        return Err(DecodeError::Missing("head").into());
    };
    let body = Received {
        messages,
        is_over: false,
    };
    Ok((head, Box::pin(body)))
}

/// Why an upload has no beginning.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The sender broke off.
    #[error("the upload broke off before it began")]
    Broken(#[source] Status),
    /// The first message is no head.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

// === impl UploadMessage ===

macro_rules! upload_messages {
    ($($message:ident: $head:ident, $module:ident;)*) => {$(
        impl UploadMessage for pb::$message {
            type Head = pb::$head;

            fn new(part: UploadPart<Self::Head>) -> Self {
                use pb::$module::Message;
                Self {
                    message: Some(match part {
                        UploadPart::Head(head) => Message::Head(head),
                        UploadPart::Chunk(bytes) => Message::Chunk(bytes),
                        UploadPart::End(end) => Message::End(end),
                    }),
                }
            }

            fn part(self) -> Option<UploadPart<Self::Head>> {
                use pb::$module::Message;
                Some(match self.message? {
                    Message::Head(head) => UploadPart::Head(head),
                    Message::Chunk(bytes) => UploadPart::Chunk(bytes),
                    Message::End(end) => UploadPart::End(end),
                })
            }
        }
    )*};
}

upload_messages! {
    AppendRequest: AppendHead, append_request;
    FinishRequest: FinishHead, finish_request;
    UploadRequest: UploadHead, upload_request;
    IngestRequest: IngestHead, ingest_request;
}

// === impl Received ===

impl<M: UploadMessage> Stream for Received<M> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let message = ready!(Pin::new(&mut self.messages).poll_next(cx));
        let broken = match message {
            Some(Ok(message)) => match message.part() {
                Some(UploadPart::Chunk(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(UploadPart::End(pb::TransferEnd { broken: None })) => {
                    self.is_over = true;
                    return Poll::Ready(None);
                }
                Some(UploadPart::End(pb::TransferEnd { broken: Some(why) })) => {
                    io::Error::new(ErrorKind::ConnectionAborted, why)
                }
                Some(UploadPart::Head(_)) | None => io::Error::new(
                    ErrorKind::InvalidData,
                    "a message of the body holds no bytes",
                ),
            },
            Some(Err(status)) => io::Error::new(ErrorKind::ConnectionReset, status),
            None => io::Error::new(ErrorKind::UnexpectedEof, "the sender went away"),
        };
        self.is_over = true;
        Poll::Ready(Some(Err(broken)))
    }
}

// === impl Pieces ===

impl Pieces {
    /// Takes bytes in, once all before them are out.
    pub fn push(&mut self, mut bytes: Bytes) {
        while bytes.len() > MAX_CHUNK {
            self.rest.push_back(bytes.split_to(MAX_CHUNK));
        }
        if !bytes.is_empty() {
            self.rest.push_back(bytes);
        }
    }

    /// The next piece.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.rest.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_a_message_and_are_the_whole() {
        let mut pieces = Pieces::default();
        for length in [
            0,
            1,
            MAX_CHUNK - 1,
            MAX_CHUNK,
            MAX_CHUNK + 1,
            3 * MAX_CHUNK + 7,
        ] {
            let whole = Bytes::from_iter((0..length).map(|at| u8::try_from(at % 251).unwrap_or(0)));
            pieces.push(whole.clone());
            let cut: Vec<_> = std::iter::from_fn(|| pieces.pop()).collect();
            assert!(
                cut.iter()
                    .all(|piece| (1..=MAX_CHUNK).contains(&piece.len()))
            );
            assert_eq!(cut.concat(), whole);
        }
    }
}
