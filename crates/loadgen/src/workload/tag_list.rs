//! L1: one page of a long list of tags, beginning anywhere.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, StatusCode};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::OnceCell;

use super::repeat::{Deck, Draw, Repeat, Repeats, Source};
use super::stock::{push_blobs, small_manifest};
use super::{About, Case, Fresh, REGISTRIES, Scale, Site, Verified, Workload};
use crate::client::CallError;
use crate::content::Manifest;
use crate::metric::{Bound, Metric, Target};
use crate::registry::{Chore, Registry, Session, Template, spread};

const PAGE: u32 = 100;
const SET_UP_CONNECTIONS: u32 = 16;
/// Different pages that are asked for.
const PAGES: usize = 1000;

const TARGETS: &[Target] = &[
    Target::ratio("50000 tags", Metric::CpuPerOperation, Bound::AtMost).required(0.01),
    Target::ratio("50000 tags", Metric::Rate, Bound::AtLeast).required(100.0),
];

pub(super) struct TagList;

/// A repository in which very many tags point at one manifest.
struct Tags {
    registry: Registry,
    repository: String,
    count: u32,
    filled: OnceCell<()>,
}

// === impl TagList ===

impl Workload for TagList {
    fn about(&self) -> About {
        About {
            id: "L1",
            title: "tags/list?n=100&last=<any>",
            operation: "page",
            products: REGISTRIES,
            fresh: Fresh::Workload,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let case = |count: &u32| {
            let tags = Tags {
                registry: site.registry.clone(),
                repository: format!("load/tags-{count}"),
                count: *count,
                filled: OnceCell::new(),
            };
            let repeat = Repeat {
                name: format!("{count} tags, c=1"),
                connections: 1,
                wanted: StatusCode::OK,
                open_loop: false,
                source: Arc::new(tags),
            };
            Repeats::case(site, repeat)
        };
        scale.tags.iter().map(case).collect()
    }
}

// === impl Tags ===

#[async_trait]
impl Source for Tags {
    async fn deck(&self) -> Result<Deck, CallError> {
        let manifest = small_manifest(0);
        let fill = || put_tags(&self.registry, &self.repository, &manifest, self.count);
        self.filled.get_or_try_init(fill).await?;
        let mut random = ChaCha8Rng::seed_from_u64(self.count.into());
        let template = |_| {
            let last = tag(random.random_range(0..self.count));
            let path = page_path(&self.repository, &last);
            self.registry.template(Method::GET, &path)
        };
        let templates: Arc<[Template]> = (0..PAGES).map(template).collect::<Result<_, _>>()?;
        Ok(Deck {
            templates,
            draw: Draw::Uniform,
        })
    }

    /// Walks over all pages: every tag once, in order.
    async fn check(&self, session: &mut Session) -> Result<Verified, CallError> {
        let mut seen = 0;
        let mut last = String::new();
        loop {
            let path = page_path(&self.repository, &last);
            let page = session.get(&path, "GET tags").await?;
            let wanted: Vec<String> = (seen..self.count.min(seen + PAGE)).map(tag).collect();
            if parse_tags(&page).as_ref() != Some(&wanted) {
                return Err(CallError::Content { what: path });
            }
            match wanted.last() {
                None => break,
                Some(tag) => last.clone_from(tag),
            }
            seen += u32::try_from(wanted.len()).unwrap_or(PAGE);
        }
        Ok(Verified {
            checked: seen.into(),
            of: self.count.into(),
        })
    }
}

/// The n-th tag in the order of lists.
pub(super) fn tag(number: u32) -> String {
    format!("t{number:07}")
}

fn page_path(repository: &str, last: &str) -> String {
    format!("/v2/{repository}/tags/list?n={PAGE}&last={last}")
}

/// An absent list counts as an empty one: the peer answers `null` past the end.
fn parse_tags(page: &[u8]) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Page {
        tags: Option<Vec<String>>,
    }
    let page: Page = serde_json::from_slice(page).ok()?;
    Some(page.tags.unwrap_or_default())
}

#[derive(Clone)]
struct PutTag {
    repository: String,
    manifest: Manifest,
}

impl Chore for PutTag {
    async fn act(&self, session: &mut Session, number: u32) -> Result<(), CallError> {
        session
            .put_manifest(&self.repository, &tag(number), &self.manifest)
            .await
    }
}

/// Makes the first `count` tags of a repository point at a manifest, through the API.
pub(super) async fn put_tags(
    registry: &Registry,
    repository: &str,
    manifest: &Manifest,
    count: u32,
) -> Result<(), CallError> {
    let mut session = Session::open(registry).await?;
    push_blobs(&mut session, repository).await?;
    let chore = PutTag {
        repository: repository.to_owned(),
        manifest: manifest.clone(),
    };
    spread(registry, SET_UP_CONNECTIONS, count, chore).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_tags_is_an_empty_page() {
        assert_eq!(parse_tags(br#"{"name":"a","tags":null}"#), Some(vec![]));
        assert_eq!(
            parse_tags(br#"{"name":"a","tags":["x"]}"#),
            Some(vec!["x".into()])
        );
        assert_eq!(parse_tags(b"<html>"), None);
    }

    #[test]
    fn tags_sort_by_their_number() {
        assert!(tag(9) < tag(10) && tag(99_999) < tag(100_000));
    }
}
