//! What is answered is what the document says.

use std::collections::BTreeSet;

use bytes::Bytes;
use harness::Receiver;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Managed, TOKEN};

const HOOK: &str = "/v1/webhooks/{name}";

/// The schema of what an operation answers with a status.
fn schema(document: &Value, method: &Method, template: &str, status: u16) -> Value {
    let operation = &document["paths"][template][method.as_str().to_lowercase()];
    assert!(
        operation.is_object(),
        "{method} {template} is not described"
    );
    let described = &operation["responses"][status.to_string()];
    let content = match described.is_object() {
        true => &described["content"]["application/json"],
        false => &operation["responses"]["default"]["content"]["application/problem+json"],
    };
    let mut schema = content["schema"].clone();
    schema["components"] = document["components"].clone();
    schema
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_fits_its_description() {
    let managed = Managed::start();
    let kept = include_str!("../../proto/management/v1/openapi.json");
    let kept: Value = serde_json::from_str(kept).unwrap();
    let served = managed
        .ask(Method::GET, "/v1/openapi.json")
        .await
        .expect(200);
    let document: Value = serde_json::from_slice(&served.body).unwrap();
    assert_eq!(document, kept);

    let nobody = "/v1/cluster/members/00000000000000ff";
    let endpoints = json!({ "endpoints": ["http://127.0.0.1:1"] }).to_string();
    let member = json!({ "endpoint": "http://127.0.0.1:1" }).to_string();
    let leader = json!({ "node": "00000000000000ff" }).to_string();
    let skip = json!({ "region": "us", "shard": 3 }).to_string();
    let receiver = Receiver::start().await;
    let webhook = json!({
        "name": "deploys",
        "service_uri": receiver.uri("/"),
        "actions": ["push"],
    });
    let webhook = webhook.to_string();
    let patch = json!({ "scope": "team/*" }).to_string();
    let mut asked = BTreeSet::new();
    for (method, path, template, body, good) in [
        (Method::GET, "/v1/status", "", "", true),
        (Method::POST, "/v1/collections", "", "", true),
        (
            Method::POST,
            "/v1/collections?dry_run=true",
            "/v1/collections",
            "",
            true,
        ),
        (Method::GET, "/v1/status", "", "", true),
        (Method::GET, "/v1/cluster", "", "", true),
        (Method::GET, "/v1/cluster/members", "", "", true),
        (
            Method::GET,
            "/v1/cluster/members?limit=1",
            "/v1/cluster/members",
            "",
            true,
        ),
        (Method::POST, "/v1/cluster/snapshots", "", "", true),
        (Method::GET, "/v1/events", "", "", true),
        (Method::GET, "/v1/events/log", "", "", true),
        (
            Method::GET,
            "/v1/events/log?after=end&limit=1",
            "/v1/events/log",
            "",
            true,
        ),
        (
            Method::GET,
            "/v1/events/log?after=1.2",
            "/v1/events/log",
            "",
            false,
        ),
        (
            Method::GET,
            "/v1/events/log?limit=0",
            "/v1/events/log",
            "",
            false,
        ),
        (Method::GET, "/v1/region", "", "", true),
        (
            Method::PUT,
            "/v1/region/drain",
            "",
            r#"{"reason":"new disks"}"#,
            true,
        ),
        (
            Method::PUT,
            "/v1/region/drain",
            "",
            r#"{"reason":""}"#,
            false,
        ),
        (Method::DELETE, "/v1/region/drain", "", "", true),
        (Method::GET, "/v1/replication", "", "", false),
        (Method::POST, "/v1/replication/skips", "", &skip, false),
        (
            Method::GET,
            "/v1/replication/images/team%2Fapp/latest",
            "/v1/replication/images/{repository}/{reference}",
            "",
            false,
        ),
        (
            Method::GET,
            "/v1/replication/images/team%2Fapp/latest?at_least=zz",
            "/v1/replication/images/{repository}/{reference}",
            "",
            false,
        ),
        (
            Method::DELETE,
            "/v1/replication/regions/mars",
            "/v1/replication/regions/{region}",
            "",
            false,
        ),
        (Method::POST, "/v1/checks", "", "", true),
        (Method::GET, "/v1/openapi.json", "", "", true),
        (Method::POST, "/v1/webhooks", "", &webhook, true),
        (Method::POST, "/v1/webhooks", "", &webhook, false),
        (Method::GET, "/v1/webhooks", "", "", true),
        (Method::GET, "/v1/webhooks/deploys", HOOK, "", true),
        (Method::GET, "/v1/webhooks/nothing", HOOK, "", false),
        (Method::PATCH, "/v1/webhooks/deploys", HOOK, &patch, true),
        (
            Method::GET,
            "/v1/webhooks/deploys/callback-config",
            "/v1/webhooks/{name}/callback-config",
            "",
            true,
        ),
        (
            Method::POST,
            "/v1/webhooks/deploys/secrets",
            "/v1/webhooks/{name}/secrets",
            "",
            true,
        ),
        (
            Method::POST,
            "/v1/webhooks/deploys/pings",
            "/v1/webhooks/{name}/pings",
            "",
            true,
        ),
        (
            Method::POST,
            "/v1/webhooks/deploys/tests",
            "/v1/webhooks/{name}/tests",
            "{}",
            true,
        ),
        (
            Method::GET,
            "/v1/webhooks/deploys/events?limit=1001",
            "/v1/webhooks/{name}/events",
            "",
            false,
        ),
        (
            Method::GET,
            "/v1/webhooks/deploys/events?limit=10",
            "/v1/webhooks/{name}/events",
            "",
            true,
        ),
        (
            Method::POST,
            "/v1/webhooks/deploys/events/00000000-0000-8000-8000-000000000000/redeliveries",
            "/v1/webhooks/{name}/events/{id}/redeliveries",
            "",
            false,
        ),
        (
            Method::POST,
            "/v1/webhooks/deploys/replays",
            "/v1/webhooks/{name}/replays",
            "{}",
            true,
        ),
        (Method::POST, "/v1/webhook-reseals", "", "", true),
        (Method::DELETE, "/v1/webhooks/deploys", HOOK, "", true),
        (Method::POST, "/v1/cluster", "", &endpoints, false),
        (Method::POST, "/v1/cluster/members", "", &member, false),
        (
            Method::DELETE,
            nobody,
            "/v1/cluster/members/{node}",
            "",
            true,
        ),
        (Method::PUT, "/v1/cluster/leader", "", &leader, false),
    ] {
        let template = if template.is_empty() { path } else { template };
        let bearer = format!("Bearer {TOKEN}");
        let headers = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
        ];
        let answer = managed
            .api
            .send(method.clone(), path, &headers, Bytes::from(body.to_owned()));
        let answer = answer.await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status.is_success(), good, "{method} {path}: {text}");
        let schema = schema(&document, &method, template, answer.status.as_u16());
        let validator = jsonschema::validator_for(&schema).unwrap();
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        let faults = validator.iter_errors(&value).map(|fault| fault.to_string());
        let faults: Vec<_> = faults.collect();
        assert!(faults.is_empty(), "{method} {path}: {faults:?} in {text}");
        // A description that fits everything describes nothing.
        if path != "/v1/openapi.json" {
            assert!(!validator.is_valid(&json!(["what"])), "{method} {path}");
        }
        asked.insert(format!("{} {template}", method.as_str().to_lowercase()));
    }
    let paths = document["paths"].as_object().unwrap();
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            assert!(
                asked.contains(&format!("{method} {path}")),
                "{method} {path} was not asked"
            );
        }
    }
}
