//! Clients that make more requests than they may.

use http::Method;
use meridian_cache::Forgetful;
use meridian_clock::ManualClock;
use meridian_frontend::{Rate, RatesConfig};

use super::*;

/// Three reads, and a deletion, in ten seconds.
fn rates() -> RatesConfig {
    let rate = |requests| {
        Some(Rate {
            requests,
            per: Duration::from_secs(10),
        })
    };
    RatesConfig {
        reads: rate(3),
        writes: None,
        deletes: rate(1),
    }
}

struct Ground {
    clock: Arc<ManualClock>,
    shared: Arc<Forgetful>,
    frontends: [Registry; 2],
}

impl Ground {
    fn lay() -> Self {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let shared = Arc::new(Forgetful::new(Arc::clone(&clock)));
        let frontends = [(); 2].map(|()| {
            let config = Config {
                rates: rates(),
                ..Config::default()
            };
            Registry::counting(config, counters(Some(Arc::clone(&shared) as _)))
        });
        Self {
            clock,
            shared,
            frontends,
        }
    }

    /// The answer of a frontend to a client at an address.
    async fn ask(&self, frontend: usize, method: Method, client: Option<&str>) -> Reply {
        let request = Request::builder().uri("/v2/a/manifests/1").method(method);
        let request = request
            .extension(origin(client))
            .body(Body::empty())
            .unwrap();
        self.frontends[frontend].send(request).await
    }

    async fn read(&self, frontend: usize, client: &str) -> Reply {
        self.ask(frontend, Method::GET, Some(client)).await
    }
}

#[tokio::test]
async fn a_client_is_refused_whichever_frontend_it_asks_until_its_window_ends() {
    let ground = Ground::lay();
    for (frontend, remaining) in [(0, "2;w=10"), (1, "1;w=10"), (0, "0;w=10")] {
        let reply = ground.read(frontend, "192.0.2.1").await;
        assert_eq!(reply.status, 404, "an absent manifest counts as well");
        assert_eq!(reply.header("ratelimit-limit"), "3;w=10");
        assert_eq!(reply.header("ratelimit-remaining"), remaining);
    }
    ground.clock.advance(4_500);
    for frontend in [1, 0] {
        let reply = ground.read(frontend, "192.0.2.1").await;
        assert_eq!(reply.header("retry-after"), "6");
        assert_eq!(reply.header("ratelimit-remaining"), "0;w=10");
        assert_eq!(reply.refusal(), (429, "TOOMANYREQUESTS".to_owned()));
    }
    ground.clock.advance(5_500);
    assert_eq!(ground.read(1, "192.0.2.1").await.status, 404);
}

#[tokio::test]
async fn clients_and_kinds_of_requests_are_counted_apart() {
    let ground = Ground::lay();
    for _ in 0..3 {
        ground.read(0, "192.0.2.1").await;
    }
    assert_eq!(ground.read(0, "192.0.2.1").await.status, 429);
    assert_eq!(ground.read(0, "::ffff:192.0.2.1").await.status, 429);
    assert_eq!(ground.read(0, "192.0.2.2").await.status, 404);
    for expected in [404, 429] {
        let reply = ground.ask(0, Method::DELETE, Some("192.0.2.1")).await;
        assert_eq!(reply.status, expected);
    }
    // Writes have no limit here, and who reaches a Unix socket has none.
    for _ in 0..5 {
        let reply = ground.ask(0, Method::PUT, Some("192.0.2.1")).await;
        assert_ne!(reply.status, 429);
        assert!(!reply.headers.contains_key("ratelimit-limit"));
        assert_eq!(ground.ask(0, Method::GET, None).await.status, 404);
    }
    // Whoever has one address of such a network has all of them.
    for client in ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::"] {
        assert_eq!(ground.read(0, client).await.status, 404);
    }
    assert_eq!(ground.read(0, "2001:db8:0:1:1::").await.status, 429);
    assert_eq!(ground.read(0, "2001:db8:0:2::1").await.status, 404);
}

#[tokio::test]
async fn without_the_shared_counter_each_frontend_counts() {
    let ground = Ground::lay();
    ground.shared.set_away(true);
    for frontend in [0, 1] {
        for expected in [404, 404, 404, 429, 429] {
            let reply = ground.read(frontend, "192.0.2.1").await;
            assert_eq!(reply.status, expected);
        }
    }
    ground.shared.set_away(false);
    assert_eq!(ground.read(0, "192.0.2.1").await.status, 404);
}

#[tokio::test]
async fn without_limits_nothing_is_counted() {
    let registry = Registry::new();
    let reply = registry.get("/v2/").await;
    assert!(!reply.headers.contains_key("ratelimit-limit"));
}

#[test]
fn limits_have_bounds() {
    let text =
        "[rates]\nreads = { requests = 0, per = \"1s\" }\nwrites = { requests = 1, per = \"2d\" }";
    let config: Config = toml::from_str(text).unwrap();
    let faults = config.faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("rates.reads.requests is 0; set it"));
    assert!(faults[1].starts_with("rates.writes.per is 2days; set it"));
}
