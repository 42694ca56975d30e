//! Webhooks, as JSON and for people.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use meridian_event::webhook::{
    Action, Callback, CustomHeaders, DisableReason, Status as WebhookStatus, Webhook,
};
use meridian_webhook_dispatcher::{self as dispatcher, Attempted, Delivery, Delta, Exchange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::columns::Columns;
use crate::management::problem::{Kind, Problem};

/// A webhook to create.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookForm {
    /// 5 to 50 letters and digits.
    pub(crate) name: String,
    /// Where to: `https://…`, or `http://…` in a network that the operator admits.
    pub(crate) service_uri: String,
    /// What each request has beside the headers of its form.
    #[serde(default)]
    pub(crate) custom_headers: BTreeMap<String, String>,
    /// Of what: `push`, `delete`, `untag`, `replicated`, `replicated_all`, `replication_failed`,
    /// `webhook_disabled`, `quarantine`, `chart_push`, `chart_delete`.
    pub(crate) actions: Vec<String>,
    /// Of which repositories and tags: `repository:tag`, in which `*` and `?` stand for characters; of all, if it is
    /// empty.
    #[serde(default)]
    pub(crate) scope: String,
    /// Whether anything is told.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// `acr`, `docker`, `cloudevents-structured` or `cloudevents-binary`.
    #[serde(default = "acr")]
    pub(crate) format: String,
    /// The region whose dispatcher delivers. Without it each event is delivered by the region where it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// A push is told when all of these regions can serve it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) available_in: Vec<String>,
}

fn yes() -> bool {
    true
}

fn acr() -> String {
    "acr".to_owned()
}

/// What to change of a webhook; what is not given stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookPatch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service_uri: Option<String>,
    /// These instead of those that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) custom_headers: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) actions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    /// Of no region, if it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) available_in: Option<Vec<String>>,
}

/// A webhook.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct WebhookView {
    pub(crate) name: String,
    /// By which it is told from others that bore its name.
    pub(crate) id: String,
    /// Where it is called, without what may be a secret; absent where the process has not the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service_host: Option<String>,
    pub(crate) actions: Vec<String>,
    pub(crate) scope: String,
    pub(crate) enabled: bool,
    pub(crate) format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) available_in: Vec<String>,
    /// It is told of nothing that happened before, in RFC 3339.
    pub(crate) since: String,
    /// Since when its receiver has failed and not taken anything, here, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failing_since: Option<String>,
    /// Why it was disabled, if its receiver failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disabled: Option<String>,
}

/// All webhooks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Webhooks {
    pub(crate) webhooks: Vec<WebhookView>,
}

/// A webhook that was created.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Created {
    pub(crate) webhook: WebhookView,
    /// By which receivers verify the signature of Standard Webhooks. It is shown this once.
    pub(crate) secret: String,
}

/// A secret that replaces another one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewSecret {
    /// It is shown this once. The one before signs on for a while.
    pub(crate) secret: String,
}

/// How a webhook is called.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct CallbackConfig {
    pub(crate) service_uri: String,
    pub(crate) custom_headers: BTreeMap<String, String>,
}

/// How many webhooks were sealed with the newest key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Resealed {
    pub(crate) webhooks: u64,
}

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
    /// Absent where it is attempted in its turn, because it was not delivered yet.
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

/// How many messages are told again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replayed {
    pub(crate) messages: u64,
}

/// How many deliveries to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// At most; 100 by default.
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
    /// Of what is kept: when it is attempted next. Absent of one for which no attempt is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<String>,
    /// Of what is kept: when it is dropped.
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

fn time(millis: u64) -> String {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    let moment = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    format!("{moment:.3}")
}

fn malformed(key: &str, why: impl fmt::Display) -> Problem {
    Problem::new(Kind::Malformed, format!("{key}: {why}"))
}

fn parsed<T: std::str::FromStr<Err: fmt::Display>>(key: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|why| malformed(key, why))
}

fn all<T, C>(key: &str, texts: &[String]) -> Result<C, Problem>
where
    T: std::str::FromStr<Err: fmt::Display>,
    C: FromIterator<T>,
{
    texts.iter().map(|text| parsed(key, text)).collect()
}

fn headers(pairs: &BTreeMap<String, String>) -> Result<CustomHeaders, Problem> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    CustomHeaders::try_from(pairs.collect::<Vec<_>>())
        .map_err(|why| malformed("custom_headers", why))
}

const fn status(is_enabled: bool) -> WebhookStatus {
    match is_enabled {
        true => WebhookStatus::Enabled,
        false => WebhookStatus::Disabled,
    }
}

/// When something happened.
pub(crate) fn moment(key: &str, text: &str) -> Result<u64, Problem> {
    let moment: Timestamp = parsed(key, text)?;
    Ok(u64::try_from(moment.as_millisecond()).unwrap_or(0))
}

// === impl WebhookForm ===

impl WebhookForm {
    pub(crate) fn read(&self) -> Result<dispatcher::NewWebhook, Problem> {
        let webhook = Webhook {
            name: parsed("name", &self.name)?,
            region: match &self.region {
                Some(name) => Some(parsed("region", name)?),
                None => None,
            },
            actions: all::<Action, _>("actions", &self.actions)?,
            scope: parsed("scope", &self.scope)?,
            status: status(self.enabled),
            format: parsed("format", &self.format)?,
            available_in: all("available_in", &self.available_in)?,
        };
        let callback = Callback {
            uri: parsed("service_uri", &self.service_uri)?,
            headers: headers(&self.custom_headers)?,
        };
        Ok(dispatcher::NewWebhook { webhook, callback })
    }
}

// === impl WebhookPatch ===

