//! HEAD says what GET says, and nothing more (RFC 9110, 9.3.2).

use harness::Answer;
use meridian_oci::{Algorithm, Digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::content::{ALGORITHMS, INDEX, marked};
use crate::expected::is;
use crate::server::Registry;
use crate::wire::{get, head};

/// The headers but for those that differ from answer to answer.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .filter(|(name, _)| !matches!(&**name, "date" | "x-request-id"))
        .collect();
    headers.sort();
    headers
}

#[tokio::test]
async fn head_says_what_get_says_without_a_body() {
    let registry = Registry::start().await;
    let repository = registry.repository("app");
    let bytes = marked("head");
    registry.put(&repository, "v1", INDEX, &bytes).await;
    let mut targets = vec![
        "/v2/".to_owned(),
        "/v2".to_owned(),
        "/v2/_catalog?n=0".to_owned(),
        "/v2/_oci/ext/discover".to_owned(),
        "/v2/UPPER/tags/list".to_owned(),
        "/nowhere".to_owned(),
        format!("/v2/{repository}/tags/list"),
        format!("/v2/{repository}/tags/list?n=x"),
        format!("/v2/{repository}/manifests/v1"),
        format!("/v2/{repository}/manifests/absent"),
        format!("/v2/{repository}/manifests/sha256:xyz"),
    ];
    for algorithm in ALGORITHMS {
        let digest = registry.push_blob(&repository, algorithm, &bytes).await;
        let unknown = Digest::of(algorithm, b"unknown");
        registry
            .put(&repository, &digest.to_string(), INDEX, &bytes)
            .await;
        for path in ["blobs", "manifests", "referrers"] {
            targets.push(format!("/v2/{repository}/{path}/{digest}"));
            targets.push(format!("/v2/{repository}/{path}/{unknown}"));
        }
    }
    let mut table = registry.table("RFC 9110, 9.3.2 HEAD");
    for target in targets {
        let got = registry.ask(&get(&*target)).await;
        let expected = is(got.status.as_u16()).header("Content-Length", got.body.len());
        let told = table
            .row(format!("HEAD {target}"), head(&*target), expected)
            .await;
        table.must(
            format!("HEAD {target} has the headers of GET"),
            lasting(&told),
            lasting(&got),
        );

        let mut stream = TcpStream::connect(registry.address()).await.unwrap();
        let request =
            format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        let end = received.windows(4).position(|window| window == b"\r\n\r\n");
        let rule = format!("HEAD {target}: nothing follows the head");
        table.must(rule, end.map(|end| received.len() - end - 4), Some(0));
    }
    let location = registry.open(&repository).await;
    let [got, told] = [
        registry.ask(&get(&*location)).await,
        registry.ask(&head(&*location)).await,
    ];
    table.must("HEAD of an upload is its status", told.status, got.status);
    table.must(
        "HEAD of an upload has its headers",
        lasting(&told),
        lasting(&got),
    );
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let rule = "HEAD of content tells its size";
    let expected = is(200).of(&digest).header("Content-Length", bytes.len());
    table
        .row(
            rule,
            head(format!("/v2/{repository}/blobs/{digest}")),
            expected,
        )
        .await;
}
