//! An end of the dispatcher at each of its crash points: nothing that was pushed goes untold.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use harness::{Content, DevBuilder, Manner, Receiver, SeenRequest, eventually, seed, webhook};

/// Crash points, and at which hit the process ends.
const POINTS: &[(&str, u64)] = &[
    ("wh.attempt.before", 1),
    ("wh.attempt.before", 7),
    ("wh.attempt.after", 1),
    ("wh.attempt.after", 7),
    ("wh.record.before", 1),
    ("wh.record.before", 3),
    ("wh.record.after", 1),
    ("wh.record.after", 3),
];
const SOON: Duration = Duration::from_secs(60);
/// Pushes before the end, at most, and after it.
const PUSHES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills processes for minutes: cargo xtask crash"]
async fn every_push_is_told_whatever_the_dispatcher_was_about_when_it_ended() {
    let seed = seed(5);
    for (number, (point, hit)) in POINTS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let seed = seed.wrapping_add(number as u64);
        let repeated = try_one(point, *hit, folder.path(), seed).await;
        eprintln!("{point}@{hit}: all are told, {repeated} of them more than once");
    }
}

/// How many messages the receiver took more than once.
async fn try_one(point: &str, hit: u64, folder: &Path, seed: u64) -> usize {
    let receiver = Receiver::start().await;
    let calm = DevBuilder::new(folder);
    let dev = calm.start();
    for path in ["/well", "/sick"] {
        let arguments = ["create", &format!("hook{}", &path[1..]), "--uri"];
        let uri = receiver.uri(path);
        let created = webhook(folder, &[&arguments[..], &[&uri]].concat());
        assert!(created.status.success(), "{created:?}");
    }
    // What failed is in the metadata, and comes again after the end.
    receiver.behave("/sick", Manner::Fails(2));
    dev.stop();

    let armed = calm
        .clone()
        .env("MERIDIAN_CRASH_POINT", format!("{point}@{hit}"));
    let mut dev = armed.start();
    let mut content = Content::new(seed);
    let mut promised = Vec::new();
    for number in 0..PUSHES {
        let image = content.image(&[500]);
        let tag = format!("before-{number}");
        match dev.client().push_image("team/app", &tag, &image).await {
            Ok(answer) if answer.status == 201 => promised.push(tag),
            _ => break,
        }
    }
    let ended = dev.wait(SOON);
    let said = dev.said();
    let reached = format!("crash point {point} reached");
    assert!(
        ended.is_some() && said.contains(&reached),
        "{point}@{hit}: {said}"
    );

    let dev = calm.start();
    for number in 0..PUSHES {
        let image = content.image(&[500]);
        let tag = format!("after-{number}");
        let pushed = dev.client().push_image("team/app", &tag, &image).await;
        pushed.unwrap().expect(201);
        promised.push(tag);
    }
    let mut repeated = 0;
    for path in ["/well", "/sick"] {
        let told = eventually("each push is told", SOON, || async {
            let told = by_tag(&receiver.taken(path));
            promised
                .iter()
                .all(|tag| told.contains_key(tag))
                .then_some(told)
        });
        for (tag, ids) in told.await {
            let one = ids.iter().all(|id| *id == ids[0]);
            assert!(one, "{point}@{hit}: {tag} was told as {ids:?}");
            repeated += usize::from(ids.len() > 1);
        }
    }
    assert_in_order(&receiver.taken("/well"), &promised);
    dev.stop();
    repeated
}

/// The ids under which each tag was told.
fn by_tag(requests: &[SeenRequest]) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in requests {
        let id = request.header("webhook-id").to_owned();
        told.entry(tag(request)).or_default().push(id);
    }
    told
}

fn tag(request: &SeenRequest) -> String {
    let body = request.json();
    body["target"]["tag"].as_str().unwrap().to_owned()
}

/// One that takes all at once hears of all in the order in which it happened.
fn assert_in_order(requests: &[SeenRequest], promised: &[String]) {
    let mut first = Vec::new();
    for tag in requests.iter().map(tag) {
        if promised.contains(&tag) && !first.contains(&tag) {
            first.push(tag);
        }
    }
    assert_eq!(first, promised);
}
