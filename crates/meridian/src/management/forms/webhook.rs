//! Webhooks, as JSON and for people.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use meridian_event::webhook::{
    Action, Callback, CustomHeaders, DisableReason, Status as WebhookStatus, Webhook,
};
use meridian_webhook_dispatcher::{self as dispatcher, Delta};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

pub(super) fn time(millis: u64) -> String {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    let moment = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    format!("{moment:.3}")
}

fn malformed(key: &str, why: impl fmt::Display) -> Problem {
    Problem::new(Kind::Malformed, format!("{key}: {why}"))
}

pub(super) fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
    key: &str,
    text: &str,
) -> Result<T, Problem> {
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
