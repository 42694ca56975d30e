//! How a group comes to be.

use harness::seed;

use crate::members::{Members, image, pull, push, voters};

#[tokio::test(flavor = "multi_thread")]
async fn three_members_found_a_group_and_each_of_them_reads_and_writes() {
    let members = Members::founded(3);
    for member in 0..3 {
        let (tag, image) = (format!("v{member}"), image(seed(200 + member as u64)));
        push(&members.client(member), &tag, &image).await.unwrap();
        // What one has acknowledged the others have, at once.
        for other in 0..3 {
            pull(&members.client(other), &tag, &image).await;
        }
    }
    let status = members.status(0);
    assert_eq!(voters(&status).len(), 3, "{status}");
    let leader = members.leader(0).await;
    assert_eq!(members.leader(1).await, leader);
    assert_eq!(members.status(1)["cluster"], status["cluster"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_founded_by_hand_and_never_twice() {
    let mut members = Members::new(3);
    let starting: Vec<_> = (0..3)
        .map(|member| members.builder(member).launch())
        .collect();
    let sockets: Vec<_> = (0..3).map(|member| members.endpoint(member)).collect();
    harness::eventually("the members can be asked", crate::members::SOON, || async {
        let mut asked = (0..3).map(|member| members.cluster(member, &["status"]));
        asked.all(|it| it.status.success()).then_some(())
    })
    .await;
    let init: Vec<_> = std::iter::once("init")
        .chain(sockets.iter().map(String::as_str))
        .collect();
    let missing = members.refused(0, &["init", &sockets[1], &sockets[2]]);
    assert!(missing.contains("not among the founders"), "{missing}");
    let nobody = members.refused(0, &["init", &sockets[0], "unix:/nobody.sock"]);
    assert!(nobody.contains("cannot be reached"), "{nobody}");
    members.ask(0, &init);
    for (member, starting) in starting.into_iter().enumerate() {
        members.has(member, starting.ready().unwrap());
        members.start_front(member);
    }
    let again = members.refused(1, &init);
    assert!(again.contains("belongs to the cluster"), "{again}");
    let image = image(seed(210));
    push(&members.client(2), "v1", &image).await.unwrap();
    pull(&members.client(1), "v1", &image).await;
}
