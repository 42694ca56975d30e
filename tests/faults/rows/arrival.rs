//! E and H: what is late, or never comes by the way that it should.

use std::time::Duration;

use futures::future::join_all;
use harness::{Client, Content, Image, World, digest, eventually, seed};

use crate::trial::SOON;
use crate::world::WorldTrial;

/// How long a state goes on.
const LONG: Duration = Duration::from_secs(10);

const REPOSITORY: &str = "team/late";

/// How many pull the same at once.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e1_the_brokers_of_another_region_are_away() {
    let trial = WorldTrial::begin("E1-abroad", World::plans()).await;
    trial.world.cut_logs();
    trial.work().await;
    trial.go_on(LONG).await;
    // They stay away: in the end regions agree without them.
    trial.end().await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn e4_a_topic_has_gaps_and_the_origin_fills_them() {
    let mut plans = World::plans();
    // Of what was committed, some is never told to Kafka.
    plans[0].set("FAILPOINTS", "ob.forget=20%return");
    let trial = WorldTrial::begin("E4", plans).await;
    trial.go_on(2 * LONG).await;
    trial.end().await.has_only_broken("EVT");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka for each region, and breaks processes for minutes: cargo xtask faults"]
async fn h6_what_has_not_arrived_is_pulled_whole_or_not_at_all() {
    let trial = WorldTrial::begin("H6", World::plans()).await;
    trial.world.cut_logs();
    trial.world.set_wan("60ms,2MB/s");
    let clients = trial.world.regions.each_ref();
    let [here, there] = clients.map(|region| Client::new(region.bases()[0].clone()));
    let mut content = Content::new(seed(806));
    for (round, is_cut) in [false, true].into_iter().enumerate() {
        let (image, tag) = (content.image(&[200, 3_000_000]), round.to_string());
        let pushed = here.push_image(REPOSITORY, &tag, &image).await;
        pushed.unwrap().expect(201);
        let pulled = there.manifest(REPOSITORY, &tag).await.unwrap();
        assert_eq!(pulled.expect(200).body, image.manifest);
        let pulls = join_all((0..AT_ONCE).map(|_| pull(&there, &image)));
        let cut = async {
            trial.go_on(Duration::from_millis(500)).await;
            if is_cut {
                trial.world.part();
                trial.world.reset();
            }
        };
        let (whole, ()) = tokio::join!(pulls, cut);
        assert!(
            is_cut || whole.iter().all(|it| *it),
            "what could be had was not: {whole:?}"
        );
        trial.world.heal();
        trial.world.cut_logs();
        eventually("it is there", SOON, || async {
            pull(&there, &image).await.then_some(())
        })
        .await;
    }
    trial.world.heal();
    trial.world.set_wan(crate::world::WAN);
    trial.end().await.is_clean();
}

/// Pulls the blobs of an image; whether they were to be had. What is had is whole.
async fn pull(client: &Client, image: &Image) -> bool {
    for blob in &image.blobs {
        match client.blob(REPOSITORY, digest(blob)).await {
            Ok(answer) if answer.status.as_u16() == 200 => assert_eq!(answer.body, *blob),
            Ok(answer) => {
                assert_ne!(answer.status.as_u16(), 404, "a leaf of a visible manifest");
                return false;
            }
            // It broke off, and that was seen.
            Err(_) => return false,
        }
    }
    true
}
