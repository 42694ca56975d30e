use std::time::Duration;

use bytes::Bytes;
use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{Algorithm, Digest, Manifest, MediaType, RepositoryName};
use meridian_proto::meridian::content::v1 as content;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use prost::Message;

use super::*;
use crate::{
    BlobLocation, BlobPut, BlobRecord, BlobStat, Collect, DeleteManifest, Doomed, Due, Encoding,
    ManifestPut, ManifestStat, MountOutcome, Page, PutBlob, PutManifest, Referrers, Stale,
    StorageKey, StoredManifest, Transfer, UploadStatus,
};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn digest() -> impl Strategy<Value = Digest> {
    let algorithm = prop_oneof![Just(Algorithm::Sha256), Just(Algorithm::Sha512)];
    (algorithm, any::<[u8; 8]>()).prop_map(|(algorithm, seed)| Digest::of(algorithm, &seed))
}

fn version() -> impl Strategy<Value = Version> {
    (any::<u64>(), any::<u32>(), "[a-z]{1,9}").prop_map(|(millis, counter, region)| Version {
        millis,
        counter,
        region: region.parse().unwrap(),
    })
}

fn storage_key() -> impl Strategy<Value = StorageKey> {
    (version(), any::<u64>(), any::<u64>()).prop_map(|(registry, epoch, generation)| StorageKey {
        registry: RegistryId::new(registry),
        epoch,
        generation,
    })
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..50).prop_map(Bytes::from)
}

fn location() -> impl Strategy<Value = BlobLocation> {
    prop_oneof![
        bytes().prop_map(BlobLocation::Inline),
        storage_key().prop_map(BlobLocation::Stored),
    ]
}

fn path() -> impl Strategy<Value = RepositoryPath> {
    ("[a-z0-9]{1,9}", "[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,3}").prop_map(|(registry, name)| {
        RepositoryPath {
            registry: registry.parse().unwrap(),
            name: name.parse().unwrap(),
        }
    })
}

fn request() -> impl Strategy<Value = RequestId> {
    any::<[u8; 16]>().prop_map(RequestId)
}

fn condition_or_none() -> impl Strategy<Value = Option<Condition>> {
    prop_oneof![
        Just(None),
        Just(Some(Condition::Absent)),
        digest().prop_map(|digest| Some(Condition::PointsAt(digest))),
    ]
}

fn stat() -> impl Strategy<Value = ManifestStat> {
    let parts = (digest(), any::<u64>(), version(), any::<bool>(), stale());
    parts.prop_map(
        |(digest, size, version, is_overtaken, stale)| ManifestStat {
            digest,
            media_type: MediaType::OCI_IMAGE_INDEX,
            size,
            version,
            is_overtaken,
            stale,
        },
    )
}

fn stale() -> impl Strategy<Value = Option<Stale>> {
    let age = any::<u32>().prop_map(|millis| Duration::from_millis(millis.into()));
    let stale = (proptest::option::of(age), "[a-z]{1,9}").prop_map(|(age, region)| Stale {
        region: region.parse().unwrap(),
        age,
    });
    proptest::option::of(stale)
}

fn candidates() -> impl Strategy<Value = Vec<(RegistryId, Digest)>> {
    vec((version().prop_map(RegistryId::new), digest()), 0..4)
}

/// A message after its way over the wire.
fn sent<M: Message + Default>(message: impl Into<M>) -> M {
    M::decode(&*message.into().encode_to_vec()).unwrap()
}

