//! What is wanted, and what is here.

use meridian_clock::Version;
use meridian_event::{Leaf, RegistryId};

use super::{Fixture, default};
use crate::ReadError;
use crate::conformance::metadata::digest_of;
use crate::conformance::{repository, sha256};
use crate::replica::{Content, ContentKind, Presence};

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
