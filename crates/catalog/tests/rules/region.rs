//! The region: begun once, versions that rise, generations, registries.

use meridian_catalog::{Command, Entry, MemoryStore, Refusal, Reply, Settings, apply, query};
use meridian_event::{Event, SHARDS};

use crate::stage::{DAWN, GIVEN, SETTINGS, Stage, image, region, registry, set_counters};

fn initialize(name: &str) -> Command {
    Command::Initialize {
        region: name.parse().unwrap(),
        epoch: 3,
        settings: SETTINGS,
    }
}

fn entry(command: Command) -> Entry {
    Entry {
        millis: DAWN,
        request: None,
        trace: None,
        command,
    }
}

#[test]
fn nothing_happens_before_there_is_a_region() {
    let mut store = MemoryStore::default();
    let create = Command::CreateRegistry { name: registry() };
    for command in [create, Command::Sweep, Command::Configure(SETTINGS)] {
        let reply = apply(&mut store, &entry(command)).unwrap();
        assert_eq!(reply, Reply::Refused(Refusal::NotInitialized));
    }
    assert_eq!(store, MemoryStore::default());
    assert_eq!(query::system(&store).unwrap(), None);
}

#[test]
fn a_region_begins_once() {
    let mut store = MemoryStore::default();
    let first = apply(&mut store, &entry(initialize("eu"))).unwrap();
    assert!(matches!(first, Reply::Done { version } if version.millis == DAWN));
    let begun = store.clone();
    let again = apply(&mut store, &entry(initialize("eu"))).unwrap();
    assert_eq!(again, Reply::Nothing);
    let other = apply(&mut store, &entry(initialize("us"))).unwrap();
    assert_eq!(other, Reply::Refused(Refusal::OtherRegion(region())));
    assert_eq!(store, begun);
    let streams = query::streams(&store).unwrap();
    assert_eq!(streams.len(), usize::from(SHARDS));
    assert!(
        streams
            .iter()
            .all(|stream| (stream.epoch, stream.next) == (3, 1))
    );
}

#[test]
fn settings_change_when_they_differ() {
    let mut stage = Stage::new(SETTINGS);
    assert_eq!(stage.say(Command::Configure(SETTINGS)), Reply::Nothing);
    let other = Settings {
        lease_millis: 1,
        ..SETTINGS
    };
    stage.done(Command::Configure(other));
    let system = query::system(&stage.store).unwrap().unwrap();
    assert_eq!(system.settings, other);
}

#[test]
fn a_registry_is_created_once_and_its_id_is_its_version() {
    let mut stage = Stage::new(SETTINGS);
    let create = |name: &str| Command::CreateRegistry {
        name: name.parse().unwrap(),
    };
    assert_eq!(
        stage.say(create("default")),
        Reply::Refused(Refusal::RegistryExists)
    );
    let version = stage.done(create("other"));
    let id = query::registry(&stage.store, &"other".parse().unwrap()).unwrap();
    assert_eq!(id.map(|id| id.version()), Some(version));
    let last = stage.events().pop().unwrap();
    assert_eq!((last.version, Some(last.registry)), (version, id));
    assert_eq!(
        last.event,
        Event::RegistryCreated {
            name: "other".into()
        }
    );
}

#[test]
fn generations_are_given_once_and_run_out() {
    let mut stage = Stage::new(SETTINGS);
    let mut reserve = |count| stage.say(Command::ReserveGenerations { count });
    let reserved = |first, count| Reply::Reserved {
        epoch: 1,
        first,
        count,
    };
    let next = GIVEN + 1;
    assert_eq!(reserve(10), reserved(next, 10));
    assert_eq!(reserve(1), reserved(next + 10, 1));
    assert_eq!(reserve(0), reserved(next + 11, 0));
    assert_eq!(
        reserve(u64::MAX),
        Reply::Refused(Refusal::GenerationsExhausted)
    );
    assert_eq!(reserve(5), reserved(next + 11, 5));
    set_counters(&mut stage.store, 1, u64::MAX - 1);
    let last = stage.say(Command::ReserveGenerations { count: 1 });
    assert_eq!(last, reserved(u64::MAX - 1, 1));
    let over = stage.say(Command::ReserveGenerations { count: 1 });
    assert_eq!(over, Reply::Refused(Refusal::GenerationsExhausted));
}

#[test]
fn versions_rise_whatever_the_clock_does() {
    let mut stage = Stage::new(SETTINGS);
    let put = || Command::PutManifest(Box::new(image(&[])));
    let mut before = stage.done(put());
    for step in [0, -5_000, 3, -1, 0, 10_000, -20_000] {
        stage.now = stage.now.strict_add_signed(step);
        let version = stage.done(put());
        assert!(version > before, "{version} after {before}");
        assert!(version.millis >= stage.now);
        before = version;
    }
}

#[test]
fn leases_count_in_the_time_of_the_log() {
    let mut stage = Stage::new(SETTINGS);
    let leaf = stage.upload("a", 5);
    stage.now -= 60_000;
    stage.touch("a", leaf.digest);
    assert_eq!(stage.condemn(&[leaf]), 0);
    stage.now = DAWN + 999;
    assert_eq!(stage.condemn(&[leaf]), 0);
    stage.now = DAWN + 1_000;
    assert_eq!(stage.condemn(&[leaf]), 1);
    // The clock falls back after that; what was decided stays decided.
    stage.now = DAWN;
    assert_eq!(stage.remove(&[leaf]), 1);
}
