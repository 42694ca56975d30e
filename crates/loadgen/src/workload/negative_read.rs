//! M2: answers without content: 304 for what the client has, 404 for what nobody has.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{ACCEPT, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};

use super::repeat::{Deck, Draw, Repeat, Repeats, Source};
use super::stock::{Stock, TAG};
use super::{About, Case, Fresh, REGISTRIES, Scale, Site, Verified, Workload};
use crate::client::CallError;
use crate::content::MANIFEST_TYPE;
use crate::digest::Digest;
use crate::metric::{Bound, Metric, Target};
use crate::registry::{Session, Template};

const CONNECTIONS: u32 = 64;

const TARGETS: &[Target] =
    &[Target::ratio("", Metric::CpuPerOperation, Bound::AtMost).required(0.10)];

pub(super) struct NegativeRead;

#[derive(Debug, Clone, Copy)]
enum Question {
    Unchanged,
    AbsentTag,
    AbsentBlob,
}

struct Negatives {
    stock: Arc<Stock>,
    question: Question,
}

// === impl NegativeRead ===

impl Workload for NegativeRead {
    fn about(&self) -> About {
        About {
            id: "M2",
            title: "conditional GET and HEAD of what is absent",
            operation: "request",
            products: REGISTRIES,
            fresh: Fresh::Workload,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, _scale: &Scale) -> Vec<Box<dyn Case>> {
        let stock = Arc::new(Stock::new(&site.registry, "one", 1));
        [
            (
                "GET If-None-Match",
                Question::Unchanged,
                StatusCode::NOT_MODIFIED,
            ),
            (
                "HEAD absent tag",
                Question::AbsentTag,
                StatusCode::NOT_FOUND,
            ),
            (
                "HEAD absent blob",
                Question::AbsentBlob,
                StatusCode::NOT_FOUND,
            ),
        ]
        .into_iter()
        .map(|(name, question, wanted)| {
            let source = Negatives {
                stock: Arc::clone(&stock),
                question,
            };
            let repeat = Repeat {
                name: format!("{name}, c={CONNECTIONS}"),
                connections: CONNECTIONS,
                wanted,
                open_loop: false,
                source: Arc::new(source),
            };
            Repeats::case(site, repeat)
        })
        .collect()
    }
}

// === impl Negatives ===

impl Negatives {
    async fn template(&self) -> Result<Template, CallError> {
        let registry = self.stock.registry();
        let [shelf, ..] = self.stock.shelves().await? else {
            return Err(CallError::Ended);
        };
        let repository = &shelf.repository;
        match self.question {
            Question::Unchanged => {
                let path = format!("/v2/{repository}/manifests/{TAG}");
                let etag = format!("\"{}\"", shelf.manifest.digest);
                let etag = HeaderValue::from_str(&etag).map_err(http::Error::from)?;
                let template = registry.template(Method::GET, &path)?;
                Ok(template
                    .with(ACCEPT, HeaderValue::from_static(MANIFEST_TYPE))
                    .with(IF_NONE_MATCH, etag))
            }
            Question::AbsentTag => {
                let path = format!("/v2/{repository}/manifests/absent");
                registry.template(Method::HEAD, &path)
            }
            Question::AbsentBlob => {
                let digest = Digest::of(b"never pushed");
                registry.template(Method::HEAD, &format!("/v2/{repository}/blobs/{digest}"))
            }
        }
    }
}

#[async_trait]
impl Source for Negatives {
    async fn deck(&self) -> Result<Deck, CallError> {
        Ok(Deck {
            templates: Arc::new([self.template().await?]),
            draw: Draw::Uniform,
        })
    }

    /// The status of each answer was checked as it came; what is there must still be there.
    async fn check(&self, session: &mut Session) -> Result<Verified, CallError> {
        self.stock.check(session).await
    }
}
