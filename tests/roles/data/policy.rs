//! Who is sent where.

use std::path::Path;

use harness::{Content, DevBuilder, digest, seed};

use super::{DataRegion, MIB, ask, location, never_shown, refused};
use crate::https::get;

#[tokio::test(flavor = "multi_thread")]
async fn blobs_come_from_the_bucket_where_the_settings_say_so() {
    let settings = [("MERIDIAN_FRONTEND__BLOBS__DELIVERY", "presigned")];
    let region = DataRegion::start(&settings).await;
    let certificate = region.certificate();
    let blob = Content::new(seed(125)).bytes(6 * MIB + 3);
    let named = region.push(&blob).await;
    let place = region.sent(named, &[]).await;
    assert!(place.starts_with(region.bucket.endpoint()), "{place}");
    let got = get(&place, &[], &certificate).await.expect(200);
    assert!(got.body == blob);
    let range = [("Range", "bytes=5242870-5242890")];
    let place = region.sent(named, &range).await;
    let part = get(&place, &range, &certificate).await.expect(206);
    assert_eq!(part.body, blob.slice(5_242_870..5_242_891));
    let changed = get(
        &place.replace("X-Amz-Expires=240", "X-Amz-Expires=299"),
        &[],
        &certificate,
    )
    .await;
    assert_eq!(changed.status, 403);
    // The bucket has other entity tags than we have.
    let etag = format!("\"{named}\"");
    let headers = [range[0], ("If-Range", &*etag)];
    let place = region.sent(named, &headers).await;
    assert!(place.starts_with(&region.data_url()), "{place}");
    let part = get(&place, &headers, &certificate).await.expect(206);
    assert_eq!(part.body, blob.slice(5_242_870..5_242_891));
    // The bucket would say that it has no such object, which is not for clients to hear.
    region.bucket.lose();
    let lost = ask(&region.client(), named, &[]).await;
    refused(&lost, 503, &["UNAVAILABLE"]);
    never_shown(&region);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_of_a_client_decides_which_no_client_can_make_up() {
    let rules = "[{networks = [\"10.1.0.0/16\"], delivery = \"stream\"}, \
                  {networks = [\"10.0.0.0/8\", \"2001:db8::/32\"], delivery = \"redirect\"}]";
    let region = DataRegion::start(&[
        ("MERIDIAN_FRONTEND__BLOBS__RULES", rules),
        (
            "MERIDIAN_FRONTEND__HTTP__TRUSTED_PROXIES",
            "[\"127.0.0.0/8\"]",
        ),
    ])
    .await;
    let blob = Content::new(seed(126)).bytes(2 * MIB);
    let (named, client) = (region.push(&blob).await, region.client());
    for (forwarded, status) in [
        (None, 200),
        (Some("10.2.0.1"), 307),
        (Some("10.1.0.1"), 200),
        (Some("2001:db8::7"), 307),
        (Some("192.0.2.1"), 200),
        // Whom the last proxy saw counts, not whom its client names.
        (Some("10.2.0.1, 192.0.2.1"), 200),
        (Some("192.0.2.1, 10.2.0.1, 127.0.0.1"), 307),
    ] {
        let headers = forwarded.map(|it| ("X-Forwarded-For", it));
        let answer = ask(&client, named, headers.as_slice()).await;
        assert_eq!(answer.status, status, "{forwarded:?}");
    }
    // A frontend that trusts nobody goes by its peer.
    let folder = tempfile::tempdir().unwrap();
    let dev = dev(folder.path())
        .env("MERIDIAN_FRONTEND__BLOBS__RULES", rules)
        .start();
    let client = dev.client();
    client
        .push_blob("team/app", blob.clone())
        .await
        .unwrap()
        .expect(201);
    let spoofed = [("X-Forwarded-For", "10.2.0.1")];
    ask(&client, named, &spoofed).await.expect(200);
}

/// A whole registry with a data endpoint.
fn dev(folder: &Path) -> DevBuilder {
    DevBuilder::new(folder.join("data")).env("MERIDIAN_BLOB__DATA__LISTEN", "[\"127.0.0.1:0\"]")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_needs_no_more_settings_than_where_to_listen() {
    let folder = tempfile::tempdir().unwrap();
    let redirect = "MERIDIAN_FRONTEND__BLOBS__DELIVERY";
    let registry = dev(folder.path()).env(redirect, "redirect").start();
    let data_url = registry.place("gives blobs");
    let client = registry.client();
    let blob = Content::new(seed(127)).bytes(2 * MIB);
    client
        .push_blob("team/app", blob.clone())
        .await
        .unwrap()
        .expect(201);
    let place = location(&ask(&client, digest(&blob), &[]).await);
    assert!(place.starts_with(&data_url), "{place}");
    assert!(get(&place, &[], folder.path()).await.expect(200).body == blob);
    assert!(registry.stop().success());

    // Without the setting, all is as it was; a link of the same key still opens.
    let registry = dev(folder.path()).start();
    let streamed = ask(&registry.client(), digest(&blob), &[]).await;
    assert!(streamed.expect(200).body == blob);
    let (_, link) = place.split_once("/blobs/").unwrap();
    let place = format!("{}/blobs/{link}", registry.place("gives blobs"));
    assert!(get(&place, &[], folder.path()).await.expect(200).body == blob);
}
