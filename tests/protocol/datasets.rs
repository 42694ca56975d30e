//! Every kind of content that a registry keeps, from its push to its deletion, in both algorithms
//! (distribution-spec "Push", "Pull", "Content Discovery", "Content Management"; image-spec).

mod kinds;

use std::collections::BTreeSet;

use meridian_oci::{Algorithm, Digest};
use serde_json::{Value, json};

use self::kinds::{KINDS, SBOM};
use crate::content::{ALGORITHMS, Document, INDEX, Set, index};
use crate::expected::{is, refused};
use crate::server::Registry;
use crate::table::Table;
use crate::wire::{delete, get, head, post, put, with};

#[tokio::test]
async fn what_is_pushed_is_listed_and_pulled_and_can_be_deleted() {
    let registry = Registry::start().await;
    let mut table = registry.table("distribution-spec, from push to deletion");
    for algorithm in ALGORITHMS {
        for (seed, (name, make)) in (0..).zip(KINDS) {
            let mut set = Set::new(algorithm, seed);
            make(&mut set);
            let walk = Walk {
                name: format!("{name}, {algorithm}"),
                repository: registry.repository(&format!("{algorithm}/set{seed}")),
                set: &set,
            };
            walk.push(&mut table).await;
            walk.list(&mut table).await;
            walk.pull(&mut table).await;
            walk.refer(&mut table).await;
            walk.delete(&mut table).await;
        }
    }
}

/// The life of a set in a repository.
struct Walk<'a> {
    name: String,
    repository: String,
    set: &'a Set,
}

