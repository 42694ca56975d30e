//! Members that come and go.

use harness::{DevBuilder, eventually, seed};

use crate::members::{Members, SOON, image, pull, push, voters};

#[tokio::test(flavor = "multi_thread")]
async fn a_member_joins_with_the_state_and_one_leaves_for_good() {
    let mut members = Members::new(4);
    let founders: Vec<_> = (0..3)
        .map(|member| members.founder(member, &[0, 1, 2]).launch())
        .collect();
    for (member, starting) in founders.into_iter().enumerate() {
        members.has(member, starting.ready().unwrap());
        members.start_front(member);
    }
    let before = image(seed(280));
    push(&members.client(0), "before", &before).await.unwrap();

    let joining = members.builder(3).launch();
    eventually("the new member can be asked", SOON, || async {
        members
            .cluster(3, &["status"])
            .status
            .success()
            .then_some(())
    })
    .await;
    // Any member may be asked; the leader decides.
    let endpoint = members.endpoint(3);
    let status = members.ask(1, &["join", &endpoint]);
    assert_eq!(voters(&status).len(), 4, "{status}");
    members.has(3, joining.ready().unwrap());
    members.start_front(3);
    pull(&members.client(3), "before", &before).await;

    // The leader itself leaves, asked through another one.
    let leader = members.leader(0).await;
    let other = (leader + 1) % 4;
    let node = members.node(leader);
    let status = members.ask(other, &["leave", &node]);
    assert_eq!(voters(&status).len(), 3, "{status}");
    let mut gone = members.take(leader);
    let ended = gone.wait(SOON).expect("a member that was removed stops");
    assert_eq!(ended.code(), Some(1));
    let again = members.builder(leader).try_start().unwrap_err();
    assert_eq!(again.status.code(), Some(64), "{again:?}");
    assert!(again.said.contains("was removed"), "{again:?}");
    let after = image(seed(281));
    push(&members.client(other), "after", &after).await.unwrap();
    pull(&members.client((leader + 2) % 4), "after", &after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_disk_is_lost_is_replaced_under_a_new_id() {
    let mut members = Members::founded(3);
    let kept = image(seed(290));
    push(&members.client(0), "kept", &kept).await.unwrap();
    let leader = members.leader(0).await;
    let lost = (leader + 1) % 3;
    let node = members.node(lost);
    members.take(lost).kill();
    std::fs::remove_dir_all(members.data_dir(lost)).unwrap();
    let starting = members.builder(lost).launch();
    eventually("the empty member can be asked", SOON, || async {
        members
            .cluster(lost, &["status"])
            .status
            .success()
            .then_some(())
    })
    .await;
    assert_ne!(members.node(lost), node, "an id is never used again");
    let endpoint = members.endpoint(lost);
    let refused = members.refused(leader, &["join", &endpoint]);
    assert!(refused.contains(&format!("replace {node}")), "{refused}");
    let status = members.ask(leader, &["replace", &node, &endpoint]);
    assert_eq!(voters(&status).len(), 3, "{status}");
    assert!(!voters(&status).contains(&node), "{status}");
    members.has(lost, starting.ready().unwrap());
    pull(&members.client(lost), "kept", &kept).await;
    // It is a full member: the group goes on without the one that led.
    members.take(leader).kill();
    let client = members.client(lost);
    let image = image(seed(291));
    eventually("the group goes on", SOON, || async {
        push(&client, "next", &image).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lead_goes_where_it_is_sent() {
    let members = Members::founded(3);
    let leader = members.leader(0).await;
    let heir = (leader + 1) % 3;
    members.ask((leader + 2) % 3, &["lead", &members.node(heir)]);
    assert_eq!(members.leader(heir).await, heir);
    let unknown = members.refused(0, &["lead", "0000000000000001"]);
    assert!(unknown.contains("no member"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_group_is_refused() {
    let members = Members::founded(3);
    let others = Members::founded(1);
    let refused = members.refused(0, &["join", &others.endpoint(0)]);
    assert!(refused.contains("another cluster"), "{refused}");
    // A group of several is not opened as if it were one of one.
    let mut members = members;
    members.take(0).kill();
    let alone = DevBuilder::run(&["metadata"], members.data_dir(0)).try_start();
    let alone = alone.unwrap_err();
    assert!(alone.said.contains("metadata.group.advertise"), "{alone:?}");
}
