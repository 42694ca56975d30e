//! A registry of three processes does what one process does.

use bytes::Bytes;
use harness::{Client, Content, DevBuilder, Image, digest, seed};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::region::{Region, verb};

const MIB: usize = 1024 * 1024;

/// Pushes an image whose large layers go in chunks.
pub(crate) async fn push(client: &Client, repository: &str, tag: &str, image: &Image) {
    for blob in &image.blobs {
        let pushed = match blob.len() {
            0..MIB => client.push_blob(repository, blob.clone()).await,
            _ => {
                client
                    .push_blob_chunked(repository, blob.clone(), MIB)
                    .await
            }
        };
        pushed.unwrap().expect(201);
    }
    let manifest = image.manifest.clone();
    let put = client.put_manifest(repository, tag, manifest).await;
    put.unwrap().expect(201);
}

/// Pulls an image and compares every byte.
pub(crate) async fn pull(client: &Client, repository: &str, tag: &str, image: &Image) {
    let answer = client.manifest(repository, tag).await.unwrap().expect(200);
    assert_eq!(answer.body, image.manifest);
    for blob in &image.blobs {
        let answer = client.blob(repository, digest(blob)).await.unwrap();
        assert_eq!(answer.expect(200).body, blob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_pulled_listed_and_deleted() {
    let region = Region::start();
    let client = region.client();
    let image = Content::new(seed(40)).image(&[100, 40_000, 3 * MIB + 17]);
    push(&client, "team/app", "1", &image).await;
    pull(&client, "team/app", "1", &image).await;

    let tags = client.get("/v2/team/app/tags/list").await.unwrap();
    assert_eq!(
        tags.expect(200).body,
        r#"{"name":"team/app","tags":["1"]}"#.as_bytes()
    );
    let large = &image.blobs[3];
    let path = format!("/v2/team/app/blobs/{}", digest(large));
    let head = client.head(&path).await.unwrap().expect(200);
    assert_eq!(head.header("content-length"), Some("3145745"));
    for (range, status, expected) in [
        ("bytes=0-0", 206, large.slice(..1)),
        (
            "bytes=1048570-1048580",
            206,
            large.slice(1_048_570..1_048_581),
        ),
        ("bytes=-17", 206, large.slice(3 * MIB..)),
    ] {
        let headers = [("Range", range)];
        let part = client
            .send(Method::GET, &path, &headers, Bytes::new())
            .await;
        assert_eq!(part.unwrap().expect(status).body, expected, "{range}");
    }
    let headers = [("Range", "bytes=9999999-")];
    let beyond = client
        .send(Method::GET, &path, &headers, Bytes::new())
        .await;
    beyond.unwrap().expect(416);

    let manifest = format!("/v2/team/app/manifests/{}", image.digest());
    // Refusals cross two processes whole: this one names the manifest that needs the blob.
    let needed = client.delete(&path).await.unwrap().expect(409);
    let said = String::from_utf8_lossy(&needed.body).into_owned();
    assert!(said.contains(&image.digest().to_string()), "{said}");
    client.delete(&manifest).await.unwrap().expect(202);
    client.manifest("team/app", "1").await.unwrap().expect(404);
    client.delete(&path).await.unwrap().expect(202);
    client.get(&path).await.unwrap().expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_names_what_is_not_there_is_refused_with_the_digests() {
    let region = Region::start();
    let image = Content::new(seed(41)).image(&[100]);
    let client = region.client();
    let manifest = image.manifest.clone();
    let put = client.put_manifest("team/app", "1", manifest).await;
    let put = put.unwrap().expect(400);
    let said = String::from_utf8_lossy(&put.body);
    assert!(said.contains("MANIFEST_BLOB_UNKNOWN"), "{said}");
    for blob in &image.blobs {
        assert!(said.contains(&digest(blob).to_string()), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_tells_of_its_own_services() {
    let region = Region::start();
    let image = Content::new(seed(42)).image(&[50_000]);
    push(&region.client(), "team/app", "1", &image).await;
    let metadata = verb(&region.data_dir("metadata"), &["status"]);
    assert_eq!(metadata["usage"]["manifests"], 1, "{metadata}");
    assert!(metadata.get("collection").is_none(), "{metadata}");
    let blob = verb(&region.data_dir("blob"), &["status"]);
    assert_eq!(blob["open_uploads"], 0, "{blob}");
    assert!(blob.get("usage").is_none(), "{blob}");
    let would = verb(&region.data_dir("blob"), &["gc", "--dry-run"]);
    assert_eq!(would["blobs"]["count"], 0, "{would}");
    let gc = std::process::Command::new(harness::binary())
        .args(["gc", "--data-dir"])
        .arg(region.data_dir("metadata"))
        .output()
        .unwrap();
    let said = String::from_utf8(gc.stderr).unwrap();
    assert_eq!(gc.status.code(), Some(1));
    assert!(said.contains("no blob service"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_find_each_other_over_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = DevBuilder::run(&["metadata"], folder.path().join("metadata")).start();
    let blob = DevBuilder::run(&["blob"], folder.path().join("blob"))
        .env("MERIDIAN_SERVICES__METADATA", metadata.base())
        .start();
    let frontend = DevBuilder::run(&["frontend"], folder.path().join("none"))
        .env("MERIDIAN_SERVICES__METADATA", metadata.base())
        .env("MERIDIAN_SERVICES__BLOB", blob.base())
        .start();
    assert!(
        !folder.path().join("none").exists(),
        "a frontend keeps nothing"
    );
    let image = Content::new(seed(43)).image(&[2 * MIB]);
    push(&frontend.client(), "team/app", "1", &image).await;
    pull(&frontend.client(), "team/app", "1", &image).await;
    for process in [frontend, blob, metadata] {
        assert!(process.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_share_a_process_serve_others_too_and_may_part() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = ["metadata", "blob"].map(|role| {
        let path = folder.path().join(role).with_extension("sock");
        format!("unix:{}", path.display())
    });
    let [metadata, blob] = &sockets;
    let data = DevBuilder::run(&["metadata", "blob"], folder.path().join("data"))
        .env("MERIDIAN_METADATA__LISTEN", format!("[\"{metadata}\"]"))
        .env("MERIDIAN_BLOB__LISTEN", format!("[\"{blob}\"]"))
        .start();
    let frontend = DevBuilder::run(&["frontend"], folder.path().join("none"))
        .env("MERIDIAN_SERVICES__METADATA", metadata)
        .env("MERIDIAN_SERVICES__BLOB", blob)
        .start();
    let image = Content::new(seed(44)).image(&[50_000]);
    push(&frontend.client(), "team/app", "1", &image).await;
    assert!(frontend.stop().success() && data.stop().success());
    // The same directory serves a whole registry, and its parts serve the services alone.
    let whole = folder.path().join("data");
    let dev = DevBuilder::new(&whole).start();
    pull(&dev.client(), "team/app", "1", &image).await;
    assert!(dev.stop().success());
    let region = Region::empty();
    for (role, part) in [
        ("metadata", "metadata"),
        ("metadata", "events"),
        ("blob", "blobs"),
        ("blob", "upload.key"),
    ] {
        let directory = region.data_dir(role);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::rename(whole.join(part), directory.join(part)).unwrap();
    }
    let region = region.started();
    pull(&region.client(), "team/app", "1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_listener_refuses_has_the_headers_of_every_answer() {
    let region = Region::start();
    let mut ids = Vec::new();
    for request in [
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "BREW /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let host = region.frontend.as_ref().unwrap().host();
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let version = "docker-distribution-api-version: registry/2.0\r\n";
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(answer.contains(version), "{answer}");
        let id = answer.split("x-request-id: ").nth(1).expect("an id");
        ids.push(id.split_whitespace().next().unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
}
