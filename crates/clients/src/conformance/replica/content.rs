//! What is wanted, and what is here.

use meridian_clock::Version;
use meridian_event::{Leaf, RegistryId};

use super::{Fixture, default};
use crate::ReadError;
use crate::conformance::metadata::digest_of;
use crate::conformance::{repository, sha256};
use crate::replica::{AgentId, Content, ContentKind, Incomplete, Presence};

pub(super) async fn what_is_wanted_comes_in_order_and_once(fixture: &impl Fixture) {
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let places = ["wanted/one", "wanted/two"].map(repository);
    for name in ["a", "b", "c", "d", "e"] {
        for at in &places {
            eu.stage().push_image(at, name, name).await;
        }
    }
    us.hear(&eu).await;
    // Some are manifests still, of others the blobs are wanted.
    for wanted in &us.wants().await[..3] {
        us.fetch_manifest(&eu, wanted).await;
    }
    let all = us.wants().await;
    let count = |kind| all.iter().filter(|it| it.kind == kind).count();
    assert_eq!(count(ContentKind::Manifest), 2, "{all:?}");
    assert_eq!(count(ContentKind::Blob), 4, "{all:?}");
    let names: Vec<_> = all.iter().map(|it| (it.registry, it.leaf.digest)).collect();
    assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    let looked = us.replica.look(&all).await.unwrap();
    assert!(looked.iter().all(|it| *it == Presence::Wanted));

    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = us.replica.wanted(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some((last.registry, last.leaf.digest));
        pages.extend(page);
    }
    assert_eq!(pages, all);
    us.fetch(&eu).await;
    assert_eq!(us.wants().await, []);
    let looked = us.replica.look(&all).await.unwrap();
    assert!(looked.iter().all(|it| *it == Presence::Here));
}

pub(super) async fn what_is_here_or_wanted_is_told_apart(fixture: &impl Fixture) {
    let at = repository("look/apart");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let image = eu.stage().push_image(&at, "layer", "tag").await;
    us.hear(&eu).await;
    let content = |kind, digest, repository: &str| Content {
        registry: default(),
        repository: repository.parse().unwrap(),
        kind,
        leaf: Leaf { digest, size: 0 },
    };
    let manifest = |repository| content(ContentKind::Manifest, digest_of(&image), repository);
    let blob = |bytes| content(ContentKind::Blob, sha256(bytes), "look/apart");
    let asked = [
        manifest("look/apart"),
        manifest("look/elsewhere"),
        blob(b"layer"),
        blob(b"absent"),
    ];
    let look = async |region: &super::Region| region.replica.look(&asked).await.unwrap();
    use Presence::{Absent, Here, Wanted};
    assert_eq!(look(&eu).await, [Here, Absent, Here, Absent]);
    // A blob is needed when a manifest that is here says so.
    assert_eq!(look(&us).await, [Wanted, Wanted, Absent, Absent]);
    us.fetch_manifest(&eu, &us.wants().await[0]).await;
    assert_eq!(look(&us).await, [Here, Absent, Wanted, Absent]);
    us.fetch(&eu).await;
    assert_eq!(look(&us).await, [Here, Absent, Here, Absent]);
    assert_eq!(us.replica.look(&[]).await.unwrap(), []);
}

pub(super) async fn what_is_merged_and_not_complete_is_counted(fixture: &impl Fixture) {
    let at = repository("incomplete/images");
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let count = async |region: &super::Region| region.replica.incomplete().await.unwrap();
    for name in ["a", "b"] {
        eu.stage().push_image(&at, name, name).await;
    }
    assert_eq!(count(&eu).await, []);
    us.hear(&eu).await;
    let images = |images| Incomplete {
        registry: default(),
        images,
    };
    assert_eq!(count(&us).await, [images(2)]);
    // One whose manifest is here still lacks its blobs.
    us.fetch_manifest(&eu, &us.wants().await[0]).await;
    assert_eq!(count(&us).await, [images(2)]);
    us.fetch(&eu).await;
    assert_eq!(count(&us).await, []);
}

pub(super) async fn agents_hear_of_each_other(fixture: &impl Fixture) {
    let (eu, us) = (fixture.open("eu").await, fixture.open("us").await);
    let attend = async |region: &super::Region, agent| {
        let attendance = region.replica.attend(AgentId(agent)).await.unwrap();
        let agents = attendance.agents.iter().map(|agent| agent.0);
        (agents.collect::<Vec<_>>(), attendance.is_settled)
    };
    assert_eq!(attend(&eu, u64::MAX).await, (vec![u64::MAX], false));
    assert_eq!(attend(&eu, 7).await, (vec![7, u64::MAX], false));
    assert_eq!(attend(&eu, u64::MAX).await, (vec![7, u64::MAX], false));
    // Those of another region are none of its business.
    assert_eq!(attend(&us, 3).await, (vec![3], false));
}

pub(super) async fn a_registry_bears_its_name(fixture: &impl Fixture) {
    let eu = fixture.open("eu").await;
    let name = eu.replica.registry_name(default()).await.unwrap();
    assert_eq!(name.as_str(), "default");
    assert_eq!(eu.metadata.registry(&name).await.unwrap(), default());
    let unknown = RegistryId::new(Version {
        millis: 1,
        ..default().version()
    });
    let unknown = eu.replica.registry_name(unknown).await;
    assert_eq!(unknown.unwrap_err(), ReadError::RegistryUnknown);
}
