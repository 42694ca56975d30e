//! How often each command touches the map. Pinned from above, with a little room: a change that
//! needs more is seen here before it is seen as load.

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::Bound;

use meridian_catalog::{
    BlobPlace, Collect, Command, Entry, MemoryStore, NewManifest, Read, Refusal, Reply, RequestId,
    Visit, Write, apply,
};

use crate::peer::{Peer, merge};
use crate::stage::{
    Manifested, SETTINGS, Stage, blob, delete_manifest, delete_tag, image, index, object, put_blob,
    registry, repository, tag, writable,
};
use meridian_event::Target;

/// A map that counts.
struct Counting {
    store: MemoryStore,
    reads: Cell<usize>,
    writes: usize,
}

impl Read for Counting {
    type Error = Infallible;

    fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Infallible> {
        self.reads.update(|reads| reads + 1);
        self.store.get(key, look)
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: Visit<'_>,
    ) -> Result<(), Infallible> {
        self.reads.update(|reads| reads + 1);
        self.store.scan(range, visit)
    }
}

impl Write for Counting {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Infallible> {
        self.writes += 1;
        self.store.put(key, value)
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), Infallible> {
        self.writes += 1;
        self.store.remove(key)
    }
}

/// What a command is answered under a request id, and the reads and writes that it takes. Nothing comes of it.
fn weigh(stage: &Stage, command: Command) -> (Reply, usize, usize) {
    let mut counting = Counting {
        store: stage.store.clone(),
        reads: Cell::new(0),
        writes: 0,
    };
    let entry = Entry {
        millis: stage.now,
        request: Some(RequestId([255; 16])),
        trace: None,
        command,
    };
    let reply = apply(&mut counting, &entry).unwrap();
    (reply, counting.reads.get(), counting.writes)
}

/// Reads and writes of a command that takes effect.
fn cost(stage: &mut Stage, command: Command) -> (usize, usize) {
    let (reply, reads, writes) = weigh(stage, command.clone());
    assert!(!matches!(reply, Reply::Refused(_) | Reply::Nothing));
    stage.say(command);
    (reads, writes)
}

#[test]
fn a_command_costs_a_few_dozen_operations_at_most() {
    let mut stage = Stage::new(SETTINGS);
    for number in 1..=4 {
        stage.upload("a", number);
    }
    let leaves = [1, 2, 3, 4].map(blob);
    let image = image(&leaves);
    let top = index(&[image.leaf()]);
    let upload = |number| put_blob("a", blob(number), BlobPlace::Stored(object(number)));
    let put = |new| Command::PutManifest(Box::new(new));
    let id = stage.id();
    let candidate = vec![(id, blob(9).digest)];

    let mut too_much = Vec::new();
    let mut pin = |name: &str, (reads, writes): (usize, usize), most: (usize, usize)| {
        if reads > most.0 || writes > most.1 {
            too_much.push(format!(
                "{name}: {reads} reads, {writes} writes, not {most:?}"
            ));
        }
    };
    pin("put blob", cost(&mut stage, upload(5)), (14, 16));
    pin("put blob again", cost(&mut stage, upload(5)), (10, 9));
    let touch = Command::TouchBlob {
        registry: registry(),
        repository: repository("a"),
        digest: blob(5).digest,
    };
    pin("touch blob", cost(&mut stage, touch), (8, 6));
    let mount = Command::MountBlob {
        registry: registry(),
        repository: repository("b"),
        from: Some(repository("a")),
        digest: blob(5).digest,
    };
    pin("mount blob", cost(&mut stage, mount), (12, 12));
    let tagged = image.clone().tagged(&["v"]);
    pin(
        "put image of 4",
        cost(&mut stage, put(tagged.clone())),
        (31, 25),
    );
    pin(
        "put image of 4 again",
        cost(&mut stage, put(tagged)),
        (28, 15),
    );
    pin(
        "put index of 1",
        cost(&mut stage, put(top.clone())),
        (16, 14),
    );
    let delete = delete_manifest("a", top.digest, None);
    pin("delete index of 1", cost(&mut stage, delete), (17, 12));
    pin(
        "delete tag",
        cost(&mut stage, delete_tag("a", "v", None)),
        (11, 12),
    );
    let delete = delete_manifest("a", image.digest, None);
    pin("delete image of 4", cost(&mut stage, delete), (32, 28));
    let reserve = Command::ReserveGenerations { count: 1 << 20 };
    pin("reserve", cost(&mut stage, reserve), (4, 3));
    stage.upload("a", 9);
    stage.now += 1_000;
    let condemn = Command::Collect(Collect::Condemn(candidate.clone()));
    pin("condemn", cost(&mut stage, condemn), (8, 6));
    let remove = Command::Collect(Collect::Remove(candidate));
    pin("remove", cost(&mut stage, remove), (14, 14));
    let deleted = Command::Collect(Collect::Deleted(vec![object(9)]));
    pin("deleted", cost(&mut stage, deleted), (5, 4));
    let doom = Command::Collect(Collect::Doom(vec![(id, object(99))]));
    pin("doom", cost(&mut stage, doom), (8, 5));
    assert!(too_much.is_empty(), "{too_much:#?}");
}