impl WebhookPatch {
    pub(crate) fn read(&self) -> Result<Delta, Problem> {
        let optional = |text: &Option<String>| text.clone();
        Ok(Delta {
            region: match optional(&self.region) {
                Some(name) if name.is_empty() => Some(None),
                Some(name) => Some(Some(parsed("region", &name)?)),
                None => None,
            },
            uri: match &self.service_uri {
                Some(uri) => Some(parsed("service_uri", uri)?),
                None => None,
            },
            headers: self.custom_headers.as_ref().map(headers).transpose()?,
            actions: match &self.actions {
                Some(actions) => Some(all::<Action, _>("actions", actions)?),
                None => None,
            },
            scope: match &self.scope {
                Some(scope) => Some(parsed("scope", scope)?),
                None => None,
            },
            status: self.enabled.map(status),
            format: match &self.format {
                Some(format) => Some(parsed("format", format)?),
                None => None,
            },
            available_in: match &self.available_in {
                Some(regions) => Some(all("available_in", regions)?),
                None => None,
            },
        })
    }
}

impl From<dispatcher::Shown> for WebhookView {
    fn from(shown: dispatcher::Shown) -> Self {
        let registration = shown.stored.registration;
        let webhook = registration.webhook;
        Self {
            name: webhook.name.as_str().to_owned(),
            id: registration.id.to_string(),
            service_host: shown.uri,
            actions: webhook.actions.iter().map(ToString::to_string).collect(),
            scope: webhook.scope.to_string(),
            enabled: webhook.status == WebhookStatus::Enabled,
            format: webhook.format.to_string(),
            region: webhook.region.map(|region| region.to_string()),
            available_in: webhook
                .available_in
                .iter()
                .map(ToString::to_string)
                .collect(),
            since: time(registration.since.millis),
            failing_since: shown.stored.failing_since.map(time),
            disabled: registration.disabled.map(|disabled| match disabled.reason {
                DisableReason::Gone => "its receiver answered 410 Gone".to_owned(),
                DisableReason::Failing { since } => {
                    format!("its receiver has failed since {}", time(since))
                }
            }),
        }
    }
}

impl From<Callback> for CallbackConfig {
    fn from(callback: Callback) -> Self {
        let headers = callback.headers.expose();
        Self {
            service_uri: callback.uri.expose().to_owned(),
            custom_headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
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

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Attempt(exchange) => (*exchange).into(),
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

impl fmt::Display for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.webhooks.is_empty() {
            return f.write_str("there are no webhooks; `meridian webhook create` makes one");
        }
        let mut columns = Columns::new([
            "NAME", "STATUS", "ACTIONS", "SCOPE", "FORMAT", "REGION", "RECEIVER",
        ]);
        for webhook in &self.webhooks {
            columns.row([
                webhook.name.clone(),
                webhook.state().to_owned(),
                webhook.actions.join(","),
                match webhook.scope.as_str() {
                    "" => "*".to_owned(),
                    scope => scope.to_owned(),
                },
                webhook.format.clone(),
                webhook.region.clone().unwrap_or_else(|| "-".to_owned()),
                webhook
                    .service_host
                    .clone()
                    .unwrap_or_else(|| "(sealed)".to_owned()),
            ]);
        }
        columns.fmt(f)
    }
}

impl WebhookView {
    fn state(&self) -> &'static str {
        match (self.enabled, &self.failing_since) {
            (false, _) => "disabled",
            (true, Some(_)) => "failing",
            (true, None) => "enabled",
        }
    }
}

impl fmt::Display for WebhookView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "name      {}", self.name)?;
        writeln!(f, "id        {}", self.id)?;
        writeln!(f, "status    {}", self.state())?;
        if let Some(why) = &self.disabled {
            writeln!(f, "because   {why}")?;
        }
        if let Some(since) = &self.failing_since {
            writeln!(f, "failing   since {since}")?;
        }
        let receiver = self.service_host.as_deref();
        writeln!(
            f,
            "receiver  {}",
            receiver.unwrap_or("(sealed with a key that is not here)")
        )?;
        writeln!(f, "actions   {}", self.actions.join(", "))?;
        let scope = match self.scope.as_str() {
            "" => "everything",
            scope => scope,
        };
        writeln!(f, "scope     {scope}")?;
        writeln!(f, "format    {}", self.format)?;
        let region = self.region.as_deref();
        writeln!(
            f,
            "region    {}",
            region.unwrap_or("each tells what happens there")
        )?;
        if !self.available_in.is_empty() {
            writeln!(f, "once in   {}", self.available_in.join(", "))?;
        }
        write!(f, "since     {}", self.since)
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.webhook)?;
        write!(
            f,
            "secret    {}\n\nKeep the secret: it is not shown again.",
            self.secret
        )
    }
}

impl fmt::Display for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.secret)
    }
}

impl fmt::Display for CallbackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.service_uri)?;
        for (name, value) in &self.custom_headers {
            write!(f, "\n{name}: {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Resealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} webhooks were sealed with the newest key",
            self.webhooks
        )
    }
}

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
            None => {
                f.write_str("it is attempted again now; `list-events` shows what becomes of it")
            }
        }
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages are attempted again now", self.messages)
    }
}

impl fmt::Display for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            return f.write_str("nothing was told lately, and nothing is kept");
        }
        let lines: Vec<_> = self.value.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
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
        match (&self.event_response_message, &self.error, &self.due) {
            (Some(response), _, _) => write!(f, "{}", response.status_code)?,
            (None, Some(error), _) => write!(f, "{error}")?,
            (None, None, Some(due)) => write!(f, "again at {due}")?,
            (None, None, None) => f.write_str("no attempt is left")?,
        }
        match self.duration_millis {
            Some(millis) => write!(f, "  {millis} ms"),
            None => Ok(()),
        }
    }
}
