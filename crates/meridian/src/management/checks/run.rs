//! A check, from its first step to its last.
//!
//! Keeps two invariants: it ends within its deadline, and it leaves nothing behind, also where a step
//! has failed. What a process left that died amid a check, the next check removes.

use std::time::Duration;

use bytes::Bytes;
use meridian_event::{Event, shard_of};
use meridian_eventlog::ReadLimits;
use meridian_oci::{Digest, RepositoryName};
use meridian_proto::decode_envelope;
use serde_json::json;
use tokio::time::Instant;

use super::registry::{Outcome, Registry, digest};
use super::{CheckReport, Checks, EventSight, Step, StepName};
use crate::remote::Remote;

/// The repository of all checks. Nobody else should push there.
const REPOSITORY: &str = "meridian-check/artifact";
/// What is left there for so long was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(600);
/// What removing it may take.
const CLEANING: Duration = Duration::from_secs(5);

/// A tiny artifact that there was not before.
struct Artifact {
    tag: String,
    blobs: [Bytes; 2],
    manifest: Bytes,
}

/// Where the event of the push will stand.
struct Place<'a> {
    sight: &'a EventSight,
    shard: u16,
    from: u64,
}

/// The steps that were taken.
struct Steps {
    taken: Vec<Step>,
    failed: bool,
}

/// Checks a region.
pub(super) async fn run(checks: &Checks, frontend: &Remote) -> CheckReport {
    let (began, began_millis) = (Instant::now(), checks.clock.now_millis());
    let artifact = Artifact::new(began_millis);
    let registry = Registry {
        frontend,
        ca_file: checks.ca_file.as_ref(),
        deadline: began + checks.deadline,
    };
    let mut steps = Steps {
        taken: Vec::new(),
        failed: false,
    };
    let place = async { place(checks).await };
    let place = tokio::time::timeout_at(registry.deadline, place).await;
    let place = place.unwrap_or_else(|_| Err("the event log does not answer".to_owned()));
    take(&mut steps, &registry, &artifact, place).await;
    clean(&mut steps, &registry, &artifact, began_millis).await;
    CheckReport {
        passed: !steps.failed,
        began_millis,
        elapsed_micros: micros(began),
        artifact: format!("{REPOSITORY}:{}", artifact.tag),
        steps: steps.taken,
    }
}

async fn take(
    steps: &mut Steps,
    registry: &Registry<'_>,
    artifact: &Artifact,
    place: Outcome<Option<Place<'_>>>,
) {
    let Artifact {
        tag,
        blobs,
        manifest,
    } = artifact;
    steps.take(StepName::Reach, registry.reach()).await;
    let push = async {
        for blob in blobs {
            registry.push_blob(REPOSITORY, blob).await?;
        }
        Ok(())
    };
    steps.take(StepName::PushBlobs, push).await;
    let push = registry.push_manifest(REPOSITORY, tag, manifest);
    steps.take(StepName::PushManifest, push).await;
    let pull = async {
        let found = registry.manifest(REPOSITORY, tag).await?;
        same(&found, manifest)
    };
    steps.take(StepName::PullManifest, pull).await;
    let pull = async {
        for blob in blobs {
            let found = registry.blob(REPOSITORY, digest(blob)).await?;
            same(&found, blob)?;
        }
        Ok(())
    };
    steps.take(StepName::PullBlobs, pull).await;
    match place {
        Ok(None) => steps.skip(
            StepName::SeeEvent,
            "this process publishes no events; ask one that runs the metadata service",
        ),
        Ok(Some(place)) => {
            let seen = place.sees(digest(manifest));
            let seen = async {
                let seen = tokio::time::timeout_at(registry.deadline, seen).await;
                seen.unwrap_or_else(|_| Err("the event is not there in time".to_owned()))
            };
            steps.take(StepName::SeeEvent, seen).await;
        }
        Err(why) => steps.take(StepName::SeeEvent, async { Err(why) }).await,
    }
}

/// Removes the artifact, and what was left of others, whether all went well or not.
async fn clean(steps: &mut Steps, registry: &Registry<'_>, artifact: &Artifact, now: u64) {
    let registry = Registry {
        deadline: registry.deadline.max(Instant::now() + CLEANING),
        ..*registry
    };
    let paths = artifact.paths();
    let delete = async {
        for path in &paths {
            registry.delete(path).await?;
        }
        for tag in registry.tags(REPOSITORY).await? {
            if is_abandoned(&tag, now) {
                let left = registry.manifest(REPOSITORY, &tag).await?;
                let path = format!("/v2/{REPOSITORY}/manifests/{}", digest(&left));
                registry.delete(&path).await?;
            }
        }
        Ok(())
    };
    steps.take_anyway(StepName::Delete, delete).await;
    let gone = async {
        for path in &paths {
            registry.is_absent(path).await?;
        }
        Ok(())
    };
    steps.take(StepName::FindNothing, gone).await;
}

