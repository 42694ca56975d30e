//! Limits that the frontends of a region share through Redis.

use harness::{Dev, Parts, Wire};

use crate::region::Region;

/// Requests that a client may make in a minute.
const MOST: usize = 20;

fn frontend(region: &Region, wire: &Wire) -> Dev {
    region
        .builder("frontend")
        .env(
            "MERIDIAN_FRONTEND__RATES__READS__REQUESTS",
            MOST.to_string(),
        )
        .env("MERIDIAN_FRONTEND__RATES__READS__PER", "1h")
        .env("MERIDIAN_CACHE__KIND", "redis")
        .env("MERIDIAN_CACHE__REDIS__ADDRESS", wire.address())
        // Redis outlives a test.
        .env(
            "MERIDIAN_CACHE__REDIS__PREFIX",
            format!("{}:", wire.address()),
        )
        .start()
}

/// How many of so many requests are admitted, sent to these frontends in turn.
async fn admitted(frontends: &[&Dev], requests: usize) -> usize {
    let mut admitted = 0;
    for at in 0..requests {
        let client = frontends[at % frontends.len()].client();
        let answer = client.get("/v2/").await.unwrap();
        if answer.status.as_u16() == 429 {
            let answer = answer.expect(429);
            assert!(answer.header("retry-after").is_some());
        } else {
            answer.expect(200);
            admitted += 1;
        }
    }
    admitted
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: cargo xtask cache"]
async fn frontends_share_a_limit_and_keep_one_each_when_redis_is_away() {
    let wire = Wire::to(Parts::find().redis.unwrap().address).await;
    let mut region = Region::empty();
    region.start_metadata();
    region.start_blob();
    let frontends = [(); 2].map(|()| frontend(&region, &wire));
    let both: Vec<_> = frontends.iter().collect();
    // Who starts a frontend asks it as well.
    let together = admitted(&both, 2 * MOST).await;
    assert!((MOST - 4..=MOST).contains(&together), "{together}");
    // Each counts from when it is left alone, once.
    for (break_it, most) in [(Wire::cut as fn(&Wire), MOST), (Wire::hold, 0)] {
        break_it(&wire);
        for one in [&both[..1], &both[1..]] {
            assert_eq!(admitted(one, 2 * MOST).await, most);
        }
    }
    wire.mend();
    assert_eq!(admitted(&both, 4).await, 0);
}
