//! What is locked in one region is locked in all, and a repository that is deleted in one is gone from all.

use std::time::Duration;

use harness::{Answer, Client, Content, Regions, digest, eventually, seed};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);

const TAG: &str = "/acr/v1/team%2Fapp/_tags/1";

async fn set(client: &Client, path: &str, attributes: Value) -> Answer {
    let headers = &[("content-type", "application/json")];
    let answer = client.send(Method::PATCH, path, headers, attributes.to_string());
    answer.await.unwrap()
}

fn attributes(answer: &Answer) -> Value {
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let it = document.get("tag").unwrap_or(&document);
    it["changeableAttributes"].clone()
}

async fn expect_locked(client: &Client) {
    eventually("the lock is there", SOON, || async {
        let answer = client.get(TAG).await.unwrap();
        let is_locked = answer.status == StatusCode::OK
            && attributes(&answer)["writeEnabled"] == Value::Bool(false);
        is_locked.then_some(())
    })
    .await;
}

fn expect_refusal(answer: Answer) {
    let answer = answer.expect(405);
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let code = &document["errors"][0]["code"];
    assert_eq!(code, "REGISTRY_DISALLOWED_OPERATION");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_and_a_deleted_repository_are_the_same_in_all_regions_and_in_one_that_joins() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(73));
    let (image, other) = (content.image(&[2_000]), content.image(&[3_000]));
    let three = Regions::start(&["eu", "us", "asia"], folder.path(), None);
    let (eu, us, asia) = (three.client("eu"), three.client("us"), three.client("asia"));
    for repository in ["team/app", "team/old"] {
        let pushed = eu.push_image(repository, "1", &image).await;
        pushed.unwrap().expect(201);
    }
    // It is locked where nobody may have heard of it yet.
    let answer = set(&us, TAG, json!({ "writeEnabled": false })).await;
    let answer = answer.expect(200);
    assert_eq!(
        attributes(&answer),
        json!({
            "deleteEnabled": true, "writeEnabled": false, "readEnabled": true, "listEnabled": true,
        })
    );
    for client in [&eu, &us, &asia] {
        expect_locked(client).await;
        expect_refusal(client.push_image("team/app", "1", &other).await.unwrap());
        let path = "/v2/team/app/manifests/1";
        expect_refusal(client.delete(path).await.unwrap());
        expect_refusal(client.delete(TAG).await.unwrap());
        expect_refusal(client.delete("/acr/v1/team/app").await.unwrap());
        // The image comes once more, and says nothing of the lock.
        let pushed = client.push_image("team/app", "1", &image).await;
        pushed.unwrap().expect(201);
    }
    for client in [&eu, &us, &asia] {
        expect_locked(client).await;
    }
    eventually("all say that they have the lock", SOON, || async {
        let answer = eu.get(TAG).await.unwrap();
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        let mut regions: Vec<_> = document["regions"].as_array()?.iter().collect();
        regions.sort_by_key(|region| region.as_str());
        (regions == ["asia", "eu", "us"]).then_some(())
    })
    .await;
    set(&eu, TAG, json!({ "writeEnable": false }))
        .await
        .expect(400);

    let deleted = asia.delete("/acr/v1/team/old").await.unwrap().expect(202);
    let deleted: Value = serde_json::from_slice(&deleted.body).unwrap();
    assert_eq!(deleted["tagsDeleted"], json!(["1"]));
    assert_eq!(
        deleted["manifestsDeleted"],
        json!([image.digest().to_string()])
    );
    for client in [&eu, &us, &asia] {
        eventually("it is gone", SOON, || async {
            is_gone(client).await.then_some(())
        })
        .await;
    }
    drop(three);

    let four = Regions::start(&["eu", "us", "asia", "africa"], folder.path(), None);
    let joined = four.client("africa");
    eventually("the image is there", SOON, || async {
        let answer = joined.manifest("team/app", "1").await.unwrap();
        (answer.body == image.manifest).then_some(())
    })
    .await;
    expect_locked(&joined).await;
    let refused = eventually("africa is known to all, and takes pushes", SOON, || async {
        let answer = joined.push_image("team/app", "1", &other).await.unwrap();
        (answer.status != StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    });
    expect_refusal(refused.await);
    let deleted = joined.manifest("team/old", "1").await.unwrap();
    assert_ne!(deleted.status, StatusCode::OK);
    eventually("africa has heard of all", SOON, || async {
        is_gone(&joined).await.then_some(())
    })
    .await;
    // What is newer than the deletion is there, everywhere.
    let pushed = joined.push_image("team/old", "2", &other).await;
    pushed.unwrap().expect(201);
    for name in ["eu", "us", "asia"] {
        let client = four.client(name);
        eventually("the new one is there", SOON, || async {
            let answer = client.get("/v2/team/old/tags/list").await.unwrap();
            let list: Value = serde_json::from_slice(&answer.body).unwrap();
            (list["tags"] == json!(["2"])).then_some(())
        })
        .await;
    }
}

