//! Webhooks on the wire.

use meridian_event::webhook::{
    DisableReason, Disabled, Registration, Sealed, Status, Webhook, WebhookId,
};

use crate::decode::{DecodeError, required, text, version};
use crate::meridian::webhook::v1 as wire;

impl From<&Webhook> for wire::Webhook {
    fn from(webhook: &Webhook) -> Self {
        let available_in = webhook.available_in.iter();
        Self {
            name: webhook.name.as_str().to_owned(),
            region: webhook
                .region
                .map(|region| region.to_string())
                .unwrap_or_default(),
            actions: webhook.actions.iter().map(ToString::to_string).collect(),
            scope: webhook.scope.as_str().to_owned(),
            is_enabled: webhook.status == Status::Enabled,
            format: webhook.format.to_string(),
            available_in: available_in.map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<wire::Webhook> for Webhook {
    type Error = DecodeError;

    fn try_from(it: wire::Webhook) -> Result<Self, DecodeError> {
        let actions = it.actions.iter().map(|it| text(it, "actions"));
        let available_in = it.available_in.iter().map(|it| text(it, "available_in"));
        Ok(Self {
            name: text(&it.name, "name")?,
            region: match it.region.as_str() {
                "" => None,
                name => Some(text(name, "region")?),
            },
            actions: actions.collect::<Result<_, _>>()?,
            scope: text(&it.scope, "scope")?,
            status: match it.is_enabled {
                true => Status::Enabled,
                false => Status::Disabled,
            },
            format: text(&it.format, "format")?,
            available_in: available_in.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Registration> for wire::Registration {
    fn from(registration: &Registration) -> Self {
        Self {
            id: Some(registration.id.version().into()),
            since: Some(registration.since.into()),
            webhook: Some((&registration.webhook).into()),
            sealed: registration.sealed.0.clone().into(),
            disabled: registration.disabled.map(|disabled| wire::Disabled {
                at: Some(disabled.at.into()),
                failing_since: match disabled.reason {
                    DisableReason::Gone => None,
                    DisableReason::Failing { since } => Some(since),
                },
            }),
        }
    }
}

impl TryFrom<wire::Registration> for Registration {
    type Error = DecodeError;

    fn try_from(it: wire::Registration) -> Result<Self, DecodeError> {
        let disabled = it.disabled.map(|disabled| {
            let at = version(disabled.at, "disabled.at")?;
            let failing = |since| DisableReason::Failing { since };
            let reason = disabled.failing_since.map_or(DisableReason::Gone, failing);
            Ok::<_, DecodeError>(Disabled { at, reason })
        });
        Ok(Self {
            id: WebhookId::new(version(it.id, "id")?),
            since: version(it.since, "since")?,
            webhook: required(it.webhook, "webhook")?.try_into()?,
            sealed: Sealed(it.sealed.into()),
            disabled: disabled.transpose()?,
        })
    }
}
