//! What clients do not get: links open what they were made for, for a while, as long as it is there.

use std::time::Duration;

use harness::{Content, seed};
use meridian_clients::RepositoryPath;
use meridian_clients::link::Links;

use super::{DataRegion, KEY, MIB, keys, refused};
use crate::https::get;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_link_that_was_given_opens_and_only_for_a_while() {
    let region = DataRegion::redirecting().await;
    let certificate = region.certificate();
    let mut content = Content::new(seed(122));
    let (blob, other) = (content.bytes(2 * MIB), content.bytes(2 * MIB));
    let (named, another) = (region.push(&blob).await, region.push(&other).await);
    let place = region.sent(named, &[]).await;
    let expires = place.split("expires=").nth(1).unwrap();
    let expires = expires.split('&').next().unwrap();
    let later = (expires.parse::<u64>().unwrap() + 1).to_string();
    for (from, to) in [
        (&*named.to_string(), &*another.to_string()),
        ("/team/app/", "/team/apps/"),
        ("/default/", "/other/"),
        (expires, &later),
        ("signature=", "signature=A"),
    ] {
        let changed = place.replace(from, to);
        assert_ne!(changed, place);
        let answer = get(&changed, &[], &certificate).await;
        refused(&answer, 403, &["DENIED", "changed", "ask the registry"]);
    }
    get(&place, &[], &certificate).await.expect(200);

    // Links that were made at another time, in another region, or with another key.
    let repository = RepositoryPath {
        registry: "default".parse().unwrap(),
        name: "team/app".parse().unwrap(),
    };
    let make = |region_name: &str, names: &[&str], seconds_ago: u64| {
        let links = Links::new(region_name.parse().unwrap(), keys(names).parse().unwrap());
        let lifetime = Duration::from_secs(240);
        let made = (expires.parse::<u64>().unwrap() - 240 - seconds_ago) * 1000;
        let link = links.make(&repository, &named, made, lifetime);
        format!("{}{link}", region.data_url())
    };
    let ask = async |url: String| get(&url, &[], &certificate).await;
    let here = "local".to_owned();
    ask(make(&here, &[KEY], 0)).await.expect(200);
    let expired = ask(make(&here, &[KEY], 300)).await;
    refused(
        &expired,
        403,
        &["DENIED", "has expired", "ask the registry"],
    );
    for (region_name, key) in [("elsewhere", KEY), (&*here, "another")] {
        let foreign = ask(make(region_name, &[key], 0)).await;
        refused(&foreign, 403, &["DENIED", "changed"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_after_its_client_was_sent_is_absent() {
    let region = DataRegion::redirecting().await;
    let certificate = region.certificate();
    let mut content = Content::new(seed(123));
    let (blob, kept) = (content.bytes(2 * MIB), content.bytes(2 * MIB));
    let (named, lost) = (region.push(&blob).await, region.push(&kept).await);
    let place = region.sent(named, &[]).await;
    let path = format!("/v2/team/app/blobs/{named}");
    region.client().delete(&path).await.unwrap().expect(202);
    let gone = get(&place, &[], &certificate).await;
    refused(&gone, 404, &["BLOB_UNKNOWN"]);
    // And what the store lost is an outage.
    let place = region.sent(lost, &[]).await;
    region.bucket.lose();
    let lost = get(&place, &[], &certificate).await;
    assert_eq!(lost.header("retry-after"), Some("1"));
    refused(&lost, 503, &["UNAVAILABLE"]);
}
