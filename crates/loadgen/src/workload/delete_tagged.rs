//! D1: one manifest is deleted from a repository with very many tags.
//!
//! In the first case the deleted manifest has one tag and all others point at another one: the
//! registry must find that one. In the second case all tags point at it and go with it; they are
//! put there anew before each block, so that few pairs must do.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::StatusCode;

use super::stock::{push_blobs, small_manifest};
use super::tag_list::{put_tags, tag};
use super::{
    About, Case, Fresh, LoadError, Manner, Measures, REGISTRIES, Scale, Site, Verified, Workload,
};
use crate::client::CallError;
use crate::content::Manifest;
use crate::drive::Block;
use crate::metric::{Bound, Metric, Target};
use crate::registry::Session;
use crate::sample::Sample;

const ONE: &str = "1 at the manifest";
const ALL: &str = "all at the manifest";

const TARGETS: &[Target] = &[
    Target::ratio("", Metric::P50, Bound::AtMost).required(0.001),
    Target::ours("", Metric::P50, 15.0),
];

pub(super) struct DeleteTagged;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    OneTag,
    AllTags,
}

struct Deletions {
    site: Site,
    spread: Spread,
    tags: u32,
    session: Option<Session>,
    victim: Option<Manifest>,
    made: u64,
    deleted: Vec<Manifest>,
}

// === impl DeleteTagged ===

impl Workload for DeleteTagged {
    fn about(&self) -> About {
        About {
            id: "D1",
            title: "DELETE a manifest by digest in a repository with many tags",
            operation: "deletion",
            products: REGISTRIES,
            fresh: Fresh::Case,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |spread| -> Box<dyn Case> {
            Box::new(Deletions {
                site: site.clone(),
                spread,
                tags: scale.tags_at_delete,
                session: None,
                victim: None,
                made: 0,
                deleted: Vec::new(),
            })
        };
        vec![case(Spread::OneTag), case(Spread::AllTags)]
    }
}

// === impl Deletions ===

impl Deletions {
    fn repository(&self) -> &'static str {
        match self.spread {
            Spread::OneTag => "load/delete-one",
            Spread::AllTags => "load/delete-all",
        }
    }

    async fn session(&mut self) -> Result<&mut Session, CallError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.site.registry).await?,
        };
        Ok(self.session.insert(session))
    }

    /// The status of a manifest under a tag or digest.
    async fn status(&mut self, reference: &str) -> Result<StatusCode, CallError> {
        let path = format!("/v2/{}/manifests/{reference}", self.repository());
        self.session().await?.head(&path).await
    }

    async fn want(&mut self, reference: &str, wanted: StatusCode) -> Result<(), CallError> {
        if self.status(reference).await? == wanted {
            return Ok(());
        }
        Err(CallError::Content {
            what: format!("HEAD of {reference} after a deletion"),
        })
    }
}

#[async_trait]
impl Case for Deletions {
    fn name(&self) -> String {
        let spread = match self.spread {
            Spread::OneTag => ONE,
            Spread::AllTags => ALL,
        };
        format!("{} tags, {spread}", self.tags)
    }

    fn manner(&self) -> Manner {
        Manner {
            warm_up: false,
            pairs: match self.spread {
                Spread::OneTag => usize::MAX,
                Spread::AllTags => 3,
            },
            limit: Duration::from_secs(3600),
            ..Manner::of(Measures::Operations)
        }
    }

    async fn prepare(&mut self) -> Result<(), LoadError> {
        let repository = self.repository();
        if self.spread == Spread::OneTag {
            let lasting = small_manifest(u64::MAX);
            put_tags(&self.site.registry, repository, &lasting, self.tags).await?;
        }
        Ok(push_blobs(self.session().await?, repository).await?)
    }

    async fn arm(&mut self) -> Result<(), LoadError> {
        self.made += 1;
        let victim = small_manifest(self.made);
        let repository = self.repository();
        if self.spread == Spread::AllTags {
            put_tags(&self.site.registry, repository, &victim, self.tags).await?;
        }
        let session = self.session().await?;
        session.put_manifest(repository, "victim", &victim).await?;
        self.victim = Some(victim);
        Ok(())
    }

    async fn fire(&mut self, _block: &Block) -> Result<Sample, LoadError> {
        let Some(victim) = self.victim.take() else {
            return Ok(Sample::default());
        };
        let repository = self.repository();
        let session = self.session().await?;
        let start = Instant::now();
        session.delete_manifest(repository, &victim.digest).await?;
        let elapsed = start.elapsed();
        self.deleted.push(victim);
        let mut sample = Sample {
            operations: 1,
            elapsed,
            ..Sample::default()
        };
        sample.latencies.record(elapsed);
        Ok(sample)
    }

    async fn verify(&mut self) -> Result<Verified, LoadError> {
        let deleted = std::mem::take(&mut self.deleted);
        for manifest in &deleted {
            self.want(manifest.digest.as_str(), StatusCode::NOT_FOUND)
                .await?;
        }
        self.want("victim", StatusCode::NOT_FOUND).await?;
        let others = match self.spread {
            Spread::OneTag => StatusCode::OK,
            Spread::AllTags => StatusCode::NOT_FOUND,
        };
        for number in [0, self.tags / 2, self.tags - 1] {
            self.want(&tag(number), others).await?;
        }
        let checked = deleted.len() as u64 + 4;
        Ok(Verified {
            checked,
            of: checked,
        })
    }
}
