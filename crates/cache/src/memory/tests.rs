//! Bounds and time of the memory body, and random histories against a model.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytesize::ByteSize;
use meridian_clock::ManualClock;
use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(60);

fn cache(entries: usize) -> (MemoryCache<Arc<ManualClock>>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let config = MemoryCacheConfig {
        entries,
        size: ByteSize::mib(2),
    };
    (
        MemoryCache::new(&config, Arc::clone(&clock)).unwrap(),
        clock,
    )
}

fn key(n: u64) -> CacheKey {
    CacheKey::regional("test").with(n.to_string())
}

impl<C: Clock> MemoryCache<C> {
    async fn put(&self, n: u64, ttl: Duration) {
        self.set(&key(n), Bytes::from(n.to_string()), ttl)
            .await
            .unwrap();
    }

    /// Which of the first keys are there, without using them.
    fn there(&self, keys: std::ops::Range<u64>) -> Vec<u64> {
        let (state, _) = self.state();
        assert!(state.values.counted().0 <= 1 << 20);
        keys.filter(|n| state.values.holds(key(*n).as_bytes()))
            .collect()
    }
}

#[tokio::test]
async fn the_least_recently_used_goes() {
    let (cache, _) = cache(3);
    for n in 0..3 {
        cache.put(n, TTL).await;
    }
    assert!(cache.get(&key(0)).await.unwrap().is_some());
    cache.put(3, TTL).await;
    assert_eq!(cache.there(0..4), [0, 2, 3]);
}

#[tokio::test]
async fn what_has_ended_goes_first() {
    let (cache, clock) = cache(3);
    cache.put(0, TTL).await;
    cache.put(1, TTL / 2).await;
    cache.put(2, TTL).await;
    clock.advance(30_000);
    cache.put(3, TTL).await;
    assert_eq!(cache.there(0..4), [0, 2, 3]);
}

