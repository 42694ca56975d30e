//! Events: dense, acknowledged in order, past the powers of two.

use meridian_catalog::{Command, Reply, query};
use meridian_event::{SHARDS, shard_of};

use crate::stage::{Manifested, SETTINGS, Stage, image, repository};

fn acknowledge(stage: &mut Stage, epoch: u64, through: &[(u16, u64)]) -> u64 {
    let through = through.to_vec();
    match stage.say(Command::Acknowledge { epoch, through }) {
        Reply::Collected { objects, .. } => objects,
        Reply::Nothing => 0,
        other => panic!("an acknowledgement was answered {other:?}"),
    }
}

fn shard(stage: &Stage, name: &str) -> u16 {
    shard_of(stage.id(), Some(&repository(name)))
}

fn seqs(stage: &Stage, shard: u16) -> Vec<u64> {
    let rows = query::outbox(&stage.store, shard, 0, 100).unwrap();
    rows.iter().map(|row| row.envelope.id.seq).collect()
}

#[test]
fn each_mutation_is_one_event_in_the_order_of_its_shard() {
    let mut stage = Stage::new(SETTINGS);
    stage.upload("a", 1);
    stage.upload("a", 2);
    stage.touch("a", crate::stage::blob(1).digest);
    stage.put(image(&[]).tagged(&["v"]));
    stage.untag("a", "v");
    stage.delete("a", image(&[]).digest);
    let shard = shard(&stage, "a");
    assert_eq!(seqs(&stage, shard), [1, 2, 3, 4, 5]);
    let stream = query::streams(&stage.store).unwrap()[usize::from(shard)];
    assert_eq!((stream.next, stream.acknowledged), (6, 0));
    let rows = query::outbox(&stage.store, shard, 4, 1).unwrap();
    assert_eq!(rows[0].envelope.id.to_string(), format!("eu.1.{shard}.4"));
}

#[test]
fn an_event_waits_with_the_trace_of_its_request() {
    let mut stage = Stage::new(SETTINGS);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (number, trace) in [(1, None), (2, Some(trace.parse().unwrap()))] {
        let entry = meridian_catalog::Entry {
            millis: stage.now,
            request: Some(meridian_catalog::RequestId([number; 16])),
            trace,
            command: crate::stage::put_blob(
                "a",
                crate::stage::blob(number.into()),
                meridian_catalog::BlobPlace::Stored(crate::stage::object(number.into())),
            ),
        };
        stage.apply(&entry);
        // Said again, by another leader and amid another trace, it changes nothing.
        stage.apply(&meridian_catalog::Entry {
            trace: Some(
                "00-00000000000000000000000000000001-b7ad6b7169203331-01"
                    .parse()
                    .unwrap(),
            ),
            ..entry
        });
    }
    let shard = shard(&stage, "a");
    let rows = query::outbox(&stage.store, shard, 0, 100).unwrap();
    let traces: Vec<_> = rows
        .iter()
        .map(|row| row.trace.map(|trace| trace.to_string()))
        .collect();
    assert_eq!(traces, [None, Some(trace.to_owned())]);
}

#[test]
fn what_waits_is_measured_as_far_as_that_is_asked() {
    let mut stage = Stage::new(SETTINGS);
    let first = stage.upload("a", 1);
    assert!(first.size > 0);
    let began = stage.now;
    stage.now += 5_000;
    stage.upload("a", 2);
    let shard = shard(&stage, "a");
    let one = query::backlog(&stage.store, shard, 1).unwrap();
    let both = query::backlog(&stage.store, shard, 100).unwrap();
    assert_eq!((one.rows, both.rows), (1, 2));
    assert!(one.bytes > 0 && both.bytes > one.bytes);
    assert_eq!(both.oldest_millis, Some(began));
    acknowledge(&mut stage, 1, &[(shard, 1)]);
    let rest = query::backlog(&stage.store, shard, 100).unwrap();
    assert_eq!(rest.bytes, both.bytes - one.bytes);
    assert_eq!(rest.oldest_millis, Some(began + 5_000));
}

