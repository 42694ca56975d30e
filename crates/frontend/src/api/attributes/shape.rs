//! How repositories, tags and manifests look (ACR data-plane REST API 2021-07-01).
//!
//! Times are those of versions, RFC 3339 in UTC with seven digits behind the point. What is not known is left
//! out: nobody writes down when a tag was first put, so its `createdTime` is that of its last put; and the
//! platform of an image stands in its configuration, which is a blob.

use jiff::Timestamp;
use meridian_clients::{Described, RepositoryDeleted, RepositoryPath};
use meridian_clock::{Region, Version};
use meridian_event::{Attributes, Target};
use meridian_oci::{Digest, Reference, Tag};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Of the bytes of a manifest, what its document shows. Whatever else they say, they were read before.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    config: Option<Part>,
    layers: Vec<Part>,
    manifests: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Part {
    digest: String,
    media_type: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Platform {
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<String>,
}

/// A resource of the registry that the client calls `registry`, and the regions that have its attributes as it
/// shows them, where anybody asked: ACR says nothing of those.
pub(super) fn document(
    registry: &str,
    repository: &RepositoryPath,
    target: &Target,
    found: &Described,
    regions: &[Region],
) -> String {
    let name = repository.name.as_str();
    let mut document = match target {
        Target::Repository => {
            let mut it = timed(found);
            it["registry"] = registry.into();
            it["imageName"] = name.into();
            it["manifestCount"] = found.manifests.into();
            it["tagCount"] = found.tags.into();
            it
        }
        Target::Tag(name_of_it) => {
            let it = tag(name_of_it, found);
            json!({ "registry": registry, "imageName": name, "tag": it })
        }
        Target::Manifest(digest) => {
            let content = content(found);
            let mut it = manifest(*digest, found, &content);
            let references = content.manifests.into_iter().map(|part| {
                let mut it = json!(part.platform.unwrap_or_default());
                it["digest"] = part.digest.into();
                it
            });
            let references: Vec<_> = references.collect();
            if !references.is_empty() {
                it["references"] = references.into();
            }
            json!({ "registry": registry, "imageName": name, "manifest": it })
        }
    };
    if !regions.is_empty() {
        let regions = regions.iter().map(ToString::to_string);
        document["regions"] = regions.collect::<Vec<_>>().into();
    }
    document.to_string()
}

/// What a deletion took away.
pub(super) fn deleted(deleted: &RepositoryDeleted) -> String {
    let manifests = deleted.manifests.iter().map(ToString::to_string);
    let tags = deleted.tags.iter().map(ToString::to_string);
    json!({
        "manifestsDeleted": manifests.collect::<Vec<_>>(),
        "tagsDeleted": tags.collect::<Vec<_>>(),
    })
    .to_string()
}

/// A list of tags, or of manifests. What an index holds, its own document says.
pub(super) fn list(
    registry: &str,
    repository: &RepositoryPath,
    kind: &'static str,
    items: &[(Reference, Described)],
) -> String {
    let items = items.iter().map(|(reference, found)| match reference {
        Reference::Tag(name) => tag(name, found),
        Reference::Digest(digest) => manifest(*digest, found, &content(found)),
    });
    let mut document = json!({ "registry": registry, "imageName": repository.name.as_str() });
    document[kind] = items.collect::<Vec<_>>().into();
    document.to_string()
}

fn tag(name: &Tag, found: &Described) -> Value {
    let mut it = timed(found);
    it["name"] = name.as_str().into();
    it["signed"] = false.into();
    if let Some(digest) = found.digest {
        it["digest"] = digest.to_string().into();
    }
    it
}

fn content(found: &Described) -> Content {
    serde_json::from_slice(&found.bytes).unwrap_or_default()
}

fn manifest(digest: Digest, found: &Described, content: &Content) -> Value {
    let mut it = timed(found);
    it["digest"] = digest.to_string().into();
    let names = found.names.iter().map(ToString::to_string);
    it["tags"] = names.collect::<Vec<_>>().into();
    if let Some(media_type) = &found.media_type {
        it["mediaType"] = media_type.to_string().into();
    }
    let parts = content.layers.iter().chain(&content.config);
    it["imageSize"] = parts
        .fold(0, |sum: u64, part| sum.saturating_add(part.size))
        .into();
    let config = content.config.as_ref();
    if let Some(config) = config.filter(|it| !it.media_type.is_empty()) {
        it["configMediaType"] = config.media_type.as_str().into();
    }
    it
}

/// What all of them say.
fn timed(found: &Described) -> Value {
    let Attributes {
        delete,
        write,
        read,
        list,
    } = found.attributes;
    let mut it = json!({
        "changeableAttributes": {
            "deleteEnabled": delete,
            "writeEnabled": write,
            "readEnabled": read,
            "listEnabled": list,
        },
    });
    for (name, version) in [
        ("createdTime", found.created),
        ("lastUpdateTime", found.updated),
    ] {
        if let Some(time) = version.and_then(time) {
            it[name] = time.into();
        }
    }
    it
}

fn time(version: Version) -> Option<String> {
    let millis = i64::try_from(version.millis).ok()?;
    let time = Timestamp::from_millisecond(millis).ok()?;
    Some(format!("{time:.7}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn found() -> Described {
        let version = Version {
            millis: 1_700_000_000_123,
            counter: 4,
            region: "eu".parse().unwrap(),
        };
        Described {
            is_there: true,
            attributes: Attributes {
                write: false,
                ..Attributes::ENABLED
            },
            created: Some(version),
            updated: Some(version),
            manifests: 2,
            tags: 3,
            digest: None,
            names: vec!["v1".parse().unwrap()],
            media_type: None,
            bytes: Bytes::new(),
        }
    }

    fn read(target: &Target, found: &Described) -> Value {
        let repository = RepositoryPath {
            registry: "default".parse().unwrap(),
            name: "team/app".parse().unwrap(),
        };
        let document = document("reg.example:5000", &repository, target, found, &[]);
        serde_json::from_str(&document).unwrap()
    }

    #[test]
    fn a_repository_is_not_wrapped_and_a_tag_is() {
        let attributes = json!({
            "deleteEnabled": true, "writeEnabled": false, "readEnabled": true, "listEnabled": true,
        });
        let time = "2023-11-14T22:13:20.1230000Z";
        assert_eq!(
            read(&Target::Repository, &found()),
            json!({
                "registry": "reg.example:5000", "imageName": "team/app", "manifestCount": 2, "tagCount": 3,
                "createdTime": time, "lastUpdateTime": time, "changeableAttributes": attributes,
            })
        );
        assert_eq!(
            read(&Target::Tag("v1".parse().unwrap()), &found()),
            json!({
                "registry": "reg.example:5000", "imageName": "team/app",
                "tag": {
                    "name": "v1", "signed": false, "createdTime": time, "lastUpdateTime": time,
                    "changeableAttributes": attributes,
                },
            })
        );
    }

    #[test]
    fn an_index_shows_its_children_and_an_image_its_size() {
        let digest = Digest::of(meridian_oci::Algorithm::Sha256, b"x");
        let mut found = found();
        found.bytes = Bytes::from_static(
            br#"{"manifests":[{"digest":"sha256:a","size":7,"platform":{"os":"linux"}},{"digest":"b"}]}"#,
        );
        let index = read(&Target::Manifest(digest), &found);
        assert_eq!(
            index["manifest"]["references"],
            json!([{ "digest": "sha256:a", "os": "linux" }, { "digest": "b" }])
        );
        found.bytes = Bytes::from_static(
            br#"{"config":{"mediaType":"a/b","size":5},"layers":[{"size":10},{"size":20}]}"#,
        );
        let image = read(&Target::Manifest(digest), &found);
        assert_eq!(image["manifest"]["imageSize"], 35);
        assert_eq!(image["manifest"]["configMediaType"], "a/b");
        assert_eq!(image["manifest"]["tags"], json!(["v1"]));
    }
}
