//! Attributes, and repositories that are deleted.

use meridian_event::{Attributes, Target};
use meridian_oci::Reference;

use super::{Stage, digest_of, fresh, repository, sha256};
use crate::{
    DeleteRepository, Holding, ListRequest, Listing, Mark, Order, PageRequest, ReadError,
    RepositoryPath, SetAttributes, WriteError,
};

async fn set(
    stage: &Stage,
    at: &RepositoryPath,
    target: &Target,
    attributes: Attributes<Option<bool>>,
) -> Result<(), WriteError> {
    let request = SetAttributes {
        repository: at.clone(),
        target: target.clone(),
        attributes,
        request: fresh(),
    };
    let set = stage.set_attributes(request).await?;
    assert!(set.version.is_some());
    Ok(())
}

fn locked(error: WriteError) {
    assert_eq!(error, WriteError::Read(ReadError::Locked));
}

async fn delete(
    stage: &Stage,
    at: &RepositoryPath,
) -> Result<crate::RepositoryDeleted, WriteError> {
    let request = DeleteRepository {
        repository: at.clone(),
        request: fresh(),
    };
    stage.delete_repository(request).await
}

pub(super) async fn what_is_locked_stays_as_it_is(stage: &Stage) {
    let at = repository("attributes/locked");
    let manifest = stage.push_image(&at, "one", "v").await;
    let tag = Target::Tag("v".parse().unwrap());
    let of_manifest = Target::Manifest(digest_of(&manifest));
    let found = stage.describe(&at, &tag).await.unwrap();
    assert_eq!(
        (found.is_there, found.attributes),
        (true, Attributes::ENABLED)
    );
    assert_eq!(found.digest, Some(digest_of(&manifest)));
    let write = |is_enabled| Attributes {
        write: Some(is_enabled),
        ..Attributes::default()
    };
    set(stage, &at, &tag, write(false)).await.unwrap();
    locked(stage.delete(&at, "v", None).await.unwrap_err());
    locked(delete(stage, &at).await.unwrap_err());
    let other = stage.push_image(&at, "two", "w").await;
    locked(stage.put_manifest(&at, &other, &["v"]).await.unwrap_err());
    set(stage, &at, &tag, write(true)).await.unwrap();
    stage.put_manifest(&at, &other, &["v"]).await.unwrap();

    let unreadable = Attributes {
        read: Some(false),
        ..Attributes::default()
    };
    set(stage, &at, &of_manifest, unreadable).await.unwrap();
    let reference = Reference::Digest(digest_of(&manifest));
    let refused = [
        stage.manifest(&at, &reference).await.map(drop),
        stage.manifest_stat(&at, &reference).await.map(drop),
    ];
    assert!(refused.iter().all(|read| *read == Err(ReadError::Locked)));
    let found = stage.describe(&at, &of_manifest).await.unwrap();
    assert!(found.is_there && !found.attributes.read);
    assert_eq!(found.bytes, manifest.bytes());
    let nothing = set(stage, &at, &Target::Tag("x".parse().unwrap()), write(false)).await;
    assert_eq!(nothing, Err(ReadError::ManifestUnknown.into()));
}

pub(super) async fn a_blob_says_whether_it_may_be_pulled(stage: &Stage) {
    let at = repository("attributes/unreadable");
    stage.push_image(&at, "one", "v").await;
    let layer = sha256(b"one");
    assert!(stage.blob(&at, layer).await.unwrap().is_readable);
    let unreadable = Attributes {
        read: Some(false),
        ..Attributes::default()
    };
    set(stage, &at, &Target::Repository, unreadable)
        .await
        .unwrap();
    assert!(!stage.blob(&at, layer).await.unwrap().is_readable);
    // Content is pushed all the same.
    stage.push_image(&at, "two", "w").await;
}

pub(super) async fn what_a_repository_holds_is_listed(stage: &Stage) {
    let at = repository("attributes/listed");
    let one = stage.push_image(&at, "one", "b").await;
    let two = stage.push_image(&at, "two", "a").await;
    let list = async |holding, order, after: Option<Mark>, limit| {
        let request = ListRequest {
            holding,
            order,
            after,
            limit,
        };
        stage.list(&at, request).await.unwrap()
    };
    let names = |listing: &Listing| -> Vec<String> {
        let items = listing.items.iter();
        items.map(|(name, _)| name.to_string()).collect()
    };
    let all = list(Holding::Tags, Order::Name, None, 10).await.unwrap();
    assert_eq!(
        (names(&all), all.next),
        (vec!["a".into(), "b".into()], None)
    );
    let (_, described) = &all.items[1];
    assert_eq!(described.digest, Some(digest_of(&one)));
    assert!(described.is_there && described.updated.is_some());

    let first = list(Holding::Tags, Order::Oldest, None, 1).await.unwrap();
    assert_eq!(names(&first), ["b"]);
    assert_eq!(first.next.as_ref().unwrap().at, first.items[0].1.updated);
    let rest = list(Holding::Tags, Order::Oldest, first.next, 1)
        .await
        .unwrap();
    assert_eq!((names(&rest), rest.next), (vec!["a".to_owned()], None));
    let of = list(Holding::TagsOf(digest_of(&two)), Order::Name, None, 10).await;
    assert_eq!(names(&of.unwrap()), ["a"]);
    let manifests = list(Holding::Manifests, Order::Newest, None, 10)
        .await
        .unwrap();
    let newest = &manifests.items[0];
    assert_eq!(newest.0, digest_of(&two).into());
    assert_eq!((&newest.1.bytes, newest.1.names.len()), (two.bytes(), 1));
    let nowhere = Some(Mark {
        after: Reference::Tag("x".parse().unwrap()),
        at: None,
    });
    assert_eq!(list(Holding::Tags, Order::Newest, nowhere, 1).await, None);
    let request = ListRequest {
        holding: Holding::Tags,
        order: Order::Name,
        after: None,
        limit: 1,
    };
    let unknown = stage.list(&repository("attributes/nowhere"), request).await;
    assert_eq!(unknown, Err(ReadError::RepositoryUnknown));
}

pub(super) async fn a_deleted_repository_is_gone(stage: &Stage) {
    let at = repository("attributes/deleted");
    let manifest = stage.push_image(&at, "one", "v").await;
    let found = stage.describe(&at, &Target::Repository).await.unwrap();
    assert_eq!((found.manifests, found.tags), (1, 1));
    assert!(found.created.is_some() && found.created == found.updated);
    let deleted = delete(stage, &at).await.unwrap();
    assert_eq!(deleted.manifests, [digest_of(&manifest)]);
    assert_eq!(deleted.tags, ["v".parse().unwrap()]);
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let unknown = ReadError::RepositoryUnknown;
    assert_eq!(stage.tags(&at, page).await.unwrap_err(), unknown);
    let again = delete(stage, &at).await.unwrap_err();
    assert_eq!(again, unknown.clone().into());
    let gone = stage.describe(&at, &Target::Repository).await;
    assert_eq!(gone.unwrap_err(), unknown);
    stage.push_image(&at, "one", "v").await;
    assert_eq!(
        stage
            .tags(
                &at,
                PageRequest {
                    after: None,
                    limit: 10
                }
            )
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}
