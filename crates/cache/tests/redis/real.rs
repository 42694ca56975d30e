//! A real Redis: the conformance suite, the edges of its numbers, and who gets in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use meridian_cache::conformance::{self, Fixture};
use meridian_cache::{Cache, CacheError, CacheKey, RedisCache, RedisConfig, Swap};
use meridian_secret::Secret;

use crate::parts::Redis;

struct Real(fn(&Redis) -> RedisConfig);

#[async_trait]
impl Fixture for Real {
    async fn open(&self) -> Arc<dyn Cache> {
        Arc::new(RedisCache::new(self.0(&Redis::find())).unwrap())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: cargo xtask cache"]
async fn the_contract_is_kept() {
    conformance::run(&Real(Redis::plain)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: cargo xtask cache"]
async fn a_certificate_and_a_password_open_the_cache() {
    conformance::run(&Real(Redis::secure)).await;
}

#[tokio::test]
#[ignore = "needs Redis: cargo xtask cache"]
async fn nobody_else_gets_in() {
    let right = Redis::find().secure();
    let mut wrong_password = right.clone();
    wrong_password.password = Secret::new("another");
    let mut no_password = right.clone();
    (no_password.user, no_password.password) = (String::new(), Secret::default());
    let mut no_certificate = right.clone();
    let tls = no_certificate.tls.as_mut().unwrap();
    (tls.certificate_file, tls.key_file) = (None, None);
    let mut other_authority = right.clone();
    let tls = other_authority.tls.as_mut().unwrap();
    // It signed nothing.
    tls.ca_file = tls.certificate_file.clone();
    let plain = RedisConfig {
        tls: None,
        ..right.clone()
    };
    let key = CacheKey::regional("who");
    for (name, config) in [
        ("a wrong password", wrong_password),
        ("no password", no_password),
        ("no certificate", no_certificate),
        ("another authority", other_authority),
        ("no encryption", plain),
    ] {
        let cache = RedisCache::new(config).unwrap();
        let refused = cache.get(&key).await;
        assert!(
            matches!(refused, Err(CacheError::Unavailable(_))),
            "{name}: {refused:?}"
        );
        let text = meridian_error::chain(&refused.unwrap_err());
        assert!(!text.contains("another"), "{text}");
    }
    let cache = RedisCache::new(right).unwrap();
    assert_eq!(cache.get(&key).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs Redis: cargo xtask cache"]
async fn totals_are_exact_and_stop_at_the_largest_signed_number() {
    let cache = RedisCache::new(Redis::find().plain()).unwrap();
    let key = CacheKey::regional("totals");
    // More than the numbers of scripts have digits for.
    let many = (1 << 60) + 1;
    let count = cache.increment(&key, many, LONG).await.unwrap();
    assert_eq!(count.total, many);
    let count = cache.increment(&key, 2, LONG).await.unwrap();
    assert_eq!(count.total, many + 2);
    for by in [u64::MAX, 1, u64::MAX] {
        let count = cache.increment(&key, by, LONG).await.unwrap();
        assert_eq!(count.total, i64::MAX.unsigned_abs());
        assert!(count.resets_in > LONG / 2 && count.resets_in <= LONG);
    }
    let ages = Duration::from_secs(u64::MAX);
    cache.set(&key, Bytes::new(), ages).await.unwrap();
    assert!(cache.get(&key).await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "needs Redis: cargo xtask cache"]
async fn what_another_has_written_is_nothing_of_ours() {
    let config = Redis::find().plain();
    let client = redis::Client::open(format!("redis://{}/", config.address)).unwrap();
    let mut other = client.get_multiplexed_async_connection().await.unwrap();
    let key = CacheKey::regional("other");
    let name = [config.prefix.as_bytes(), b"v:", key.as_bytes()].concat();
    let cache = RedisCache::new(config).unwrap();
    let put = |text: &'static str| redis::cmd("SET").arg(&name).arg(text).to_owned();
    let () = put("short").query_async(&mut other).await.unwrap();
    assert_eq!(cache.get(&key).await.unwrap(), None);
    let swap = cache.compare_and_set(&key, None, "ours".into(), LONG);
    assert!(matches!(swap.await.unwrap(), Swap::Stored(_)));
    let found = cache.get(&key).await.unwrap().unwrap();
    assert_eq!(found.value, Bytes::from_static(b"ours"));

    // A list is neither there nor absent: that is told, and does not make Redis be away.
    let mut list = redis::cmd("LPUSH");
    let () = redis::cmd("DEL")
        .arg(&name)
        .query_async(&mut other)
        .await
        .unwrap();
    let () = list
        .arg(&name)
        .arg("x")
        .query_async(&mut other)
        .await
        .unwrap();
    let odd = cache.get(&key).await;
    assert!(matches!(odd, Err(CacheError::Unavailable(_))), "{odd:?}");
    cache.delete(&key).await.unwrap();
    assert_eq!(cache.get(&key).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs Redis: cargo xtask cache"]
async fn an_emptied_cache_has_forgotten_its_scripts_and_is_none_the_worse() {
    let config = Redis::find().plain();
    let client = redis::Client::open(format!("redis://{}/", config.address)).unwrap();
    let mut operator = client.get_multiplexed_async_connection().await.unwrap();
    let cache = RedisCache::new(config).unwrap();
    let key = CacheKey::regional("scripts");
    for _ in 0..2 {
        let swap = cache.compare_and_set(&key, None, "value".into(), LONG);
        assert!(matches!(swap.await.unwrap(), Swap::Stored(_)));
        let flush = redis::cmd("SCRIPT").arg("FLUSH").to_owned();
        let () = flush.query_async(&mut operator).await.unwrap();
        cache.delete(&key).await.unwrap();
    }
}
