//! What webhooks were told, and are told again, as JSON and for people.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use meridian_webhook_dispatcher::{self as dispatcher, Attempted, Delivery, Exchange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::webhook::{parsed, time};
use crate::management::problem::Problem;

/// A test of a webhook.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestOf {
    /// What is told; the first action of the webhook, if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<String>,
}

/// What a receiver made of a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Tried {
    /// Whether it answered 2xx.
    pub(crate) delivered: bool,
    pub(crate) event: DeliveryView,
}

/// What became of a wish to tell something again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Redelivered {
    /// Absent where it is due now, and attempted in its turn, because it was not delivered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tried: Option<Tried>,
}

/// Which messages to tell again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// Of what happened then or later, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// Of what happened before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
    /// Only those for which no attempt is left.
    #[serde(default)]
    pub(crate) only_failed: bool,
}

/// How many messages are due now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replayed {
    pub(crate) messages: u64,
}

/// How many deliveries to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// How many, 1 to 1000; 100 by default.
    #[serde(default = "hundred")]
    #[param(required = false)]
    pub(crate) limit: usize,
}

fn hundred() -> usize {
    100
}

/// What was delivered, or was not, the newest first. The members are those of ACR's `listEvents`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Deliveries {
    pub(crate) value: Vec<DeliveryView>,
    /// Whether there is more than that, or may be: ask for more of it.
    #[serde(default)]
    pub(crate) more: bool,
}

/// A message, and an attempt to deliver it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryView {
    /// By what the receiver knows the message.
    pub(crate) id: String,
    /// What was told, or `ping`.
    pub(crate) action: String,
    /// When it was attempted, or, of what is kept, when it happened; in RFC 3339.
    pub(crate) timestamp: String,
    /// The how manieth attempt it was; of what is kept, how many were made.
    pub(crate) attempts: u32,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duration_millis: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_request_message: Option<RequestMessage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_response_message: Option<ResponseMessage>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Of what is kept, on its last attempt: when it is attempted next. Absent of one for which no attempt is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<String>,
    /// Of what is kept, on its last attempt: when it is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept_until: Option<String>,
}

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestMessage {
    pub(crate) method: String,
    /// Without what may be a secret.
    pub(crate) request_uri: String,
    /// Those that the webhook adds are masked.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) content: String,
}

/// Its answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponseMessage {
    pub(crate) status_code: u16,
    pub(crate) headers: BTreeMap<String, String>,
    /// As much as was read.
    pub(crate) content: String,
}

/// When something happened.
pub(crate) fn moment(key: &str, text: &str) -> Result<u64, Problem> {
    let moment: Timestamp = parsed(key, text)?;
    Ok(u64::try_from(moment.as_millisecond()).unwrap_or(0))
}

impl From<dispatcher::Tried> for Tried {
    fn from(tried: dispatcher::Tried) -> Self {
        Self {
            delivered: tried.is_taken,
            event: tried.exchange.into(),
        }
    }
}

impl From<Exchange> for DeliveryView {
    fn from(exchange: Exchange) -> Self {
        let (response, error) = match exchange.attempted {
            Attempted::Answered {
                status,
                headers,
                body,
            } => {
                let response = ResponseMessage {
                    status_code: status,
                    headers: headers.into_iter().collect(),
                    content: body,
                };
                (Some(response), None)
            }
            Attempted::Failed(why) => (None, Some(why)),
        };
        Self {
            id: exchange.id.to_string(),
            action: exchange
                .action
                .map_or_else(|| "ping".to_owned(), |action| action.to_string()),
            timestamp: time(exchange.at),
            attempts: exchange.attempt.into(),
            duration_millis: Some(exchange.millis),
            event_request_message: Some(RequestMessage {
                method: "POST".to_owned(),
                request_uri: exchange.uri,
                headers: exchange.headers.into_iter().collect(),
                content: exchange.body,
            }),
            event_response_message: response,
            error,
            due: None,
            kept_until: None,
        }
    }
}

impl From<dispatcher::Deliveries> for Deliveries {
    fn from(deliveries: dispatcher::Deliveries) -> Self {
        Self {
            value: deliveries.shown.into_iter().map(Into::into).collect(),
            more: deliveries.has_more,
        }
    }
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Attempt(exchange, kept) => Self {
                due: kept.as_ref().and_then(|row| row.due).map(time),
                kept_until: kept.map(|row| time(row.until)),
                ..(*exchange).into()
            },
            Delivery::Kept(row) => Self {
                id: row.message.id.to_string(),
                action: row.message.action.to_string(),
                timestamp: time(row.message.at),
                attempts: row.attempts.into(),
                duration_millis: None,
                event_request_message: None,
                event_response_message: None,
                error: None,
                due: row.due.map(time),
                kept_until: Some(time(row.until)),
            },
        }
    }
}

// For people.

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.delivered {
            true => "delivered",
            false => "not delivered",
        };
        write!(f, "{outcome}: {}", self.event)
    }
}

impl fmt::Display for Redelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tried {
            Some(tried) => tried.fmt(f),
            None => f.write_str(
                "it is due now, and attempted in its turn; `list-events` shows what becomes of it",
            ),
        }
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.messages {
            0 => f.write_str("nothing is kept of that, and nothing is told again"),
            count => write!(
                f,
                "{count} messages are due now, and attempted in their turn"
            ),
        }
    }
}

impl fmt::Display for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            return f.write_str("nothing was told lately, and nothing is kept");
        }
        let lines: Vec<_> = self.value.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        match self.more {
            true => f.write_str("\nthere is more; --limit shows up to 1000"),
            false => Ok(()),
        }
    }
}

impl fmt::Display for DeliveryView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            action,
            timestamp,
            attempts,
            ..
        } = self;
        write!(f, "{timestamp}  {id}  {action:<18}  attempt {attempts}  ")?;
        match (&self.event_response_message, &self.error) {
            (Some(response), _) => write!(f, "{}  ", response.status_code)?,
            (None, Some(error)) => write!(f, "{error}  ")?,
            (None, None) => {}
        }
        let kept = self.kept_until.as_ref().map(|_| match &self.due {
            Some(due) => format!("again at {due}"),
            None => "no attempt is left".to_owned(),
        });
        let took = self.duration_millis.map(|millis| format!("{millis} ms"));
        let rest: Vec<_> = took.into_iter().chain(kept).collect();
        f.write_str(&rest.join("  "))
    }
}
