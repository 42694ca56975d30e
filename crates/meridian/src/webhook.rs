//! `meridian webhook`: webhooks, from the command line.

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;

use crate::cli::{self, WebhookFields, WebhookVerb};
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
    let one = |name: &str| format!("{ALL}/{}", segment(name));
    match options.verb {
        WebhookVerb::Create { name, uri, fields } => {
            let form = form(name, uri, &fields)?;
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
            let of = TestOf { action };
            conclude(target, &client.tell(Method::POST, &path, &of).await?)
        }
        WebhookVerb::ListEvents { name, limit } => {
            let path = format!("{}/events?limit={limit}", one(&name));
            let all: Deliveries = client.call(Method::GET, &path).await?;
            print(target, &all)
        }
        WebhookVerb::Redeliver { name, id } => {
            let path = format!("{}/events/{}/redeliveries", one(&name), segment(&id));
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
    print(target, tried)?;
    match tried.delivered {
        true => Ok(()),
        false => Err(Exit::unsuccessful("the receiver has not taken it")),
    }
}

/// What stands between two slashes, whatever it is.
fn segment(text: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let mut segment = String::new();
    for byte in text.bytes() {
        match plain(byte) {
            true => segment.push(char::from(byte)),
            false => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

fn form(name: String, uri: String, fields: &WebhookFields) -> Result<WebhookForm, Exit> {
    let given = WebhookForm {
        name,
        service_uri: uri,
        custom_headers: headers(&fields.headers)?,
        actions: match fields.actions.is_empty() {
            true => vec!["push".to_owned()],
            false => fields.actions.clone(),
        },
        scope: fields.scope.clone().unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        format: fields.format.clone().unwrap_or_else(|| "acr".to_owned()),
        region: fields.region.clone().filter(|region| !region.is_empty()),
        available_in: fields.available_in.clone(),
    };
    Ok(given)
}

fn patch(uri: Option<String>, fields: &WebhookFields) -> Result<WebhookPatch, Exit> {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let headers = match fields.headers.is_empty() {
        true => None,
        false => Some(headers(&fields.headers)?),
    };
    Ok(WebhookPatch {
        service_uri: uri,
        custom_headers: headers,
        actions: some(&fields.actions),
        scope: fields.scope.clone(),
        enabled: fields.enabled,
        format: fields.format.clone(),
        region: fields.region.clone(),
        available_in: some(&fields.available_in)
            .map(|regions| regions.into_iter().filter(|it| !it.is_empty()).collect()),
    })
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

    #[test]
    fn what_is_asked_for_cannot_leave_its_place_in_the_path() {
        assert_eq!(segment("a/../b?c"), "a%2F..%2Fb%3Fc");
    }
}
