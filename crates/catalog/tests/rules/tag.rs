//! Tags: pointing, deleting, conditions, and the sweep of very many.

use meridian_catalog::{Command, Condition, Refusal, Reply, query};
use meridian_event::Event;

use crate::stage::{Manifested, SETTINGS, Stage, delete_tag, image, repository};

fn many(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("t{number:05}")).collect()
}

fn sweep(stage: &mut Stage) -> u64 {
    match stage.say(Command::Sweep) {
        Reply::Collected { objects, .. } => objects,
        Reply::Nothing => 0,
        other => panic!("a sweep was answered {other:?}"),
    }
}

#[test]
fn a_tag_follows_the_last_put() {
    let mut stage = Stage::new(SETTINGS);
    let (one, two) = (
        image(&[stage.upload("a", 1)]),
        image(&[stage.upload("a", 2)]),
    );
    let (first, second) = (one.digest, two.digest);
    stage.put(one.clone().tagged(&["v", "w"]));
    stage.put(two.tagged(&["v"]));
    assert_eq!(stage.resolve("a", "v"), Some(second));
    assert_eq!(stage.resolve("a", "w"), Some(first));
    assert_eq!(stage.usage().tags, 2);
    stage.put(one.tagged(&["v"]));
    assert_eq!(stage.resolve("a", "v"), Some(first));
    assert_eq!(stage.delete("a", second), done(&stage));
    assert_eq!(stage.tags("a"), ["v", "w"]);
}

fn done(stage: &Stage) -> Reply {
    let system = query::system(&stage.store).unwrap().unwrap();
    Reply::Done {
        version: system.last,
    }
}

#[test]
fn a_tag_that_is_put_twice_at_once_is_one_tag() {
    let mut stage = Stage::new(SETTINGS);
    let digest = stage.push(image(&[]).tagged(&["v", "v"])).digest;
    assert_eq!(stage.resolve("a", "v"), Some(digest));
    assert_eq!(stage.usage().tags, 1);
}

#[test]
fn a_deleted_tag_leaves_its_manifest() {
    let mut stage = Stage::new(SETTINGS);
    let digest = stage.push(image(&[]).tagged(&["v"])).digest;
    assert_eq!(stage.untag("a", "v"), done(&stage));
    assert_eq!(stage.resolve("a", "v"), None);
    assert!(stage.has_manifest("a", digest));
    let deleted = stage.events().pop().unwrap().event;
    assert_eq!(
        deleted,
        Event::TagDeleted {
            repository: repository("a"),
            tag: "v".parse().unwrap(),
            digest,
        }
    );
    let again = stage.untag("a", "v");
    assert_eq!(again, Reply::Refused(Refusal::ManifestUnknown));
    let elsewhere = stage.untag("b", "v");
    assert_eq!(elsewhere, Reply::Refused(Refusal::RepositoryUnknown));
}

#[test]
fn a_condition_on_a_tag_decides() {
    let mut stage = Stage::new(SETTINGS);
    let (one, two) = (
        image(&[stage.upload("a", 1)]),
        image(&[stage.upload("a", 2)]),
    );
    let failed = |current| Reply::Refused(Refusal::ConditionFailed(current));
    let points_at_one = Condition::PointsAt(one.digest);

    let early = stage.put(two.clone().tagged(&["v"]).given(points_at_one));
    assert_eq!(early, failed(None));
    let first = stage.put(one.clone().tagged(&["v"]).given(Condition::Absent));
    assert_eq!(first, done(&stage));
    let late = stage.put(two.clone().tagged(&["v"]).given(Condition::Absent));
    assert_eq!(late, failed(Some(one.digest)));
    assert!(!stage.has_manifest("a", two.digest));
    let swap = stage.put(two.clone().tagged(&["v"]).given(points_at_one));
    assert_eq!(swap, done(&stage));
    let stale = stage.say(delete_tag("a", "v", Some(points_at_one)));
    assert_eq!(stale, failed(Some(two.digest)));
    let points_at_two = Some(Condition::PointsAt(two.digest));
    assert_eq!(stage.say(delete_tag("a", "v", points_at_two)), done(&stage));
    assert_eq!(stage.say(delete_tag("a", "v", points_at_two)), failed(None));
}

#[test]
fn a_condition_holds_for_each_tag_or_nothing_is_put() {
    let mut stage = Stage::new(SETTINGS);
    let one = stage.push(image(&[]).tagged(&["old"]));
    let two = image(&[stage.upload("a", 2)]);
    let reply = stage.put(two.tagged(&["new", "old"]).given(Condition::Absent));
    assert_eq!(
        reply,
        Reply::Refused(Refusal::ConditionFailed(Some(one.digest)))
    );
    assert_eq!(stage.tags("a"), ["old"]);
}