#[test]
fn what_is_acknowledged_leaves_the_outbox() {
    let mut stage = Stage::new(SETTINGS);
    for number in 1..=5 {
        stage.upload("a", number);
    }
    let shard = shard(&stage, "a");
    assert_eq!(acknowledge(&mut stage, 1, &[(shard, 2)]), 2);
    assert_eq!(seqs(&stage, shard), [3, 4, 5]);
    assert_eq!(acknowledge(&mut stage, 1, &[(shard, 2), (shard, 1)]), 0);
    assert_eq!(acknowledge(&mut stage, 1, &[(shard, 5), (shard, 5)]), 3);
    stage.upload("a", 6);
    assert_eq!(seqs(&stage, shard), [6]);
}

#[test]
fn an_acknowledgement_of_other_events_is_ignored() {
    let mut stage = Stage::new(SETTINGS);
    stage.upload("a", 1);
    let shard = shard(&stage, "a");
    assert_eq!(
        acknowledge(&mut stage, 0, &[(shard, 1)]),
        0,
        "of an older epoch"
    );
    assert_eq!(
        acknowledge(&mut stage, 2, &[(shard, 1)]),
        0,
        "of a newer one"
    );
    assert_eq!(
        acknowledge(&mut stage, 1, &[(shard, 2)]),
        0,
        "from the future"
    );
    assert_eq!(acknowledge(&mut stage, 1, &[(SHARDS, 1)]), 0, "of no shard");
    assert_eq!(acknowledge(&mut stage, 1, &[]), 0);
    assert_eq!(seqs(&stage, shard), [1]);
}

#[test]
fn a_long_outbox_leaves_in_several_entries() {
    let mut stage = Stage::new(SETTINGS);
    for _ in 0..5_000 {
        let entry = meridian_catalog::Entry {
            millis: stage.now,
            request: None,
            trace: None,
            command: Command::PutManifest(Box::new(image(&[]))),
        };
        meridian_catalog::apply(&mut stage.store, &entry).unwrap();
    }
    let shard = shard(&stage, "a");
    assert_eq!(acknowledge(&mut stage, 1, &[(shard, 5_000)]), 4_096);
    assert_eq!(seqs(&stage, shard).first(), Some(&4_097));
    assert_eq!(acknowledge(&mut stage, 1, &[(shard, 5_000)]), 904);
}

#[test]
fn counters_pass_the_powers_of_two() {
    for near in [1_u64 << 31, 1 << 32, 1 << 63] {
        let mut stage = Stage::at_counters(SETTINGS, near - 2, near - 2);
        for number in 1..=5 {
            let first = match stage.say(Command::ReserveGenerations { count: 1 }) {
                Reply::Reserved { first, .. } => first,
                other => panic!("a reservation was answered {other:?}"),
            };
            assert_eq!(first, near - 3 + number);
            let place = meridian_catalog::BlobPlace::Stored(crate::stage::object(first));
            stage.done(crate::stage::put_blob(
                "a",
                crate::stage::blob(number),
                place,
            ));
        }
        let shard = shard(&stage, "a");
        let expected: Vec<_> = (near - 2..near + 3).collect();
        assert_eq!(seqs(&stage, shard), expected);
        assert_eq!(acknowledge(&mut stage, 1, &[(shard, near)]), 3);
        assert_eq!(seqs(&stage, shard), [near + 1, near + 2]);
        stage.now += 1_000;
        let all: Vec<_> = (1..=5).map(crate::stage::blob).collect();
        assert_eq!((stage.condemn(&all), stage.remove(&all)), (5, 5));
        let doomed: Vec<_> = stage
            .doomed()
            .iter()
            .map(|object| object.generation)
            .collect();
        assert_eq!(doomed, expected);
    }
}