async fn document(client: &Client, path: &str) -> Value {
    let answer = client.get(path).await.unwrap().expect(200);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pulled_from_a_repository_that_must_not_be_read_and_all_of_it_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::new(seed(79));
    let image = content.image(&[200_000, 3_000]);
    let two = Regions::start(&["eu", "us"], folder.path(), None);
    let (eu, us) = (two.client("eu"), two.client("us"));
    let pushed = eu.push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    let of_repository = "/acr/v1/team/app";
    let answer = set(&eu, of_repository, json!({ "readEnabled": false })).await;
    answer.expect(200);
    for client in [&eu, &us] {
        eventually("it must not be read", SOON, || async {
            let answer = client.get(of_repository).await.unwrap();
            let is_locked = answer.status == StatusCode::OK
                && attributes(&answer)["readEnabled"] == Value::Bool(false);
            is_locked.then_some(())
        })
        .await;
        expect_refusal(client.manifest("team/app", "1").await.unwrap());
        for blob in &image.blobs {
            let blob = digest(blob);
            expect_refusal(client.blob("team/app", blob).await.unwrap());
            let path = format!("/v2/team/app/blobs/{blob}");
            client.head(&path).await.unwrap().expect(405);
        }
    }
    // What comes while it must not be read is complete once it may be.
    let other = content.image(&[150_000]);
    let pushed = eu.push_image("team/app", "2", &other).await;
    pushed.unwrap().expect(201);
    eventually("it is here", SOON, || async {
        let list = document(&us, "/acr/v1/team/app/_tags?orderby=timedesc").await;
        (list["tags"][0]["name"] == "2").then_some(())
    })
    .await;
    set(&eu, of_repository, json!({ "readEnabled": true }))
        .await
        .expect(200);
    eventually("it may be read", SOON, || async {
        let answer = us.manifest("team/app", "2").await.unwrap();
        (answer.body == other.manifest).then_some(())
    })
    .await;

    // What tools of Azure Container Registry ask for.
    let server = us.base().strip_prefix("http://").unwrap();
    let list = document(&us, "/acr/v1/team%2Fapp/_manifests?orderby=timeasc&n=1").await;
    assert_eq!(list["registry"], server);
    let manifest = &list["manifests"][0];
    assert_eq!(manifest["digest"], image.digest().to_string());
    assert_eq!(manifest["tags"], json!(["1"]));
    let second = other.digest();
    let tags = document(&us, &format!("/acr/v1/team/app/_tags?digest={second}")).await;
    assert_eq!(tags["tags"][0]["name"], "2");
    assert_eq!(
        document(&us, "/acr/v1/_catalog?n=1").await,
        json!({ "repositories": ["team/app"] })
    );
    us.delete("/acr/v1/team/app/_tags/2")
        .await
        .unwrap()
        .expect(202);
    let tags = document(&us, "/acr/v1/team/app/_tags").await;
    assert_eq!(tags["tags"].as_array().unwrap().len(), 1);
    let path = format!("/acr/v1/team/app/_manifests/{second}");
    us.delete(&path).await.unwrap().expect(202);
    us.get(&path).await.unwrap().expect(404);
}

async fn is_gone(client: &Client) -> bool {
    let mut statuses = Vec::new();
    for path in [
        "/v2/team/old/manifests/1",
        "/v2/team/old/tags/list",
        "/acr/v1/team/old",
        "/acr/v1/team/old/_tags/1",
    ] {
        statuses.push(client.get(path).await.unwrap().status);
    }
    let catalog = client.get("/v2/_catalog").await.unwrap();
    let catalog: Value = serde_json::from_slice(&catalog.body).unwrap();
    statuses
        .iter()
        .all(|status| *status == StatusCode::NOT_FOUND)
        && catalog["repositories"] == json!(["team/app"])
}