#[test]
fn so_does_what_comes_from_other_regions() {
    let mut stage = Stage::new(SETTINGS);
    let leaves = [1, 2, 3, 4].map(blob);
    let image = image(&leaves);
    let top = index(&[image.leaf()]);
    let mut peer = Peer::of(&stage, "us");
    let tagged = image.clone().tagged(&["v"]);

    let mut too_much = Vec::new();
    let mut pin = |name: &str, (reads, writes): (usize, usize), most: (usize, usize)| {
        if reads > most.0 || writes > most.1 {
            too_much.push(format!(
                "{name}: {reads} reads, {writes} writes, not {most:?}"
            ));
        }
    };
    let put = merge(peer.puts(&tagged));
    pin("merge a put", cost(&mut stage, put), (22, 15));
    pin(
        "store a manifest",
        cost(&mut stage, peer.bytes(&image)),
        (16, 18),
    );
    for leaf in &leaves[..3] {
        stage.done(peer.blob(*leaf));
    }
    let last = peer.blob(leaves[3]);
    pin("store the last blob", cost(&mut stage, last), (42, 28));
    let put = merge(peer.puts(&tagged));
    // It raises the blobs, which came for the put before.
    pin("merge a put again", cost(&mut stage, put), (20, 14));
    stage.say(merge(peer.puts(&top)));
    pin(
        "store an index",
        cost(&mut stage, peer.bytes(&top)),
        (15, 14),
    );
    let untag = merge(peer.untags("a", "v", image.digest));
    pin("merge the end of a tag", cost(&mut stage, untag), (14, 11));
    let delete = merge(peer.deletes("a", top.digest));
    pin("merge a deletion", cost(&mut stage, delete), (19, 12));
    assert!(too_much.is_empty(), "{too_much:#?}");
}

#[test]
fn an_entry_sweeps_as_much_of_a_repository_as_hangs_on_few_rows() {
    let mut stage = Stage::new(SETTINGS);
    for fat in 0..100 {
        let blobs: Vec<_> = (fat * 50..fat * 50 + 50).map(blob).collect();
        for blob in &blobs {
            stage.quietly(put_blob("a", *blob, BlobPlace::Inline(Vec::new())));
        }
        stage.quietly(Command::PutManifest(Box::new(image(&blobs))));
    }
    let delete = Command::DeleteRepository {
        registry: registry(),
        repository: repository("a"),
    };
    for command in [delete, Command::Sweep] {
        let (reads, writes) = cost(&mut stage, command);
        assert!(
            reads < 8_000 && writes < 8_000,
            "{reads} reads, {writes} writes"
        );
    }
}

