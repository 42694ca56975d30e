use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn at(millis: u64) -> Now {
    Now {
        elapsed: Duration::from_millis(millis),
        millis,
    }
}

fn stream(origin: &str, shard: u16) -> StreamId {
    StreamId {
        origin: region(origin),
        shard,
    }
}

const fn cursor(seq: u64) -> Cursor {
    Cursor { epoch: 1, seq }
}

fn known(peers: &[&str]) -> Freshness {
    let mut freshness = Freshness::new(FreshnessConfig::default());
    for peer in peers {
        freshness.add_peer(region(peer));
    }
    freshness
}

fn judge(freshness: &Freshness, now: u64, begun: u64, consistency: Consistency) -> Judgement {
    let peers: Vec<_> = freshness.peers.keys().copied().collect();
    let scope = Scope {
        peers: &peers,
        shard: Some(3),
    };
    let begun = Duration::from_millis(begun);
    freshness.judge(at(now), begun, &scope, consistency)
}

/// Asked at `now`, the peer names `seq` as the head of shard 3.
fn ask(freshness: &mut Freshness, now: u64, peer: &str, seq: u64) {
    freshness.hurry(at(now), region(peer));
    assert!(freshness.poll(at(now)).contains(&region(peer)));
    freshness.answered(region(peer), &[(3, cursor(seq))]);
}

#[test]
fn fresh_is_what_was_asked_after_and_then_reached() {
    let mut freshness = known(&["eu"]);
    ask(&mut freshness, 1_000, "eu", 7);
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(3)), None);
    freshness.learn_cursor(stream("eu", 3), cursor(6));
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(3)), None);
    freshness.learn_cursor(stream("eu", 3), cursor(7));
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(3)), Some(SECOND));
    // The moment of the question counts, not that of the answer or of the merge.
    assert_eq!(
        judge(&freshness, 3_000, 3_000, Consistency::Bounded(2 * SECOND)),
        Judgement::Fresh
    );
}

#[test]
fn a_bounded_read_asks_before_it_is_stale() {
    let mut freshness = known(&["eu"]);
    ask(&mut freshness, 1_000, "eu", 0);
    freshness.learn_cursor(stream("eu", 3), cursor(0));
    let bounded = Consistency::Bounded(2 * SECOND);
    let ask = Judgement::Ask {
        peers: vec![region("eu")],
        until: Duration::from_millis(3_501),
    };
    assert_eq!(judge(&freshness, 3_001, 3_001, bounded), ask);
    let stale = Judgement::Stale {
        region: region("eu"),
        age: Some(Duration::from_millis(2_501)),
    };
    assert_eq!(judge(&freshness, 3_501, 3_001, bounded), stale);
}

#[test]
fn a_strong_read_needs_an_answer_to_a_later_question_or_is_refused() {
    let mut freshness = known(&["eu"]);
    ask(&mut freshness, 1_000, "eu", 0);
    freshness.learn_cursor(stream("eu", 3), cursor(5));
    let is_ask = |it| matches!(it, Judgement::Ask { .. });
    assert!(is_ask(judge(&freshness, 1_001, 1_001, Consistency::Strong)));
    ask(&mut freshness, 1_002, "eu", 5);
    assert_eq!(
        judge(&freshness, 1_003, 1_001, Consistency::Strong),
        Judgement::Fresh
    );
    let refuse = Judgement::Refuse {
        region: region("eu"),
    };
    assert_eq!(judge(&freshness, 2_000, 1_500, Consistency::Strong), refuse);
}

#[test]
fn one_that_does_not_answer_is_not_waited_for_again_until_it_does() {
    let mut freshness = known(&["eu"]);
    ask(&mut freshness, 0, "eu", 0);
    freshness.learn_cursor(stream("eu", 3), cursor(0));
    assert_eq!(freshness.poll(at(10_000)), [region("eu")]);
    let bounded = Consistency::Bounded(2 * SECOND);
    let is_ask = |it| matches!(it, Judgement::Ask { .. });
    assert!(is_ask(judge(&freshness, 10_400, 10_400, bounded)));
    // Half a second later nobody waits for it.
    let stale = |age| Judgement::Stale {
        region: region("eu"),
        age: Some(Duration::from_millis(age)),
    };
    assert_eq!(judge(&freshness, 10_500, 10_500, bounded), stale(10_500));
    let eventual = Consistency::Eventual;
    assert_eq!(judge(&freshness, 10_500, 10_500, eventual), stale(10_500));
    freshness.poll(at(10_600));
    freshness.failed(region("eu"));
    assert_eq!(judge(&freshness, 10_700, 10_700, bounded), stale(10_700));
    // It is asked on, and the first answer brings it back.
    assert_eq!(freshness.poll(at(10_700)), [region("eu")]);
    freshness.answered(region("eu"), &[(3, cursor(0))]);
    assert_eq!(judge(&freshness, 10_800, 10_800, bounded), Judgement::Fresh);
    assert_eq!(
        judge(&freshness, 10_800, 10_800, eventual),
        Judgement::Fresh
    );
}

#[test]
fn what_is_behind_in_one_shard_is_fresh_in_another() {
    let mut freshness = known(&["eu"]);
    freshness.poll(at(1_000));
    freshness.answered(region("eu"), &[(3, cursor(9)), (4, cursor(2))]);
    freshness.learn_cursor(stream("eu", 4), cursor(2));
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(4)), Some(SECOND));
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(3)), None);
    assert_eq!(freshness.fresh_as_of(region("eu"), None), None);
    freshness.learn_cursor(stream("eu", 3), cursor(9));
    assert_eq!(freshness.fresh_as_of(region("eu"), None), Some(SECOND));
}

#[test]
fn a_head_of_a_newer_epoch_is_not_reached_by_the_older_one() {
    let mut freshness = known(&["eu"]);
    freshness.poll(at(1_000));
    freshness.answered(region("eu"), &[(3, Cursor { epoch: 2, seq: 1 })]);
    freshness.learn_cursor(stream("eu", 3), cursor(1_000));
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(3)), None);
}

#[test]
fn answers_that_are_not_reached_are_few_and_the_oldest_is_kept() {
    let mut freshness = known(&["eu"]);
    for n in 1..1_000 {
        ask(&mut freshness, 1_000 * n, "eu", n);
    }
    let kept = FreshnessConfig::default().answers;
    assert_eq!(freshness.peers[&region("eu")].answers.len(), kept);
    freshness.learn_cursor(stream("eu", 3), cursor(1));
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(3)), Some(SECOND));
    freshness.learn_cursor(stream("eu", 3), cursor(999));
    let last = Some(999 * SECOND);
    assert_eq!(freshness.fresh_as_of(region("eu"), Some(3)), last);
}

#[test]
fn a_region_that_has_nothing_to_do_with_it_is_not_asked() {
    let mut freshness = known(&["eu", "asia"]);
    ask(&mut freshness, 1_000, "eu", 0);
    freshness.learn_cursor(stream("eu", 3), cursor(0));
    let scope = Scope {
        peers: &[region("eu")],
        shard: Some(3),
    };
    let bounded = Consistency::Bounded(SECOND);
    let judged = freshness.judge(at(1_500), Duration::from_millis(1_500), &scope, bounded);
    assert_eq!(judged, Judgement::Fresh);
}
