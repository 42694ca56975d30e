//! Whether what was promised was kept.
//!
//! Looks at everything in the ledger through the front door: what was put is there with its bytes
//! and all that it needs, what was deleted is answered 404, every tag points at what it may, and the
//! list of tags names those that point at something and no other. What nobody knew is known
//! afterwards, and must stay so from then on.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, stream};
use harness::{Client, digest};
use meridian_oci::Digest;

use crate::ledger::{Fate, Ledger, Place};

/// Requests under way at once.
const AT_ONCE: usize = 8;

impl Ledger {
    /// What is not as it was promised, in words.
    pub(crate) async fn broken(&mut self, client: &Client) -> Vec<String> {
        let mut broken = Vec::new();
        self.check_manifests(client, &mut broken).await;
        self.check_blobs(client, &mut broken).await;
        self.check_tags(client, &mut broken).await;
        broken
    }

    async fn check_manifests(&mut self, client: &Client, broken: &mut Vec<String>) {
        let paths = self
            .manifests
            .keys()
            .map(|place| path("manifests", place))
            .collect();
        let answers = fetch(client, paths).await;
        for (((repository, digest), (image, fate)), answer) in
            self.manifests.iter_mut().zip(answers)
        {
            let what = format!("manifest {repository}@{digest}");
            match (answer, *fate) {
                (Ok((200, _)), Fate::Absent) => broken.push(format!("{what} is back")),
                (Ok((200, bytes)), _) if bytes != image.manifest => {
                    broken.push(format!("{what} has other bytes"));
                }
                (Ok((200, _)), Fate::Present | Fate::Either) => *fate = Fate::Present,
                (Ok((404, _)), Fate::Absent | Fate::Either) => *fate = Fate::Absent,
                (answer, _) => broken.push(format!("{what}: {}", status(&answer))),
            }
        }
    }

    async fn check_blobs(&mut self, client: &Client, broken: &mut Vec<String>) {
        let needed: BTreeSet<Place> = self.needed().collect();
        for place in &needed {
            self.blobs.entry(place.clone()).or_insert(Fate::Present);
        }
        let paths = self
            .blobs
            .keys()
            .map(|place| path("blobs", place))
            .collect();
        let answers = fetch(client, paths).await;
        for ((place, fate), answer) in self.blobs.iter_mut().zip(answers) {
            let what = format!("blob {}@{}", place.0, place.1);
            let may_be_absent = *fate == Fate::Either || self.collects;
            match answer {
                Ok((200, bytes)) if digest(&bytes) != place.1 => {
                    broken.push(format!("{what} has other bytes"));
                }
                Ok((200, _)) if *fate == Fate::Absent => broken.push(format!("{what} is back")),
                Ok((200, _)) => {}
                Ok((404, _)) if needed.contains(place) => {
                    broken.push(format!("{what} is missing, and a manifest needs it"));
                }
                Ok((404, _)) if *fate == Fate::Absent || may_be_absent => *fate = Fate::Absent,
                answer => broken.push(format!("{what}: {}", status(&answer))),
            }
        }
    }

    /// The blobs of the manifests that are there.
    fn needed(&self) -> impl Iterator<Item = Place> {
        let present = self.manifests.iter();
        let present = present.filter(|(_, (_, fate))| *fate == Fate::Present);
        present.flat_map(|((repository, _), (image, _))| {
            let blobs = image.blobs.iter();
            blobs.map(|blob| (repository.clone(), digest(blob)))
        })
    }

    async fn check_tags(&mut self, client: &Client, broken: &mut Vec<String>) {
        let paths = self.tags.keys();
        let paths = paths.map(|(repository, tag)| format!("/v2/{repository}/manifests/{tag}"));
        let answers = fetch(client, paths.collect()).await;
        let mut shown: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for (((repository, tag), allowed), answer) in self.tags.iter_mut().zip(answers) {
            let listed = shown.entry(repository).or_default();
            let found = match answer {
                Ok((200, bytes)) => Some(digest(&bytes)),
                Ok((404, _)) => None,
                answer => {
                    broken.push(format!("{repository}:{tag}: {}", status(&answer)));
                    continue;
                }
            };
            if let Some(manifest) = found {
                listed.insert(tag);
                let known = self.manifests.get(&(repository.clone(), manifest));
                if known.is_none_or(|(_, fate)| *fate != Fate::Present) {
                    broken.push(format!("{repository}:{tag} dangles: {manifest}"));
                }
            }
            if allowed.contains(&found) {
                *allowed = vec![found];
            } else {
                let text = format!("{repository}:{tag} is {found:?}, not one of {allowed:?}");
                broken.push(text);
            }
        }
        for (repository, shown) in shown {
            let listed = list(client, repository).await;
            if !listed.iter().eq(shown) {
                broken.push(format!("the list of {repository} is {listed:?}"));
            }
        }
    }
}

/// The tags of a repository, as they are listed.
async fn list(client: &Client, repository: &str) -> BTreeSet<String> {
    let answer = client.get(&format!("/v2/{repository}/tags/list")).await;
    let answer = answer.unwrap();
    if answer.status.as_u16() == 404 {
        return BTreeSet::new();
    }
    assert_eq!(answer.header("link"), None, "more tags than one page has");
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let tags = list["tags"].as_array().unwrap().iter();
    tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

type Fetched = reqwest::Result<(u16, Bytes)>;

/// What is there under each path.
async fn fetch(client: &Client, paths: Vec<String>) -> Vec<Fetched> {
    let answers = paths.into_iter().map(|path| async move {
        let answer = client.get(&path).await?;
        Ok((answer.status.as_u16(), answer.body))
    });
    stream::iter(answers).buffered(AT_ONCE).collect().await
}

fn path(kind: &str, (repository, digest): &(String, Digest)) -> String {
    format!("/v2/{repository}/{kind}/{digest}")
}

fn status(answer: &Fetched) -> String {
    match answer {
        Ok((status, _)) => format!("answered {status}"),
        Err(error) => error.to_string(),
    }
}