#[tokio::test]
async fn bytes_are_bounded_and_values_do_not_hold_on_to_their_buffers() {
    let (cache, _) = cache(1_000);
    let buffer = Bytes::from(vec![7; 1 << 20]);
    for n in 0..100 {
        cache
            .set(&key(n), buffer.slice(..100_000), TTL)
            .await
            .unwrap();
        let (state, _) = cache.state();
        assert!(state.values.counted().1 <= 2 << 20);
    }
    assert!(buffer.is_unique());
    assert_eq!(cache.there(0..100), (80..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flood_of_counters_leaves_values_alone() {
    let (cache, _) = cache(10);
    cache.put(0, TTL).await;
    for n in 0..1_000 {
        cache.increment(&key(n), 1, TTL).await.unwrap();
    }
    assert_eq!(cache.there(0..1), [0]);
    let (state, _) = cache.state();
    assert_eq!(state.counters.counted().0, 10);
}

#[tokio::test]
async fn a_clock_that_steps_back_does_not_prolong_a_life() {
    let (cache, clock) = cache(10);
    cache.put(0, TTL).await;
    clock.set(5);
    assert!(cache.get(&key(0)).await.unwrap().is_some());
    clock.advance(59_999);
    assert!(cache.get(&key(0)).await.unwrap().is_some());
    clock.advance(1);
    assert!(cache.get(&key(0)).await.unwrap().is_none());
}

#[tokio::test]
async fn totals_stop_at_the_largest_signed_number() {
    let (cache, _) = cache(10);
    for by in [u64::MAX, 1, u64::MAX] {
        let count = cache.increment(&key(0), by, TTL).await.unwrap();
        assert_eq!(count.total, i64::MAX.unsigned_abs());
    }
}

#[test]
fn bounds_without_room_are_refused() {
    let config: MemoryCacheConfig = toml::from_str("entries = 0\nsize = \"1 MiB\"").unwrap();
    let faults: Vec<String> = config.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "entries is 0; set it to at least 1",
            "size is 1.0 MiB; set it to at least 2.0 MiB"
        ]
    );
    assert!(MemoryCache::new(&config, ManualClock::at(0)).is_err());
    assert_eq!(MemoryCacheConfig::default().faults(), []);
}

#[derive(Debug, Clone)]
enum Step {
    Get(u64),
    Set(u64, u64),
    /// With the version that the model knows, or a stale one.
    Swap(u64, bool, u64),
    Delete(u64),
    Increment(u64, u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6_u64;
    let span = 1..50_u64;
    prop_oneof![
        key.clone().prop_map(Step::Get),
        (key.clone(), span.clone()).prop_map(|(key, ttl)| Step::Set(key, ttl)),
        (key.clone(), any::<bool>(), span.clone())
            .prop_map(|(key, known, ttl)| Step::Swap(key, known, ttl)),
        key.clone().prop_map(Step::Delete),
        (key, span.clone()).prop_map(|(key, window)| Step::Increment(key, window)),
        span.prop_map(Step::Pass),
    ]
}

/// The simplest cache that could be right.
#[derive(Default)]
struct Model {
    now: u64,
    values: BTreeMap<u64, (Bytes, EntryVersion, u64)>,
    counters: BTreeMap<u64, (u64, u64)>,
}

impl Model {
    fn value(&self, key: u64) -> Option<Entry> {
        let (value, version, end) = self.values.get(&key)?;
        let (value, version) = (value.clone(), *version);
        (*end > self.now).then_some(Entry { value, version })
    }
}

proptest! {
    #[test]
    fn random_histories_agree_with_a_model(steps in prop::collection::vec(step(), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(agree(steps));
    }

    #[test]
    fn bounds_hold_whatever_happens(
        steps in prop::collection::vec(step(), 1..200),
        entries in 1..6_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (cache, clock) = cache(entries);
            for step in steps {
                take(&cache, &clock, &step).await;
                let (state, _) = cache.state();
                assert!(state.values.counted().0 <= entries);
                assert!(state.counters.counted().0 <= entries);
            }
        });
    }
}

async fn take(cache: &MemoryCache<Arc<ManualClock>>, clock: &ManualClock, step: &Step) {
    let value = Bytes::from_static(b"value");
    match *step {
        Step::Get(n) => drop(cache.get(&key(n)).await.unwrap()),
        Step::Set(n, ttl) => {
            cache
                .set(&key(n), value, Duration::from_millis(ttl))
                .await
                .unwrap();
        }
        Step::Swap(n, _, ttl) => {
            let ttl = Duration::from_millis(ttl);
            cache
                .compare_and_set(&key(n), None, value, ttl)
                .await
                .unwrap();
        }
        Step::Delete(n) => cache.delete(&key(n)).await.unwrap(),
        Step::Increment(n, window) => {
            let window = Duration::from_millis(window);
            cache.increment(&key(n), 1, window).await.unwrap();
        }
        Step::Pass(millis) => clock.advance(millis),
    }
}

async fn agree(steps: Vec<Step>) {
    let (cache, clock) = cache(100);
    let mut model = Model::default();
    for (at, step) in steps.into_iter().enumerate() {
        let value = Bytes::from(at.to_string());
        match step {
            Step::Get(n) => assert_eq!(cache.get(&key(n)).await.unwrap(), model.value(n)),
            Step::Set(n, ttl) => {
                let span = Duration::from_millis(ttl);
                let version = cache.set(&key(n), value.clone(), span).await.unwrap();
                model.values.insert(n, (value, version, model.now + ttl));
            }
            Step::Swap(n, known, ttl) => {
                let current = model.value(n);
                let expected = if known {
                    current.as_ref().map(|entry| entry.version)
                } else {
                    Some(EntryVersion::fresh())
                };
                let span = Duration::from_millis(ttl);
                let swap = cache
                    .compare_and_set(&key(n), expected, value.clone(), span)
                    .await;
                match swap.unwrap() {
                    Swap::Stored(version) => {
                        assert!(known);
                        model.values.insert(n, (value, version, model.now + ttl));
                    }
                    Swap::Changed(found) => {
                        assert!(!known);
                        assert_eq!(found, current);
                    }
                }
            }
            Step::Delete(n) => {
                cache.delete(&key(n)).await.unwrap();
                model.values.remove(&n);
            }
            Step::Increment(n, window) => {
                let span = Duration::from_millis(window);
                let count = cache.increment(&key(n), 2, span).await.unwrap();
                let live = model.counters.get(&n).filter(|(_, end)| *end > model.now);
                let (total, end) = live.copied().unwrap_or((0, model.now + window));
                model.counters.insert(n, (total + 2, end));
                assert_eq!(count.total, total + 2);
                assert_eq!(count.resets_in, Duration::from_millis(end - model.now));
            }
            Step::Pass(millis) => {
                clock.advance(millis);
                model.now += millis;
            }
        }
    }
}