#[test]
fn the_tags_of_a_deleted_manifest_are_gone_at_once_and_swept_later() {
    let mut stage = Stage::new(SETTINGS);
    let (one, two) = (
        image(&[stage.upload("a", 1)]),
        image(&[stage.upload("a", 2)]),
    );
    let names = many(2_300);
    let tags: Vec<_> = names.iter().map(String::as_str).collect();
    stage.put(two.tagged(&["kept"]));
    stage.put(one.clone().tagged(&tags));
    assert_eq!(stage.usage().tags, 2_301);
    assert_eq!(stage.delete("a", one.digest), done(&stage));

    assert_eq!(stage.tags("a"), ["kept"]);
    assert_eq!(stage.resolve("a", "t02299"), None);
    let last = stage.untag("a", "t02299");
    assert_eq!(last, Reply::Refused(Refusal::ManifestUnknown));
    assert!(query::has_sweeps(&stage.store).unwrap());
    assert_eq!(sweep(&mut stage), 1_000);
    assert_eq!(sweep(&mut stage), 300);
    assert_eq!(sweep(&mut stage), 0);
    assert!(!query::has_sweeps(&stage.store).unwrap());
    assert_eq!(stage.usage().tags, 1);
}

#[test]
fn a_manifest_that_is_put_again_during_a_sweep_shows_its_new_tags_only() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]);
    let names = many(2_300);
    let tags: Vec<_> = names.iter().map(String::as_str).collect();
    stage.put(one.clone().tagged(&tags));
    stage.delete("a", one.digest);
    stage.put(one.clone().tagged(&["t00007", "t02000", "z"]));
    let shown = ["t00007", "t02000", "z"];
    assert_eq!(stage.tags("a"), shown);
    assert_eq!(stage.resolve("a", "t02299"), None);
    let hidden = stage.untag("a", "t02299");
    assert_eq!(hidden, Reply::Refused(Refusal::ManifestUnknown));
    let free = one.clone().tagged(&["t02298"]).given(Condition::Absent);
    assert!(matches!(stage.put(free), Reply::Done { .. }));
    assert_eq!(stage.resolve("a", "t02298"), Some(one.digest));
    stage.untag("a", "t02298");
    while sweep(&mut stage) > 0 {
        assert_eq!(stage.tags("a"), shown);
    }
    assert_eq!(stage.usage().tags, 3);
    assert_eq!(stage.resolve("a", "t02000"), Some(one.digest));
}

#[test]
fn a_sweep_passes_over_what_is_shown_again() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]);
    let names = many(3_500);
    let tags: Vec<_> = names.iter().map(String::as_str).collect();
    stage.put(one.clone().tagged(&tags));
    stage.delete("a", one.digest);
    stage.put(one.tagged(&tags[1_000..3_400]));
    let hidden: Vec<_> = (0..3).map(|_| sweep(&mut stage)).collect();
    assert_eq!(hidden, [0, 0, 100]);
    assert!(!query::has_sweeps(&stage.store).unwrap());
    assert_eq!(stage.usage().tags, 2_400);
}

#[test]
fn a_second_deletion_begins_the_sweep_anew() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[stage.upload("a", 1)]);
    let names = many(2_300);
    let tags: Vec<_> = names.iter().map(String::as_str).collect();
    stage.put(one.clone().tagged(&tags));
    stage.delete("a", one.digest);
    sweep(&mut stage);
    // These stand before the place where the sweep would have gone on.
    stage.put(one.clone().tagged(&tags[..1_200]));
    stage.delete("a", one.digest);
    assert!(stage.tags("a").is_empty());
    while query::has_sweeps(&stage.store).unwrap() {
        sweep(&mut stage);
    }
    assert_eq!(stage.usage().tags, 0);
}

#[test]
fn a_repository_lives_until_its_last_tag_is_swept() {
    let mut stage = Stage::new(SETTINGS);
    let one = image(&[]);
    let names = many(1_500);
    let tags: Vec<_> = names.iter().map(String::as_str).collect();
    stage.put(one.clone().tagged(&tags));
    stage.delete("a", one.digest);
    let exists =
        |stage: &Stage| query::is_repository(&stage.store, stage.id(), &repository("a")).unwrap();
    assert!(exists(&stage));
    sweep(&mut stage);
    assert!(!exists(&stage));
    assert_eq!(stage.usage(), meridian_catalog::Usage::default());
}

#[test]
fn tags_are_listed_a_page_at_a_time_in_byte_order() {
    let mut stage = Stage::new(SETTINGS);
    stage.push(image(&[]).tagged(&["b", "1.10", "A", "1.9", "_"]));
    assert_eq!(stage.tags("a"), ["1.10", "1.9", "A", "_", "b"]);
    let page = |after: Option<&str>, limit| {
        let after = after.map(|name| name.parse().unwrap());
        let name = repository("a");
        let page = query::tags(&stage.store, stage.id(), &name, after.as_ref(), limit).unwrap();
        let items: Vec<_> = page.items.iter().map(ToString::to_string).collect();
        (items.join(" "), page.more)
    };
    assert_eq!(page(None, 2), ("1.10 1.9".into(), true));
    assert_eq!(page(Some("1.9"), 3), ("A _ b".into(), false));
    assert_eq!(page(Some("1.5"), 1), ("1.9".into(), true));
    assert_eq!(page(Some("b"), 1), (String::new(), false));
    assert_eq!(page(None, 0), (String::new(), true));
}
