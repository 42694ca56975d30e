//! M1: manifests of 1.2 kB, by tag and by digest, in one repository and in very many.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode};

use super::repeat::{Deck, Draw, Repeat, Repeats, Source, Zipf};
use super::stock::{Shelf, Stock, TAG};
use super::{About, Case, Fresh, REGIONS, REGISTRIES, Scale, Site, Verified, Workload};
use crate::bench::Sides;
use crate::client::CallError;
use crate::content::MANIFEST_TYPE;
use crate::metric::{Bound, Metric, Target};
use crate::registry::{Session, Template};
use crate::server::Product;

const CONNECTIONS: &[u32] = &[1, 64, 256];
/// Latency at a fixed rate is taken with this many connections.
const OPEN_LOOP_CONNECTIONS: u32 = 64;

const TARGETS: &[Target] = &[
    Target::ratio("", Metric::CpuPerOperation, Bound::AtMost)
        .required(0.12)
        .ambitious(0.08),
    Target::ratio("", Metric::Rate, Bound::AtLeast)
        .required(8.0)
        .ambitious(12.0),
];

pub(super) struct ManifestRead {
    id: &'static str,
    title: &'static str,
    products: Sides<Product>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Tag,
    Digest,
}

struct Manifests {
    stock: Arc<Stock>,
    method: Method,
    by: By,
}

// === impl ManifestRead ===

impl ManifestRead {
    pub(super) const DEV: Self = Self {
        id: "M1",
        title: "read manifests of 1.2 kB",
        products: REGISTRIES,
    };
    pub(super) const REGION: Self = Self {
        id: "M1/region",
        title: "read manifests of 1.2 kB through the frontends of a region",
        products: REGIONS,
    };
}

impl Workload for ManifestRead {
    fn about(&self) -> About {
        About {
            id: self.id,
            title: self.title,
            operation: "request",
            products: self.products,
            fresh: Fresh::Workload,
            targets: TARGETS,
        }
    }

    fn cases(&self, site: &Site, scale: &Scale) -> Vec<Box<dyn Case>> {
        let one = Arc::new(Stock::new(&site.registry, "one", 1));
        let many = Arc::new(Stock::new(&site.registry, "many", scale.repositories));
        let mut cases = Vec::new();
        for (method, by) in [
            (Method::GET, By::Tag),
            (Method::GET, By::Digest),
            (Method::HEAD, By::Tag),
            (Method::HEAD, By::Digest),
        ] {
            cases.extend(at_each_concurrency(site, &one, &method, by, ""));
        }
        let place = format!("{} repositories Zipf, ", scale.repositories);
        cases.extend(at_each_concurrency(
            site,
            &many,
            &Method::GET,
            By::Tag,
            &place,
        ));
        cases
    }
}

fn at_each_concurrency(
    site: &Site,
    stock: &Arc<Stock>,
    method: &Method,
    by: By,
    place: &str,
) -> Vec<Box<dyn Case>> {
    let source: Arc<dyn Source> = Arc::new(Manifests {
        stock: Arc::clone(stock),
        method: method.clone(),
        by,
    });
    let by_what = match by {
        By::Tag => "tag",
        By::Digest => "digest",
    };
    let case = |connections: &u32| {
        let repeat = Repeat {
            name: format!("{method} by {by_what}, {place}c={connections}"),
            connections: *connections,
            wanted: StatusCode::OK,
            open_loop: *connections == OPEN_LOOP_CONNECTIONS
                && *method == Method::GET
                && by == By::Tag,
            source: Arc::clone(&source),
        };
        Repeats::case(site, repeat)
    };
    CONNECTIONS.iter().map(case).collect()
}

// === impl Manifests ===

impl Manifests {
    fn template(&self, shelf: &Shelf) -> Result<Template, CallError> {
        let reference = match self.by {
            By::Tag => TAG,
            By::Digest => shelf.manifest.digest.as_str(),
        };
        let path = format!("/v2/{}/manifests/{reference}", shelf.repository);
        let template = self.stock.registry().template(self.method.clone(), &path)?;
        Ok(template.with(ACCEPT, HeaderValue::from_static(MANIFEST_TYPE)))
    }
}

#[async_trait]
impl Source for Manifests {
    async fn deck(&self) -> Result<Deck, CallError> {
        let shelves = self.stock.shelves().await?;
        let templates: Arc<[Template]> = shelves
            .iter()
            .map(|shelf| self.template(shelf))
            .collect::<Result<_, _>>()?;
        let count = u32::try_from(templates.len()).unwrap_or(u32::MAX);
        Ok(Deck {
            templates,
            draw: Draw::Zipf(Arc::new(Zipf::over(count))),
        })
    }

    async fn check(&self, session: &mut Session) -> Result<Verified, CallError> {
        self.stock.check(session).await
    }
}
