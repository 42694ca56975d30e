//! One request to a receiver, from what it is to say to what is remembered of it.
//!
//! Keeps the promise that what is remembered shows no credentials.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use meridian_delivery::{Attempt, Content, Outcome, Sender, Subscription, request};
use meridian_event::webhook::{Callback, Message, MessageId};

use crate::credentials::Credentials;
use crate::history::Exchange;
use crate::shell::Shell;

/// What is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told<'a> {
    /// That the webhook works.
    Ping(MessageId, u64),
    /// A message, on which attempt.
    Message(&'a Arc<Message>, u8),
}

// === impl Shell ===

impl Shell {
    pub(crate) async fn attempt(&self, attempt: Attempt) {
        let Attempt {
            ticket,
            to,
            message,
            attempt,
        } = attempt;
        fail::fail_point!("wh.attempt.before");
        let outcome = match self.credentials(&to) {
            Some(_) if forgets() => Outcome::Answered {
                status: 200,
                retry_after: None,
            },
            Some(credentials) => {
                let told = Told::Message(&message, attempt);
                let (outcome, _) = self.call(&to, &credentials, told).await;
                outcome
            }
            None => Outcome::Unsent,
        };
        fail::fail_point!("wh.attempt.after");
        let count = match outcome {
            Outcome::Answered {
                status: 200..=299, ..
            } => &self.meters.delivered,
            Outcome::Unsent => &self.meters.unsent,
            _ => &self.meters.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.engine
            .tell(|engine, now| engine.attempted(now, ticket, outcome));
    }

    fn credentials(&self, to: &Subscription) -> Option<Arc<Credentials>> {
        let opened = self
            .known
            .credentials(to.id, to.registry, &to.webhook.name, &to.sealed);
        match opened {
            Ok(credentials) => Some(credentials),
            Err(error) => {
                if self.known.is_news(to.id, &to.sealed) {
                    let error = meridian_error::chain(&error);
                    let webhook = to.webhook.name.as_str();
                    tracing::error!(
                        webhook,
                        error,
                        "a webhook is not told of anything: give this dispatcher the keys that it was sealed with"
                    );
                }
                None
            }
        }
    }

    /// Calls a receiver, and remembers it.
    pub(crate) async fn call(
        &self,
        to: &Subscription,
        credentials: &Credentials,
        told: Told<'_>,
    ) -> (Outcome, Exchange) {
        let at = self.engine.now();
        let sender = Sender {
            host: &self.config.host,
            agent: &self.agent,
        };
        let secrets = credentials.secrets(at);
        let content = told.content();
        let callback = &credentials.callback;
        let made = request(
            to.webhook.format,
            callback,
            content,
            sender,
            Some(&secrets),
            at,
        );
        let (headers, body) = (masked(&made.headers, callback), text(&made.body));
        let (outcome, attempted) = self.caller.call(&callback.uri, made).await;
        let (message, attempt) = told.parts();
        let exchange = Exchange {
            id: content.id(),
            action: message.as_ref().map(|message| message.action),
            message,
            attempt,
            at,
            millis: self.engine.now().saturating_sub(at),
            uri: callback.uri.to_string(),
            headers,
            body,
            attempted,
        };
        self.history.add(to.id, exchange.clone());
        (outcome, exchange)
    }
}

// === impl Told ===

impl<'a> Told<'a> {
    fn content(self) -> Content<'a> {
        match self {
            Self::Ping(id, at) => Content::Ping { id, at },
            Self::Message(message, _) => Content::Message(message),
        }
    }

    fn parts(self) -> (Option<Arc<Message>>, u8) {
        match self {
            Self::Ping(..) => (None, 1),
            Self::Message(message, attempt) => (Some(Arc::clone(message)), attempt),
        }
    }
}

/// What webhooks add to their requests is often a credential.
fn masked(headers: &[(String, String)], callback: &Callback) -> Vec<(String, String)> {
    let is_own = |name: &str| {
        let mut names = callback.headers.expose().map(|(name, _)| name);
        names.any(|it| it.eq_ignore_ascii_case(name) && !it.eq_ignore_ascii_case("content-type"))
    };
    let shown = headers.iter().map(|(name, value)| match is_own(name) {
        true => (name.clone(), "***".to_owned()),
        false => (name.clone(), value.clone()),
    });
    shown.collect()
}

/// Whether a message is taken for delivered that is not: for tests, which have to notice.
fn forgets() -> bool {
    fail::fail_point!("wh.forget", |_| true);
    false
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_webhook_adds_is_not_shown_but_for_how_the_body_is_to_be_read() {
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let own = owned(&[("Authorization", "s3cret"), ("Content-Type", "text/plain")]);
        let callback = Callback {
            uri: "https://receiver.example/".parse().unwrap(),
            headers: own.try_into().unwrap(),
        };
        let sent = owned(&[
            ("content-type", "text/plain"),
            ("webhook-id", "1"),
            ("authorization", "s3cret"),
        ]);
        let shown = owned(&[
            ("content-type", "text/plain"),
            ("webhook-id", "1"),
            ("authorization", "***"),
        ]);
        assert_eq!(masked(&sent, &callback), shown);
    }
}