/// Where the event log ends in the shard of the repository.
async fn place(checks: &Checks) -> Outcome<Option<Place<'_>>> {
    let Some(sight) = &checks.events else {
        return Ok(None);
    };
    let id = sight.metadata.registry(&checks.registry).await;
    let id = id.map_err(|error| meridian_error::chain(&error))?;
    let repository: RepositoryName = REPOSITORY.parse().expect("it follows the grammar");
    let shard = shard_of(id, Some(&repository));
    let bounds = sight.log.bounds(&sight.topic, shard).await;
    let bounds = bounds.map_err(|error| meridian_error::chain(&error))?;
    Ok(Some(Place {
        sight,
        shard,
        from: bounds.high,
    }))
}

fn same(found: &Bytes, pushed: &Bytes) -> Outcome<()> {
    match found == pushed {
        true => Ok(()),
        false => Err("what was pulled is not what was pushed".to_owned()),
    }
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn is_abandoned(tag: &str, now: u64) -> bool {
    let began = tag.strip_prefix("check-").and_then(|it| it.split_once('-'));
    let began = began.and_then(|(millis, _)| millis.parse::<u64>().ok());
    began.is_some_and(|began| Duration::from_millis(now.saturating_sub(began)) > ABANDONED)
}

// === impl Artifact ===

impl Artifact {
    fn new(now: u64) -> Self {
        let nonce: u128 = rand::random();
        let config = json!({ "check": format!("{nonce:032x}") }).to_string();
        let layer = format!("{:032x}\n", nonce ^ u128::MAX);
        let blobs = [Bytes::from(config), Bytes::from(layer)];
        let describe = |blob: &Bytes, kind: &str| {
            json!({
                "mediaType": kind,
                "digest": digest(blob).to_string(),
                "size": blob.len(),
            })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.meridian.check.v1",
            "config": describe(&blobs[0], "application/vnd.meridian.check.config.v1+json"),
            "layers": [describe(&blobs[1], "text/plain")],
        });
        Self {
            tag: format!("check-{now}-{:08x}", nonce >> 96),
            blobs,
            manifest: manifest.to_string().into(),
        }
    }

    /// All of it, in the order in which it can be deleted.
    fn paths(&self) -> Vec<String> {
        let manifest = digest(&self.manifest);
        let mut paths = vec![format!("/v2/{REPOSITORY}/manifests/{manifest}")];
        let blobs = self.blobs.iter().map(|blob| digest(blob));
        paths.extend(blobs.map(|digest| format!("/v2/{REPOSITORY}/blobs/{digest}")));
        paths
    }
}

// === impl Place ===

impl Place<'_> {
    /// Returns when the event that put `wanted` is in the event log.
    async fn sees(mut self, wanted: Digest) -> Outcome<()> {
        loop {
            let limits = ReadLimits {
                records: 100,
                bytes: 8 << 20,
                wait: Duration::from_secs(1),
            };
            let (log, topic) = (&self.sight.log, &self.sight.topic);
            let read = log.read(topic, self.shard, self.from, limits).await;
            let read = read.map_err(|error| meridian_error::chain(&error))?;
            for stored in read {
                self.from = stored.offset + 1;
                let event = decode_envelope(&stored.record.payload);
                let event = event.map_err(|error| meridian_error::chain(&error))?.event;
                if matches!(event, Event::ManifestPut { manifest, .. } if manifest.digest == wanted)
                {
                    return Ok(());
                }
            }
        }
    }
}

// === impl Steps ===

impl Steps {
    /// Takes a step, unless one before has failed.
    async fn take(&mut self, name: StepName, step: impl Future<Output = Outcome<()>>) {
        if self.failed {
            return self.skip(name, "a step before has failed");
        }
        self.take_anyway(name, step).await;
    }

    async fn take_anyway(&mut self, name: StepName, step: impl Future<Output = Outcome<()>>) {
        let began = Instant::now();
        let outcome = step.await;
        self.failed |= outcome.is_err();
        self.taken.push(Step {
            name,
            outcome: match outcome {
                Ok(()) => super::Outcome::Passed,
                Err(_) => super::Outcome::Failed,
            },
            elapsed_micros: micros(began),
            detail: outcome.err(),
        });
    }

    fn skip(&mut self, name: StepName, why: &str) {
        self.taken.push(Step {
            name,
            outcome: super::Outcome::Skipped,
            elapsed_micros: 0,
            detail: Some(why.to_owned()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_is_abandoned() {
        let now = 1_700_000_000_000;
        let tag = |age: u64| Artifact::new(now - age).tag;
        assert!(!is_abandoned(&tag(0), now));
        assert!(!is_abandoned(&tag(600_000), now));
        assert!(is_abandoned(&tag(600_001), now));
        assert!(!is_abandoned(&tag(600_001), 0), "a clock that fell back");
        for tag in ["latest", "check-", "check-x-0", "check-1"] {
            assert!(!is_abandoned(tag, now), "{tag}");
        }
    }
}
