//! A call of a member that goes on: entries, one message after the other.
//!
//! Owns the stream of such a call, on either side. Keeps the invariant that an answer is that of the
//! message before it: one is under way at a time, and a stream on which one was given up is not used
//! again. A call of its own for each message says the same at twice the cost, in heads and in tasks,
//! which is much where one writes after the other. The stream does not last: it is begun anew every
//! few seconds, so that a connection that is old, or of a process that stops, is not held up by it.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use meridian_proto::meridian::raft::v1 as pb;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::raft::peer::{CallError, Peer};

/// How long a stream is used.
const AGE: Duration = Duration::from_secs(20);
/// How long the other side waits for a message, and how long it serves a stream at most: whoever calls
/// begins anew before. Who it is was checked at the beginning.
const IDLE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(60);

/// The stream of whoever calls.
pub(super) struct Appends {
    messages: mpsc::Sender<pb::Message>,
    answers: Streaming<pb::Message>,
    until: Instant,
}

// === impl Appends ===

impl Appends {
    pub(super) async fn begin(peer: &Peer) -> Result<Self, CallError> {
        let (messages, outgoing) = mpsc::channel(1);
        let mut client = peer.client()?;
        let answers = client.append_all(ReceiverStream::new(outgoing)).await?;
        Ok(Self {
            messages,
            answers: answers.into_inner(),
            until: Instant::now() + AGE,
        })
    }

    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }

    /// Says something, and gives back the stream with the answer.
    pub(super) async fn ask(
        mut self,
        message: pb::Message,
    ) -> Result<(pb::Message, Self), CallError> {
        let ended = || CallError::Unreachable("it has ended the call".to_owned());
        // Whether it arrives shows in the answer: a stream that is broken says why.
        let _sent = self.messages.send(message).await;
        let answer = self.answers.message().await?.ok_or_else(ended)?;
        Ok((answer, self))
    }
}

/// The answers to messages, each made by `answer`, until the first failure, or until this member stops:
/// then what was asked is answered still.
pub(crate) fn answers<F>(
    messages: impl Stream<Item = Result<pb::Message, Status>> + Send + Unpin + 'static,
    stop: CancellationToken,
    answer: impl Fn(pb::Message) -> F + Send + 'static,
) -> BoxStream<'static, Result<pb::Message, Status>>
where
    F: Future<Output = Result<pb::Message, Status>> + Send,
{
    let until = Instant::now() + LONGEST;
    let state = Some((messages, answer, stop));
    Box::pin(futures::stream::unfold(state, move |state| async move {
        let (mut messages, answer, stop) = state?;
        let end = until.min(Instant::now() + IDLE);
        let message = stop.run_until_cancelled(tokio::time::timeout_at(end, messages.next()));
        let answered = match message.await?.ok()?? {
            Ok(message) => answer(message).await,
            Err(broken) => Err(broken),
        };
        let state = answered.is_ok().then_some((messages, answer, stop));
        Some((answered, state))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: u8) -> pb::Message {
        pb::Message {
            envelope: None,
            payload: vec![payload].into(),
        }
    }

    /// Refuses what says 9.
    async fn echo(message: pb::Message) -> Result<pb::Message, Status> {
        match message.payload[..] {
            [9] => Err(Status::unavailable("nine")),
            _ => Ok(message),
        }
    }

    fn said(answer: Option<Result<pb::Message, Status>>) -> Option<u8> {
        answer.map(|answer| answer.map_or(0, |message| message.payload[0]))
    }

    #[tokio::test]
    async fn messages_are_answered_until_one_fails() {
        let messages = [1, 2, 9, 3].map(|payload| Ok(message(payload)));
        let messages = futures::stream::iter(messages);
        let mut answers = answers(messages, CancellationToken::new(), echo);
        for expected in [Some(1), Some(2), Some(0), None] {
            assert_eq!(said(answers.next().await), expected);
        }
    }

    #[tokio::test]
    async fn a_member_that_stops_ends_it_at_once() {
        let stop = CancellationToken::new();
        let mut answers = answers(futures::stream::pending(), stop.clone(), echo);
        stop.cancel();
        let began = Instant::now();
        assert_eq!(said(answers.next().await), None);
        assert!(began.elapsed() < IDLE);
    }

    #[tokio::test]
    async fn what_was_asked_before_the_stop_is_answered() {
        let stop = CancellationToken::new();
        let messages = [1, 2].map(|payload| Ok(message(payload)));
        let stopping = stop.clone();
        let mut answers = answers(futures::stream::iter(messages), stop, move |message| {
            stopping.cancel();
            async {
                tokio::task::yield_now().await;
                echo(message).await
            }
        });
        for expected in [Some(1), None] {
            assert_eq!(said(answers.next().await), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_talks_on_has_to_begin_anew() {
        let messages = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok(message(1)), ()))
        });
        let answers = answers(Box::pin(messages), CancellationToken::new(), echo);
        let began = Instant::now();
        let _count = answers.count().await;
        assert!((AGE..=LONGEST).contains(&began.elapsed()));
    }
}
