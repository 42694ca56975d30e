//! What clients that follow a redirect get: the bytes, whole or in part, whichever endpoint they reach.

use std::sync::atomic::Ordering;

use harness::{Content, seed};
use hyper::Method;

use super::{DataRegion, MIB, ask, location, never_shown, refused};
use crate::https::{get, send};

#[tokio::test(flavor = "multi_thread")]
async fn large_blobs_come_from_the_data_endpoints_and_small_ones_from_the_frontend() {
    let region = DataRegion::redirecting().await;
    let mut content = Content::new(seed(120));
    let (large, small) = (content.bytes(3 * MIB + 17), content.bytes(100_000));
    let (one, other) = (region.push(&large).await, region.push(&small).await);
    let client = region.client();
    let streamed = ask(&client, other, &[]).await.expect(200);
    assert_eq!(streamed.body, small, "another request would cost more");
    for _ in 0..4 {
        let answer = ask(&client, one, &[("Authorization", "Bearer x")]).await;
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let digest = answer.header("docker-content-digest").unwrap();
        assert_eq!(digest, one.to_string());
        let place = location(&answer);
        assert!(place.starts_with(&region.data_url()), "{place}");
        assert!(place.len() < 1000, "{place}");
        // Credentials are neither needed there nor looked at.
        for headers in [&[][..], &[("Authorization", "Basic eDp5")]] {
            let got = get(&place, headers, &region.certificate()).await;
            let got = got.expect(200);
            assert!(got.body == large);
            let digest = got.header("docker-content-digest").unwrap();
            assert_eq!(digest, one.to_string());
            assert!(got.header("location").is_none());
        }
    }
    let led: Vec<_> = region.endpoints.led.iter().collect();
    assert!(
        led.iter().all(|it| it.load(Ordering::Relaxed) == 4),
        "{led:?}"
    );
    // What needs no bytes needs no data endpoint.
    let path = format!("/v2/team/app/blobs/{one}");
    let head = client.head(&path).await.unwrap().expect(200);
    assert_eq!(head.header("content-length"), Some("3145745"));
    let etag = format!("\"{one}\"");
    ask(&client, one, &[("If-None-Match", &etag)])
        .await
        .expect(304);
    assert_eq!(
        led.iter()
            .map(|it| it.load(Ordering::Relaxed))
            .sum::<usize>(),
        8
    );
    never_shown(&region);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_was_cut_goes_on_at_whichever_data_endpoint() {
    let region = DataRegion::redirecting().await;
    let certificate = region.certificate();
    let blob = Content::new(seed(121)).bytes(9 * MIB + 5);
    let named = region.push(&blob).await;
    let place = region.sent(named, &[]).await;
    let first = send(Method::GET, &place, &[], &certificate).await;
    let mut received = first.begin(2 * MIB).await;
    // As clients do: the registry is asked for the rest, and sends to the other endpoint.
    let etag = format!("\"{named}\"");
    for _ in 0..2 {
        let range = format!("bytes={}-", received.len());
        let headers = [("Range", &*range), ("If-Range", &*etag)];
        let place = region.sent(named, &headers).await;
        let rest = send(Method::GET, &place, &headers, &certificate).await;
        received.extend(rest.begin(2 * MIB).await);
    }
    // Or the endpoint itself, as long as the link is good.
    let range = format!("bytes={}-", received.len());
    let rest = get(&place, &[("Range", &range)], &certificate)
        .await
        .expect(206);
    let told = format!("bytes {}-{}/{}", received.len(), blob.len() - 1, blob.len());
    assert_eq!(rest.header("content-range"), Some(&*told));
    received.extend_from_slice(&rest.body);
    assert!(received == blob);
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=-17", blob.len() - 17..blob.len()),
        ("bytes=5242870-5242890", 5_242_870..5_242_891),
    ] {
        let part_of = get(&place, &[("Range", range)], &certificate).await;
        assert_eq!(part_of.expect(206).body, blob.slice(part), "{range}");
    }
    let another = [("Range", "bytes=5-"), ("If-Range", "\"another\"")];
    assert!(get(&place, &another, &certificate).await.expect(200).body == blob);
    let beyond = get(&place, &[("Range", "bytes=99999999-")], &certificate).await;
    assert_eq!(beyond.header("content-range"), Some("bytes */9437189"));
    refused(&beyond, 416, &["RANGE_INVALID"]);
    let head = send(Method::HEAD, &place, &[], &certificate)
        .await
        .whole()
        .await;
    assert_eq!(head.expect(200).header("content-length"), Some("9437189"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_ends_before_its_process_does() {
    let region = DataRegion::redirecting().await;
    let blob = Content::new(seed(128)).bytes(24 * MIB);
    let place = region.sent(region.push(&blob).await, &[]).await;
    let download = send(Method::GET, &place, &[], &region.certificate()).await;
    for process in &region.blobs {
        process.ask_to_stop();
        process.log_line("asked to stop");
    }
    assert!(download.whole().await.expect(200).body == blob);
}