impl Walk<'_> {
    fn blob(&self, digest: impl std::fmt::Display) -> String {
        format!("/v2/{}/blobs/{digest}", self.repository)
    }

    fn manifest(&self, reference: impl std::fmt::Display) -> String {
        format!("/v2/{}/manifests/{reference}", self.repository)
    }

    fn referrers(&self, subject: impl std::fmt::Display) -> String {
        format!("/v2/{}/referrers/{subject}", self.repository)
    }

    /// The blobs, each in the algorithms in which a manifest names it.
    fn blobs(&self) -> Vec<(Digest, &[u8])> {
        let named: String = self
            .set
            .manifests
            .iter()
            .map(|it| it.json().to_string())
            .collect();
        let both =
            self.set.blobs.iter().flat_map(|blob| {
                ALGORITHMS.map(|algorithm| (Digest::of(algorithm, blob), &blob[..]))
            });
        let unique: BTreeSet<_> = both
            .filter(|(digest, _)| named.contains(&digest.to_string()))
            .collect();
        unique.into_iter().collect()
    }

    fn tags(&self) -> BTreeSet<&'static str> {
        let tags = self
            .set
            .manifests
            .iter()
            .flat_map(|document| &document.tags);
        tags.copied().collect()
    }

    async fn push(&self, table: &mut Table<'_>) {
        let name = &self.name;
        for (digest, bytes) in self.blobs() {
            let target = format!("/v2/{}/blobs/uploads/?digest={digest}", self.repository);
            let expected = is(201).of(&digest).header("Location", self.blob(digest));
            let request = post(target).body(bytes.to_vec());
            table
                .row(format!("{name}: a blob is pushed"), request, expected)
                .await;
        }
        for document in &self.set.manifests {
            self.put(table, document).await;
        }
    }

    /// By digest, then by tag. Only sha256 can be had by pushing to a tag; with tags as parameters,
    /// any algorithm can.
    async fn put(&self, table: &mut Table<'_>, document: &Document) {
        let (name, digest) = (&self.name, &document.digest);
        let send = |target: String| {
            let request = put(target).header("Content-Type", document.media_type);
            request.body(document.bytes.clone())
        };
        let mut expected = is(201)
            .of(digest)
            .header("Location", self.manifest(digest))
            .without("OCI-Tag");
        expected = match document.subject() {
            Some(subject) => expected.header("OCI-Subject", subject),
            None => expected.without("OCI-Subject"),
        };
        let rule = format!("{name}: a manifest is pushed by digest");
        table
            .row(rule, send(self.manifest(digest)), expected.clone())
            .await;
        for tag in &document.tags {
            if digest.algorithm() == Algorithm::Sha256 {
                let rule = format!("{name}: a manifest is pushed by tag");
                table
                    .row(rule, send(self.manifest(tag)), expected.clone())
                    .await;
            } else {
                let rule = format!("{name}: a manifest is pushed by digest with a tag");
                let target = with(&self.manifest(digest), "tag", tag);
                let expected = is(201).of(digest).header("OCI-Tag", tag);
                table.row(rule, send(target), expected).await;
            }
        }
    }

    async fn list(&self, table: &mut Table<'_>) {
        let name = &self.name;
        let tags: Vec<&str> = self.tags().into_iter().collect();
        let target = format!("/v2/{}/tags/list", self.repository);
        let all = json!({"name": self.repository, "tags": tags});
        let rule = format!("{name}: its tags are listed in byte order");
        table
            .row(rule, get(target.clone()), is(200).json(all))
            .await;
        let rest = json!({"name": self.repository, "tags": tags[1..]});
        let rule = format!("{name}: the tags after the first one are listed");
        let target = with(&target, "last", tags[0]);
        table.row(rule, get(target), is(200).json(rest)).await;
    }

    async fn pull(&self, table: &mut Table<'_>) {
        let name = &self.name;
        for (digest, bytes) in self.blobs() {
            let expected = is(200)
                .of(&digest)
                .header("Content-Length", bytes.len())
                .header("Accept-Ranges", "bytes");
            let rule = format!("{name}: a blob is asked about");
            table
                .row(rule, head(self.blob(digest)), expected.clone())
                .await;
            let rule = format!("{name}: a blob is pulled");
            let expected = expected.body(bytes.to_vec());
            table.row(rule, get(self.blob(digest)), expected).await;
        }
        for document in &self.set.manifests {
            let digest = document.digest.to_string();
            for reference in document.tags.iter().copied().chain([digest.as_str()]) {
                let expected = is(200)
                    .of(&document.digest)
                    .header("Content-Type", document.media_type)
                    .header("Content-Length", document.bytes.len());
                let rule = format!("{name}: {reference} is asked about");
                table
                    .row(rule, head(self.manifest(reference)), expected.clone())
                    .await;
                let rule = format!("{name}: {reference} is pulled as it was pushed");
                let expected = expected.body(document.bytes.clone());
                table
                    .row(rule, get(self.manifest(reference)), expected)
                    .await;
            }
        }
    }

    async fn refer(&self, table: &mut Table<'_>) {
        let name = &self.name;
        for subject in self.subjects() {
            let listed = self.referrers_of(&subject);
            let rule = format!("{name}: the referrers are listed with type, size and annotations");
            let answer = table
                .row(
                    rule,
                    get(self.referrers(&subject)),
                    is(200)
                        .header("Content-Type", INDEX)
                        .without("OCI-Filters-Applied"),
                )
                .await;
            table.must(
                format!("{name}: the list is an index"),
                shape(&answer.body),
                Some(listed.clone()),
            );
            let filtered: BTreeSet<String> = listed
                .iter()
                .filter(|entry| entry.contains(SBOM))
                .cloned()
                .collect();
            let rule = format!("{name}: the referrers are listed by type");
            let target = with(&self.referrers(&subject), "artifactType", SBOM);
            let answer = table
                .row(
                    rule,
                    get(target),
                    is(200).header("OCI-Filters-Applied", "artifactType"),
                )
                .await;
            table.must(
                format!("{name}: only that type is listed"),
                shape(&answer.body),
                Some(filtered),
            );
        }
        for document in &self.set.manifests {
            if !self.subjects().contains(&document.digest.to_string()) {
                let rule = format!("{name}: what nothing refers to has an empty list of referrers");
                let expected = is(200).header("Content-Type", INDEX).json(index(&[]));
                table
                    .row(rule, get(self.referrers(document.digest)), expected)
                    .await;
            }
        }
    }

    fn subjects(&self) -> BTreeSet<String> {
        self.set
            .manifests
            .iter()
            .filter_map(Document::subject)
            .collect()
    }

    fn referrers_of(&self, subject: &str) -> BTreeSet<String> {
        let referrers = self.set.manifests.iter();
        let of = referrers.filter(|document| document.subject().as_deref() == Some(subject));
        of.map(|document| document.as_referrer().to_string())
            .collect()
    }

    /// Tags, then manifests from the root, then blobs; each is gone at once.
    async fn delete(&self, table: &mut Table<'_>) {
        let name = &self.name;
        for document in self.set.manifests.iter().rev() {
            for tag in &document.tags {
                let rule = format!("{name}: {tag} is deleted");
                table.row(rule, delete(self.manifest(tag)), is(202)).await;
                let rule = format!("{name}: {tag} is gone");
                let gone = refused(404, "MANIFEST_UNKNOWN");
                table.row(rule, get(self.manifest(tag)), gone).await;
            }
            let rule = format!("{name}: a manifest outlives its tags");
            table
                .row(rule, head(self.manifest(document.digest)), is(200))
                .await;
        }
        let target = format!("/v2/{}/tags/list", self.repository);
        let none = json!({"name": self.repository, "tags": []});
        let rule = format!("{name}: a list without tags is [], not null");
        table.row(rule, get(target), is(200).json(none)).await;
        for document in self.set.manifests.iter().rev() {
            let target = self.manifest(document.digest);
            let rule = format!("{name}: a manifest is deleted");
            table.row(rule, delete(target.clone()), is(202)).await;
            let rule = format!("{name}: a manifest is gone");
            table.row(rule, head(target), is(404)).await;
        }
        for subject in self.subjects() {
            let rule = format!("{name}: deleted referrers are not listed");
            let none = is(200).json(index(&[]));
            table.row(rule, get(self.referrers(subject)), none).await;
        }
        for (digest, _) in self.blobs() {
            let rule = format!("{name}: a blob is deleted");
            table.row(rule, delete(self.blob(digest)), is(202)).await;
            let rule = format!("{name}: a blob is gone");
            table.row(rule, head(self.blob(digest)), is(404)).await;
        }
    }
}

/// The entries of an index that lists referrers, if it is one and says nothing else.
fn shape(body: &[u8]) -> Option<BTreeSet<String>> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
    let Value::Array(entries) = document["manifests"].take() else {
        return None;
    };
    let frame = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": null});
    (document == frame).then(|| entries.iter().map(Value::to_string).collect())
}
