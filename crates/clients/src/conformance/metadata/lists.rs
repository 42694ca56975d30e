//! Lists and counts.

use meridian_event::RegistryId;
use meridian_oci::{Digest, Manifest};

use super::{Stage, descriptor, digest_of, fresh, image_with, repository, sha256};
use crate::{PageRequest, ReadError, Usage};

pub(super) async fn tags_come_in_pages(stage: &Stage) {
    let at = repository("lists/tags");
    let manifest = stage.push_image(&at, "layer", "b").await;
    stage
        .put_manifest(&at, &manifest, &["a", "C", "c-1", "c.1", "_z"])
        .await
        .unwrap();
    let expected = ["C", "_z", "a", "b", "c-1", "c.1"];
    for limit in [1, 2, 5, 6, 7, usize::MAX] {
        let mut listed = Vec::new();
        loop {
            let after = listed.last().cloned();
            let page = stage.tags(&at, PageRequest { after, limit }).await.unwrap();
            assert!(page.items.len() <= limit);
            listed.extend(page.items);
            if !page.more {
                break;
            }
        }
        let texts: Vec<_> = listed.iter().map(|tag| tag.as_str()).collect();
        assert_eq!(texts, expected, "in pages of {limit}");
    }
    let page = |after: &str| PageRequest {
        after: Some(after.parse().unwrap()),
        limit: 100,
    };
    let between = stage.tags(&at, page("bb")).await.unwrap();
    assert_eq!(between.items.len(), 2);
    assert!(stage.tags(&at, page("zz")).await.unwrap().items.is_empty());
    let nowhere = stage.tags(&repository("lists/nowhere"), page("a")).await;
    assert_eq!(nowhere.unwrap_err(), ReadError::RepositoryUnknown);
}

pub(super) async fn repositories_come_in_pages(stage: &Stage) {
    let registry = "default".parse().unwrap();
    let names = ["a", "a/b", "ab", "b/c/d"];
    for name in names.iter().rev() {
        stage.push_image(&repository(name), name, "tag").await;
    }
    // A repository without a manifest is not shown.
    stage.put_blob(&repository("blobs-only"), b"blob").await;
    for limit in [1, 3, 4, 5] {
        let mut listed = Vec::new();
        loop {
            let after = listed.last().cloned();
            let page = PageRequest { after, limit };
            let page = stage.repositories(&registry, page).await.unwrap();
            listed.extend(page.items);
            if !page.more {
                break;
            }
        }
        let texts: Vec<_> = listed.iter().map(|name| name.as_str()).collect();
        assert_eq!(texts, names, "in pages of {limit}");
    }
    let nowhere = "nowhere".parse().unwrap();
    let page = PageRequest {
        after: None,
        limit: 1,
    };
    let nowhere = stage.repositories(&nowhere, page).await;
    assert_eq!(nowhere.unwrap_err(), ReadError::RegistryUnknown);
}

fn referrer(subject: &Manifest, config: Digest, kind: &str) -> Manifest {
    let media_type = subject.media_type().as_str();
    let subject = descriptor(media_type, digest_of(subject), subject.bytes().len() as u64);
    let more = format!(
        r#","artifactType":"application/{kind}","subject":{subject},"annotations":{{"kind":"{kind}"}}"#
    );
    image_with(&[(config, 2)], &more)
}

pub(super) async fn referrers_come_by_type_and_in_pages(stage: &Stage) {
    let at = repository("lists/referrers");
    let subject = stage.push_image(&at, "layer", "tag").await;
    let subject_digest = digest_of(&subject);
    let config = stage.put_blob(&at, b"{}").await;
    let kinds = ["x.signature", "x.sbom", "x.sbom+old"];
    let mut digests = Vec::new();
    for kind in kinds {
        let manifest = referrer(&subject, config, kind);
        stage.put_manifest(&at, &manifest, &[]).await.unwrap();
        digests.push((digest_of(&manifest), kind));
    }
    digests.sort_unstable();
    let list = async |types: &[&str], after, max_bytes| {
        let types: Vec<_> = types
            .iter()
            .map(|kind| format!("application/{kind}"))
            .collect();
        let listed = stage
            .referrers(&at, subject_digest, &types, after, max_bytes)
            .await;
        listed.unwrap()
    };
    let named = |descriptors: &[String], expected: &[(Digest, &str)]| {
        assert_eq!(descriptors.len(), expected.len(), "{descriptors:?}");
        for (descriptor, (digest, kind)) in descriptors.iter().zip(expected) {
            assert!(descriptor.contains(&digest.to_string()), "{descriptor}");
            assert!(
                descriptor.contains(&format!("application/{kind}\"")),
                "{descriptor}"
            );
        }
    };

    let all = list(&[], None, usize::MAX).await;
    named(&all.descriptors, &digests);
    assert_eq!(all.next, None);
    let some = list(&["x.sbom", "x.absent"], None, usize::MAX).await;
    let expected: Vec<_> = digests
        .iter()
        .copied()
        .filter(|(_, kind)| *kind == "x.sbom")
        .collect();
    named(&some.descriptors, &expected);

    // However few bytes are allowed, an answer has one descriptor.
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..kinds.len() {
        let page = list(&[], after, 1).await;
        assert_eq!(page.descriptors.len(), 1);
        found.extend(page.descriptors);
        after = page.next;
    }
    assert_eq!(after, None);
    assert_eq!(found, all.descriptors);

    let nothing = list(&["x.absent"], None, usize::MAX).await;
    assert!(nothing.descriptors.is_empty() && nothing.next.is_none());
    let nowhere = repository("lists/nowhere");
    for (at, subject) in [(&at, sha256(b"absent")), (&nowhere, subject_digest)] {
        let none = stage.referrers(at, subject, &[], None, 1000).await.unwrap();
        assert!(none.descriptors.is_empty() && none.next.is_none());
    }
}

pub(super) async fn usage_counts_what_is_there(stage: &Stage) {
    let registry = "default".parse().unwrap();
    assert_eq!(stage.usage(&registry).await.unwrap(), Usage::default());
    let (a, b) = (repository("usage/a"), repository("usage/b"));
    let first = stage.push_image(&a, "layer", "one").await;
    let second = stage.push_image(&b, "layer", "two").await;
    stage.put_manifest(&b, &second, &["three"]).await.unwrap();
    let usage = Usage {
        repositories: 2,
        manifests: 2,
        tags: 3,
        blobs: 2,
        blob_bytes: 2 + 5,
        manifest_bytes: (first.bytes().len() + second.bytes().len()) as u64,
    };
    assert_eq!(stage.usage(&registry).await.unwrap(), usage);
    stage
        .delete(&b, &digest_of(&second).to_string(), None)
        .await
        .unwrap();
    stage
        .delete_blob(&b, sha256(b"layer"), fresh())
        .await
        .unwrap();
    let usage = stage.usage(&registry).await.unwrap();
    assert_eq!((usage.manifests, usage.tags), (1, 1));
    let nowhere = stage.usage(&"nowhere".parse().unwrap()).await;
    assert_eq!(nowhere.unwrap_err(), ReadError::RegistryUnknown);
}

pub(super) async fn a_registry_has_one_id(stage: &Stage) {
    let name = "default".parse().unwrap();
    let id: RegistryId = stage.registry(&name).await.unwrap();
    assert_eq!(stage.registry(&name).await.unwrap(), id);
    let nowhere = stage.registry(&"nowhere".parse().unwrap()).await;
    assert_eq!(nowhere.unwrap_err(), ReadError::RegistryUnknown);
}