proptest! {
    #[test]
    fn manifests_come_back(stat in stat(), content in bytes()) {
        let message: pb::GetManifestResponse = sent(stat.clone());
        prop_assert_eq!(ManifestStat::try_from(message), Ok(stat.clone()));
        let size = content.len() as u64;
        let stored = StoredManifest { stat: ManifestStat { size, ..stat }, bytes: content };
        let message: pb::GetManifestResponse = sent(stored.clone());
        prop_assert_eq!(StoredManifest::try_from(message), Ok(stored));
    }

    #[test]
    fn writes_of_manifests_come_back(
        repository in path(),
        condition in condition_or_none(),
        request in request(),
        tags in vec("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", 0..4),
        sha512 in any::<bool>(),
    ) {
        let manifest = Manifest::parse(None, MANIFEST.into()).unwrap();
        let algorithm = if sha512 { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let digest = manifest.digest(algorithm);
        let put = PutManifest {
            repository,
            manifest,
            digest,
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            condition,
            request,
        };
        let again = PutManifest::try_from(sent::<pb::PutManifestRequest>(put.clone())).unwrap();
        prop_assert_eq!(again.manifest, put.manifest);
        let (repository, condition) = (again.repository, again.condition);
        prop_assert_eq!(
            (&repository, again.digest, again.tags, &condition, again.request),
            (&put.repository, put.digest, put.tags, &put.condition, put.request)
        );

        let delete = DeleteManifest { repository, reference: digest.into(), condition, request };
        let again: pb::DeleteManifestRequest = sent(delete.clone());
        let again = DeleteManifest::try_from(again).unwrap();
        prop_assert_eq!(
            (again.repository, again.reference, again.condition, again.request),
            (delete.repository, delete.reference, delete.condition, delete.request)
        );
    }

    #[test]
    fn blobs_come_back(
        repository in path(),
        digest in digest(),
        size in any::<u64>(),
        location in location(),
        instead_of in proptest::option::of(storage_key()),
        request in request(),
        version in version(),
        wants_touch in any::<bool>(),
        is_readable in any::<bool>(),
        stale in stale(),
    ) {
        let encoding = Encoding::Plain;
        let location_of = location.clone();
        let record = BlobRecord { size, encoding, location: location_of, wants_touch, is_readable, stale };
        let message: pb::GetBlobResponse = sent(record.clone());
        prop_assert_eq!(BlobRecord::try_from(message), Ok(record));
        let put = PutBlob { repository, digest, size, encoding, location, instead_of, request };
        let again = PutBlob::try_from(sent::<pb::PutBlobRequest>(put.clone())).unwrap();
        prop_assert_eq!(
            (again.repository, again.digest, again.size, again.location, again.request),
            (put.repository, put.digest, put.size, put.location, put.request)
        );
        prop_assert_eq!(again.instead_of, put.instead_of);
        let done = BlobPut { version, kept: instead_of };
        prop_assert_eq!(BlobPut::try_from(sent::<pb::PutBlobResponse>(done.clone())), Ok(done));
    }

    #[test]
    fn steps_of_collection_come_back(
        blobs in candidates(),
        keys in vec(storage_key(), 0..4),
        size in any::<u64>(),
        flags in any::<(bool, bool)>(),
    ) {
        let due: Vec<_> = blobs
            .iter()
            .map(|(registry, digest)| Due {
                registry: *registry,
                digest: *digest,
                size,
                condemned: flags.0,
                held: flags.1,
            })
            .collect();
        prop_assert_eq!(take_due(sent(super::due(due.clone()))), Ok(due));
        let doomed: Vec<_> = keys.iter().map(|key| Doomed { key: *key }).collect();
        prop_assert_eq!(take_doomed(sent(super::doomed(doomed.clone()))), Ok(doomed));
        for step in [
            Collect::Condemn(blobs.clone()),
            Collect::Remove(blobs),
            Collect::Deleted(keys.clone()),
            Collect::Doom(keys),
        ] {
            let message = pb::CollectRequest { step: Some(step.clone().into()), request: None };
            prop_assert_eq!(Collect::try_from(sent::<pb::CollectRequest>(message).step), Ok(step));
        }
    }

    #[test]
    fn lists_come_back(
        names in vec("[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,3}", 0..5),
        more in any::<bool>(),
        next in proptest::option::of(digest()),
        version in version(),
    ) {
        let items = names.iter().map(|name| name.parse().unwrap()).collect();
        let page = Page::<RepositoryName> { items, more };
        let message: pb::ListRepositoriesResponse = sent(page.clone());
        prop_assert_eq!(Page::<RepositoryName>::try_from(message), Ok(page));
        let referrers = Referrers { descriptors: names, next };
        let message: pb::ListReferrersResponse = sent(referrers.clone());
        prop_assert_eq!(Referrers::try_from(message), Ok(referrers));
        let put = ManifestPut { version };
        let message: pb::PutManifestResponse = sent(put.clone());
        prop_assert_eq!(ManifestPut::try_from(message), Ok(put));
    }
}

fn put_manifest(change: impl FnOnce(&mut pb::PutManifestRequest)) -> DecodeError {
    let manifest = Manifest::parse(None, MANIFEST.into()).unwrap();
    let digest = manifest.digest(Algorithm::Sha256);
    let put = PutManifest {
        repository: RepositoryPath {
            registry: "default".parse().unwrap(),
            name: "team/app".parse().unwrap(),
        },
        manifest,
        digest,
        tags: vec!["latest".parse().unwrap()],
        condition: Some(Condition::Absent),
        request: RequestId([1; 16]),
    };
    let mut message = pb::PutManifestRequest::from(put);
    change(&mut message);
    PutManifest::try_from(message).unwrap_err()
}

#[test]
fn a_manifest_is_read_anew() {
    use DecodeError::{Invalid, Missing};
    let not_json = put_manifest(|it| it.content = Bytes::from_static(b"{"));
    assert_eq!(not_json, Invalid("content"));
    let another = "application/vnd.oci.image.index.v1+json";
    assert_eq!(
        put_manifest(|it| it.media_type = another.to_owned()),
        Invalid("content")
    );
    let other = Digest::of(Algorithm::Sha256, b"other");
    assert_eq!(
        put_manifest(|it| it.digest = Some(other.into())),
        Invalid("digest")
    );
    assert_eq!(put_manifest(|it| it.digest = None), Missing("digest"));
    assert_eq!(
        put_manifest(|it| it.tags.push("-".to_owned())),
        Invalid("tags")
    );
    let name = put_manifest(|it| it.repository.as_mut().unwrap().name = "..".to_owned());
    assert_eq!(name, Invalid("repository.name"));
    assert_eq!(put_manifest(|it| it.request = None), Missing("request"));
    let short = put_manifest(|it| it.request.as_mut().unwrap().id = Bytes::from_static(b"short"));
    assert_eq!(short, Invalid("request"));
}

#[test]
fn a_condition_that_is_not_known_is_not_taken_for_none() {
    use pb::condition::Condition as Wire;
    assert_eq!(condition(None), Ok(None));
    let unknown = pb::Condition { condition: None };
    assert_eq!(
        condition(Some(unknown)),
        Err(DecodeError::Missing("condition"))
    );
    for wire in [
        Wire::Absent(false),
        Wire::PointsAt(content::Digest { hash: None }),
    ] {
        let value = pb::Condition {
            condition: Some(wire),
        };
        assert!(condition(Some(value)).is_err());
    }
}

#[test]
fn an_encoding_that_is_not_known_is_not_taken_for_plain() {
    for encoding in [0, 2, -1] {
        let message = pb::GetBlobResponse {
            size: 1,
            encoding,
            location: Some(BlobLocation::Inline(Bytes::new()).into()),
            wants_touch: false,
            stale: None,
            unreadable: false,
        };
        let record = BlobRecord::try_from(message);
        assert_eq!(record, Err(DecodeError::Invalid("encoding")));
    }
}

#[test]
fn content_of_another_length_is_refused() {
    let stat = ManifestStat {
        digest: Digest::of(Algorithm::Sha256, b"abc"),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        size: 4,
        version: Version {
            millis: 1,
            counter: 0,
            region: "eu".parse().unwrap(),
        },
        is_overtaken: false,
        stale: None,
    };
    let bytes = Bytes::from_static(b"abc");
    let message = pb::GetManifestResponse::from(StoredManifest { stat, bytes });
    assert_eq!(
        StoredManifest::try_from(message),
        Err(DecodeError::Invalid("content"))
    );
}

#[test]
fn sessions_come_back() {
    use meridian_proto::meridian::blob::v1 as blob;
    let status = UploadStatus {
        upload: "0123456789abcdef".parse().unwrap(),
        offset: u64::MAX,
        min_chunk: Some(5),
    };
    let message: blob::UploadStatus = sent(status.clone());
    assert_eq!(UploadStatus::try_from(message), Ok(status.clone()));
    for outcome in [MountOutcome::Mounted, MountOutcome::Session(status)] {
        let message: blob::MountResponse = sent(outcome.clone());
        assert_eq!(MountOutcome::try_from(message), Ok(outcome));
    }
    let stale = Stale {
        region: "eu".parse().unwrap(),
        age: Some(Duration::from_millis(1_500)),
    };
    for stale in [None, Some(stale)] {
        let stat = BlobStat {
            size: 9,
            is_readable: stale.is_none(),
            stale,
        };
        let message: blob::StatResponse = sent(stat);
        assert_eq!(BlobStat::try_from(message), Ok(stat));
    }
    let range = meridian_oci::ContentRange::new(3, 9).unwrap();
    let transfer = Transfer {
        range: Some(range),
        length: Some(7),
        ..Transfer::empty()
    };
    let message: blob::TransferHead = sent(&transfer);
    assert_eq!(transfer_head(Some(message)), Ok((Some(range), Some(7))));
    assert_eq!(transfer_head(None), Ok((None, None)));
}

#[test]
fn limits_are_kept() {
    assert_eq!(
        (page_limit(0), page_limit(10_000), page_limit(u64::MAX)),
        (0, 10_000, 10_000)
    );
    assert_eq!(descriptor_bytes(u64::MAX), 4 * 1024 * 1024);
}
