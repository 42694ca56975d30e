//! The request by which a webhook is called.
//!
//! Owns what it consists of, and in which order: the headers of its form, those of its signatures, and those
//! that the webhook adds, of which a `Content-Type` takes the place of the form's. The same message makes the
//! same body, whenever it is sent; only the signature tells attempts apart. How each form looks is in
//! `format`.

use meridian_event::webhook::{Callback, Format, Message, MessageId};

use crate::SigningSecrets;
use crate::format;

/// What is told.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// That the webhook works.
    Ping {
        /// By what the receiver knows it.
        id: MessageId,
        /// When somebody asked for it, in milliseconds since the Unix epoch.
        at: u64,
    },
    /// What happened.
    Message(&'a Message),
}

/// Who tells it.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The name, and perhaps the port, by which clients know the registry.
    pub host: &'a str,
    /// What calls itself so in requests.
    pub agent: &'a str,
}

/// A request: always a `POST`, to the URI of the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names and values. Values may be credentials.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The request that tells `content` in that form, where the callback says, `now`.
#[must_use]
pub fn request(
    format: Format,
    callback: &Callback,
    content: Content<'_>,
    sender: Sender<'_>,
    secrets: Option<&SigningSecrets>,
    now: u64,
) -> Request {
    let form = format::form(format, &content, sender.host);
    let is_custom = |name: &str| {
        let mut names = callback.headers.expose().map(|(name, _)| name);
        names.any(|it| it.eq_ignore_ascii_case(name))
    };
    let mut headers = Vec::new();
    let agent = ("user-agent", sender.agent.to_owned());
    let own = [("content-type", form.content_type.to_owned()), agent];
    for (name, value) in own.into_iter().filter(|(name, _)| !is_custom(name)) {
        headers.push((name.to_owned(), value));
    }
    let named = form.headers.into_iter();
    headers.extend(named.map(|(name, value)| (name.to_owned(), value)));
    if let Some(secrets) = secrets {
        let signed = secrets.headers(content.id(), now, &form.body).into_iter();
        headers.extend(signed.map(|(name, value)| (name.to_owned(), value)));
    }
    let custom = callback.headers.expose();
    headers.extend(custom.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Request {
        headers,
        body: form.body,
    }
}

// === impl Content ===

impl<'a> Content<'a> {
    /// By what the receiver knows it.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        match self {
            Self::Ping { id, .. } => *id,
            Self::Message(message) => message.id,
        }
    }

    /// When it happened.
    pub(crate) const fn at(&self) -> u64 {
        match self {
            Self::Ping { at, .. } => *at,
            Self::Message(message) => message.at,
        }
    }

    /// What it is called.
    pub(crate) const fn action(&self) -> &'static str {
        match self {
            Self::Ping { .. } => "ping",
            Self::Message(message) => message.action.as_str(),
        }
    }

    pub(crate) const fn message(&self) -> Option<&'a Message> {
        match self {
            Self::Ping { .. } => None,
            Self::Message(message) => Some(message),
        }
    }
}
