//! What was pushed to one region is pulled from the others before any log could have told them.

use bytes::Bytes;
use futures::StreamExt;
use harness::{Client, Content, Image, Regions, digest, seed};
use reqwest::Method;

const NAMES: [&str; 3] = ["eu", "us", "asia"];
const PUSHES: usize = 500;
/// How many go on at once.
const AT_ONCE: usize = 12;
/// So many tags are overwritten again and again.
const TAGS: usize = 5;

/// Pulls an image whole. Says what was not as it should be.
async fn pull(
    client: &Client,
    repository: &str,
    tag: &str,
    image: &Image,
    headers: &[(&str, &str)],
) -> Result<(), String> {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = client.send(Method::GET, &path, headers, Bytes::new()).await;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    if answer.status != 200 || answer.body != image.manifest {
        let text = String::from_utf8_lossy(&answer.body);
        return Err(format!(
            "{} {path}: {} {text}",
            client.base(),
            answer.status
        ));
    }
    for blob in &image.blobs {
        let answer = client.blob(repository, digest(blob)).await;
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        if answer.status != 200 || answer.body != *blob {
            let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]);
            return Err(format!(
                "{} a blob: {} {text}",
                client.base(),
                answer.status
            ));
        }
    }
    Ok(())
}

/// Pushes to the first region, and pulls from the others at once: a new tag, or one that is
/// overwritten, whose version the client names.
async fn travel(clients: &[Client], number: usize, image: &Image) -> Result<(), String> {
    let is_new = number.is_multiple_of(2);
    let (repository, tag) = match is_new {
        true => ("team/new".to_owned(), format!("t{number}")),
        // Each repository has one writer, so that nobody overwrites what is pulled.
        false => (
            format!("team/old{}", number % AT_ONCE),
            format!("t{}", number % TAGS),
        ),
    };
    let pushed = clients[0].push_image(&repository, &tag, image).await;
    let pushed = pushed.map_err(|error| format!("{error:?}"))?.expect(201);
    let version = pushed.header("meridian-version").unwrap();
    let headers = [("meridian-min-version", version)];
    let headers = if is_new { &[][..] } else { &headers };
    for client in &clients[1..] {
        pull(client, &repository, &tag, image, headers).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_here_is_pulled_there_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let regions = Regions::start(&NAMES, folder.path(), Some("20ms,50MB/s"));
    let clients: Vec<_> = NAMES.map(|name| regions.client(name)).into();
    let mut content = Content::new(seed(66));
    let images: Vec<_> = (0..PUSHES).map(|_| content.image(&[2_000])).collect();
    // Those that share a repository go one after the other.
    let lanes = (0..AT_ONCE).map(|lane| {
        let (clients, images) = (&clients, &images);
        async move {
            let mut failed = Vec::new();
            for number in (lane..PUSHES).step_by(AT_ONCE) {
                if let Err(error) = travel(clients, number, &images[number]).await {
                    failed.push(format!("push {number}: {error}"));
                }
            }
            failed
        }
    });
    let failed: Vec<_> = futures::stream::iter(lanes)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let failed = failed.concat();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}
