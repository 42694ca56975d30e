//! Redis that is not there, does not answer, or breaks off.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use meridian_cache::{Cache, CacheError, CacheKey, RedisCache, RedisConfig};
use meridian_error::{Classify, Code};
use tokio::task::JoinSet;

use crate::scripted::Scripted;

const CALL: Duration = Duration::from_millis(150);

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(20);

fn config(address: &str) -> RedisConfig {
    RedisConfig {
        address: address.to_owned(),
        call_timeout: CALL,
        connect_timeout: Duration::from_millis(300),
        ..RedisConfig::default()
    }
}

fn cache(address: &str) -> RedisCache {
    RedisCache::new(config(address)).unwrap()
}

fn key() -> CacheKey {
    CacheKey::regional("away")
}

/// Asks until there is an answer.
async fn recovered(cache: &RedisCache) {
    let begun = Instant::now();
    while let Err(error) = cache.get(&key()).await {
        assert!(begun.elapsed() < SOON, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Many calls, and how long the slowest of them took.
async fn slowest(cache: &RedisCache, code: Code) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let begun = Instant::now();
        let error = cache.get(&key()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}

#[tokio::test]
async fn a_refused_connection_is_told_at_once_and_forgotten_when_redis_is_there() {
    let server = Scripted::start().await;
    let address = server.address.clone();
    server.stop().await;
    let cache = cache(&address);
    assert!(slowest(&cache, Code::Unavailable).await < CALL);
    let _server = Scripted::start_at(&address).await;
    recovered(&cache).await;
}

#[tokio::test]
async fn one_call_waits_for_an_answer_that_does_not_come_and_the_next_ones_do_not() {
    let server = Scripted::start().await;
    let cache = cache(&server.address);
    assert_eq!(cache.get(&key()).await.unwrap(), None);
    server.behaviour.is_stuck.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let error = cache.get(&key()).await.unwrap_err();
    assert!(matches!(error, CacheError::TimedOut), "{error:?}");
    assert!(begun.elapsed() >= CALL && begun.elapsed() < CALL * 4);
    let seen = server.behaviour.commands.load(Ordering::SeqCst);
    assert!(slowest(&cache, Code::Unavailable).await < CALL / 2);
    assert_eq!(server.behaviour.commands.load(Ordering::SeqCst), seen);
    server.behaviour.is_stuck.store(false, Ordering::SeqCst);
    recovered(&cache).await;
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_away() {
    let server = Scripted::start().await;
    server.behaviour.is_mute.store(true, Ordering::SeqCst);
    let cache = cache(&server.address);
    // It may yet answer to the first ones.
    let begun = Instant::now();
    let mut waited = 0;
    while !matches!(cache.get(&key()).await, Err(CacheError::Unavailable(_))) {
        waited += 1;
        assert!(begun.elapsed() < SOON);
    }
    assert!((1..=3).contains(&waited), "{waited} calls waited");
    assert!(slowest(&cache, Code::Unavailable).await < CALL / 2);
    server.behaviour.is_mute.store(false, Ordering::SeqCst);
    recovered(&cache).await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_replaced() {
    let server = Scripted::start().await;
    let cache = cache(&server.address);
    assert_eq!(cache.get(&key()).await.unwrap(), None);
    server.behaviour.cuts.store(true, Ordering::SeqCst);
    let error = cache.get(&key()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    recovered(&cache).await;
    assert_eq!(server.behaviour.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_may_be() {
    const MOST: usize = 3;
    let server = Scripted::start().await;
    let cache = RedisCache::new(RedisConfig {
        in_flight: MOST,
        ..config(&server.address)
    });
    let cache = Arc::new(cache.unwrap());
    assert_eq!(cache.get(&key()).await.unwrap(), None);
    server.behaviour.is_stuck.store(true, Ordering::SeqCst);
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let cache = Arc::clone(&cache);
        calls.spawn(async move { cache.get(&key()).await.unwrap_err() });
    }
    calls.join_all().await;
    let seen = server.behaviour.commands.load(Ordering::SeqCst) - 1;
    assert_eq!(seen, MOST);
}

#[tokio::test]
async fn a_call_that_is_given_up_disturbs_no_other() {
    let server = Scripted::start().await;
    let cache = cache(&server.address);
    assert_eq!(cache.get(&key()).await.unwrap(), None);
    for _ in 0..100 {
        let key = key();
        let mut given_up = Box::pin(cache.get(&key));
        assert!(futures::poll!(&mut given_up).is_pending());
        drop(given_up);
        assert_eq!(cache.get(&key).await.unwrap(), None);
    }
}
