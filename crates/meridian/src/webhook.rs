//! `meridian webhook`: webhooks, from the command line.

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use meridian_event::webhook::{Action, WebhookName};

use crate::cli::{self, ChangedFields, NewFields, WebhookVerb};
use crate::exit::Exit;
use crate::management::{
    CallbackConfig, Created, Deliveries, NewSecret, Redelivered, Replay, Replayed, Resealed,
    TestOf, Tried, WebhookForm, WebhookPatch, WebhookView, Webhooks,
};
use crate::verbs::{client, print};

const ALL: &str = "/v1/webhooks";

/// `meridian webhook`
pub(crate) async fn run(options: cli::Webhook) -> Result<(), Exit> {
    let (client, target) = (client(&options.target)?, &options.target);
    let one = |name: &WebhookName| format!("{ALL}/{}", name.as_str());
    match options.verb {
        WebhookVerb::Create { name, uri, fields } => {
            let form = form(&name, uri, &fields)?;
            let created: Created = client.tell(Method::POST, ALL, &form).await?;
            print(target, &created)
        }
        WebhookVerb::List => {
            let all: Webhooks = client.call(Method::GET, ALL).await?;
            print(target, &all)
        }
        WebhookVerb::Show { name } => {
            let webhook: WebhookView = client.call(Method::GET, &one(&name)).await?;
            print(target, &webhook)
        }
        WebhookVerb::Update { name, uri, fields } => {
            let patch = patch(uri, &fields)?;
            let webhook: WebhookView = client.tell(Method::PATCH, &one(&name), &patch).await?;
            print(target, &webhook)
        }
        WebhookVerb::Delete { name } => {
            let left: Webhooks = client.call(Method::DELETE, &one(&name)).await?;
            print(target, &left)
        }
        WebhookVerb::GetConfig { name } => {
            let path = format!("{}/callback-config", one(&name));
            let config: CallbackConfig = client.call(Method::GET, &path).await?;
            print(target, &config)
        }
        WebhookVerb::Ping { name } => {
            let path = format!("{}/pings", one(&name));
            conclude(target, &client.call(Method::POST, &path).await?)
        }
        WebhookVerb::Test { name, action } => {
            let path = format!("{}/tests", one(&name));
            let action = action.map(|action| action.to_string());
            let of = TestOf { action };
            conclude(target, &client.tell(Method::POST, &path, &of).await?)
        }
        WebhookVerb::ListEvents { name, limit } => {
            let path = format!("{}/events?limit={limit}", one(&name));
            let all: Deliveries = client.call(Method::GET, &path).await?;
            print(target, &all)
        }
        WebhookVerb::Redeliver { name, id } => {
            let path = format!("{}/events/{id}/redeliveries", one(&name));
            let redelivered: Redelivered = client.call(Method::POST, &path).await?;
            match &redelivered.tried {
                Some(tried) => conclude(target, tried),
                None => print(target, &redelivered),
            }
        }
        WebhookVerb::Replay {
            name,
            since,
            until,
            only_failed,
        } => {
            let path = format!("{}/replays", one(&name));
            let time = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
            let replay = Replay {
                since: time(since),
                until: time(until),
                only_failed,
            };
            let replayed: Replayed = client.tell(Method::POST, &path, &replay).await?;
            print(target, &replayed)
        }
        WebhookVerb::RotateSecret { name } => {
            let path = format!("{}/secrets", one(&name));
            let secret: NewSecret = client.call(Method::POST, &path).await?;
            print(target, &secret)
        }
        WebhookVerb::Reseal => {
            let resealed: Resealed = client.call(Method::POST, "/v1/webhook-reseals").await?;
            print(target, &resealed)
        }
    }
}

/// Shows what a receiver made of a request, and ends well if it took it.
fn conclude(target: &cli::Target, tried: &Tried) -> Result<(), Exit> {
    // The verdict counts even if nobody reads what it is about.
    let printed = print(target, tried);
    match tried.delivered {
        true => printed,
        false => Err(Exit::unsuccessful("the receiver has not taken it")),
    }
}

fn form(name: &WebhookName, uri: String, fields: &NewFields) -> Result<WebhookForm, Exit> {
    let scope = fields.scope.as_ref();
    Ok(WebhookForm {
        name: name.as_str().to_owned(),
        service_uri: uri,
        custom_headers: headers(&fields.headers)?,
        actions: texts(&fields.actions),
        scope: scope.map(ToString::to_string).unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        format: fields.format.to_string(),
        region: fields.region.clone().filter(|region| !region.is_empty()),
        available_in: fields.available_in.clone(),
    })
}

fn patch(uri: Option<String>, fields: &ChangedFields) -> Result<WebhookPatch, Exit> {
    let headers = match fields.headers.is_empty() {
        true => None,
        false => Some(headers(&fields.headers)?),
    };
    let regions = fields.available_in.iter();
    let regions = regions.filter(|region| !region.is_empty()).cloned();
    Ok(WebhookPatch {
        service_uri: uri,
        custom_headers: headers,
        actions: (!fields.actions.is_empty()).then(|| texts(&fields.actions)),
        scope: fields.scope.as_ref().map(ToString::to_string),
        enabled: fields.enabled,
        format: fields.format.map(|format| format.to_string()),
        region: fields.region.clone(),
        available_in: (!fields.available_in.is_empty()).then(|| regions.collect()),
    })
}

fn texts(actions: &[Action]) -> Vec<String> {
    actions.iter().map(ToString::to_string).collect()
}

/// `Name: value` or `Name=value`; an empty text stands for none at all.
fn headers(texts: &[String]) -> Result<BTreeMap<String, String>, Exit> {
    let mut headers = BTreeMap::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let parts = text.split_once([':', '=']);
        let Some((name, value)) = parts else {
            return Err(Exit::misconfigured(
                "--header: a header reads `Name: value`; what was given has no `:`",
            ));
        };
        headers.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_names_and_values() {
        let texts = ["Authorization: Bearer a=b", "x-key=v", ""].map(ToOwned::to_owned);
        let read = headers(&texts).unwrap();
        assert_eq!(read["Authorization"], "Bearer a=b");
        assert_eq!(read["x-key"], "v");
        assert!(headers(&["nothing".to_owned()]).is_err());
    }
}