#[test]
fn what_was_unlocked_again_costs_nothing_when_its_repository_is_to_go() {
    let mut stage = Stage::new(SETTINGS);
    for number in 0..100 {
        let name = format!("v{number}");
        stage.push(image(&[]).tagged(&[&name]));
        let target = Target::Tag(tag(&name));
        stage.lock("a", &target);
        if number > 0 {
            stage.set("a", &target, writable(true));
        }
    }
    let delete = Command::DeleteRepository {
        registry: registry(),
        repository: repository("a"),
    };
    let (reply, reads, _) = weigh(&stage, delete);
    assert_eq!(reply, Reply::Refused(Refusal::Locked));
    assert!(reads < 20, "{reads} reads");
}

#[test]
fn a_deletion_looks_at_no_more_children_than_one_manifest_has() {
    let mut stage = Stage::new(SETTINGS);
    let mut us = Peer::of(&stage, "us");
    let children = |from: u64, count: u64| (from..from + count).map(blob).collect::<Vec<_>>();
    let low = index(&children(20_000, 2));
    let wide = index(&children(0, 10_000));
    let deep = index(&[children(0, 9_999), vec![low.leaf()]].concat());
    for top in [&wide, &deep] {
        stage.quietly(merge(us.puts(top)));
    }
    for some in [&wide, &deep, &low] {
        stage.quietly(us.bytes(some));
    }
    // Where nobody had heard of the lock: it would go with the index that keeps it, and what it keeps.
    us.now += 1_000;
    stage.quietly(merge(us.deletes("a", low.digest)));
    stage.quietly(Command::PutManifest(Box::new(image(&[]).tagged(&["v"]))));
    let lock = |is_enabled| Command::SetAttributes {
        registry: registry(),
        repository: repository("a"),
        target: Target::Tag(tag("v")),
        attributes: writable(is_enabled),
    };
    stage.now += 2_000;
    stage.quietly(lock(false));
    let delete = |of: &NewManifest| delete_manifest("a", of.digest, None);
    let (reply, ..) = weigh(&stage, delete(&wide));
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    let (reply, reads, _) = weigh(&stage, delete(&deep));
    assert_eq!(reply, Reply::Refused(Refusal::Locked));
    assert!(reads < 60_000, "{reads} reads");
    stage.quietly(lock(true));
    let (reply, ..) = weigh(&stage, delete(&deep));
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
}

#[test]
fn a_deletion_looks_at_the_tags_of_its_manifest_or_at_what_is_locked_whichever_is_less() {
    let mut stage = Stage::new(SETTINGS);
    let names = |of: &str, count: u32| (0..count).map(|n| format!("{of}{n}")).collect::<Vec<_>>();
    let tagged = |stage: &mut Stage, image: &NewManifest, names: &[String]| {
        for some in names.chunks(100) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            let put = image.clone().tagged(&some);
            stage.quietly(Command::PutManifest(Box::new(put)));
        }
    };
    let (wide, other) = (image(&[]), index(&[]));
    tagged(&mut stage, &wide, &names("w", 10_001));
    tagged(&mut stage, &other, &names("o", 10_001));
    let lock = |name: &str, is_enabled| Command::SetAttributes {
        registry: registry(),
        repository: repository("a"),
        target: Target::Tag(tag(name)),
        attributes: writable(is_enabled),
    };
    let delete = || delete_manifest("a", wide.digest, None);
    stage.quietly(lock("o0", false));
    let (reply, reads, _) = weigh(&stage, delete());
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    assert!(reads < 3_000, "{reads} reads");
    stage.quietly(lock("w5", false));
    let (reply, reads, _) = weigh(&stage, delete());
    assert_eq!(reply, Reply::Refused(Refusal::Locked));
    assert!(reads < 100, "{reads} reads");
    // What is too much to be looked at may be among what is locked.
    stage.quietly(lock("w5", true));
    for name in names("o", 10_001) {
        stage.quietly(lock(&name, false));
    }
    for command in [
        delete(),
        Command::DeleteRepository {
            registry: registry(),
            repository: repository("a"),
        },
    ] {
        let (reply, reads, _) = weigh(&stage, command);
        assert_eq!(reply, Reply::Refused(Refusal::Locked));
        assert!(reads < 50_000, "{reads} reads");
    }
    stage.quietly(lock("o7", true));
    let (reply, ..) = weigh(&stage, delete());
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
}
