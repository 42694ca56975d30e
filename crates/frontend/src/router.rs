//! From a request to its answer: the route, the method, the handler, and what every answer gets.
//!
//! There is one handler for all paths, because names contain `/`; the table of endpoints and
//! methods is [`dispatch`]. Keeps the invariant that everything gets an answer in the form of the
//! specification, what is not there and what is not allowed included.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use meridian_chassis::Supervisor;
use meridian_chassis::health::Readiness;
use meridian_chassis::http::Origin;
use meridian_chassis::metrics::Metrics;
use meridian_chassis::telemetry::trace;
use meridian_clients::RequestId;
use meridian_event::Target;
use tower::Service;
use tracing::{Instrument, Span};

use crate::access::Access;
use crate::api::attributes::lists;
use crate::api::{attributes, base, blobs, catalog, health, manifests, referrers, tags, uploads};
use crate::body::Inbound;
use crate::error::{self, Failure};
use crate::metrics::{self, NO_ROUTE, PROBE, RequestMetrics};
use crate::query::Query;
use crate::rates::Standing;
use crate::respond::{self, Answer};
use crate::route::{Route, RouteError};
use crate::state::State;
use crate::{Backends, Config};

/// The API as a service, not bound to any address. Cheap to clone.
#[derive(Clone)]
pub struct Frontend {
    state: Arc<State>,
    metrics: Arc<RequestMetrics>,
    trust_traces: bool,
}

/// A request, as handlers see it.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a State,
    pub(crate) id: RequestId,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Query<'a>,
    pub(crate) body: &'a Inbound,
    /// The client's address, if it is in a network.
    pub(crate) client: Option<IpAddr>,
}

/// What was learnt of a request on the way to its answer, whatever that is.
struct Seen {
    route: usize,
    standing: Option<Standing>,
}

// === impl Call ===

impl Call<'_> {
    /// The registry, as the client calls it: the host that it addressed. The door has seen to it that there is
    /// one, and that it is a name of this registry if those are configured.
    pub(crate) fn login_server(&self) -> &str {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| !host.is_empty());
        host.unwrap_or_else(|| self.state.registry().as_str())
    }
}

// === impl Seen ===

impl Default for Seen {
    fn default() -> Self {
        Self {
            route: NO_ROUTE,
            standing: None,
        }
    }
}

// === impl Frontend ===

impl Frontend {
    /// The API over these services. Where to listen is not its concern.
    #[must_use]
    pub fn new(config: &Config, backends: Backends, readiness: Readiness) -> Self {
        let state = State::new(backends, config, readiness);
        Self {
            state: Arc::new(state),
            metrics: Arc::new(RequestMetrics::new(&Metrics::default())),
            trust_traces: config.trust_traces,
        }
    }

    /// The same, whose requests are counted in `metrics`.
    #[must_use]
    pub(crate) fn counted(mut self, metrics: &Metrics) -> Self {
        self.metrics = Arc::new(RequestMetrics::new(metrics));
        self.state.delivering.register(metrics);
        self.state.rates.register(metrics);
        self.state.steering.register(metrics);
        if let Some(elsewhere) = &self.state.regions {
            elsewhere.register(metrics);
        }
        self
    }

    /// The same, which hears how old the state of its region is, and whether clients are to be sent here, until
    /// the supervisor stops.
    #[must_use]
    pub fn watching(self, supervisor: &Supervisor) -> Self {
        let (steering, stop) = (Arc::clone(&self.state.steering), supervisor.token());
        supervisor.spawn("frontend-steering", async move {
            stop.run_until_cancelled(steering.watch()).await;
            Ok(())
        });
        if let Some(elsewhere) = self.state.regions.clone() {
            let stop = supervisor.token();
            supervisor.spawn("frontend-freshness", async move {
                stop.run_until_cancelled(elsewhere.watch()).await;
                Ok(())
            });
        }
        self
    }
}

impl<B> Service<Request<B>> for Frontend
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (state, metrics) = (Arc::clone(&self.state), Arc::clone(&self.metrics));
        let span = trace::begin("frontend.request", request.headers(), self.trust_traces);
        let (head, body) = request.into_parts();
        let body = Inbound::new(&head.method, &head.headers, body);
        let answered = async move { Ok(answer(&state, &metrics, &head, body).await) };
        Box::pin(answered.instrument(span))
    }
}

async fn answer(state: &State, metrics: &RequestMetrics, head: &Parts, body: Inbound) -> Answer {
    let id = RequestId(rand::random());
    let (began, span) = (Instant::now(), Span::current());
    span.record("request.id", tracing::field::display(id));
    span.record("http.method", head.method.as_str());
    let access = Access::begin(head);
    let mut seen = Seen::default();
    let mut answer = match respond_to(state, head, id, &body, &mut seen).await {
        Ok(answer) => answer,
        Err(failure) => {
            body.discard().await;
            error::answer(&failure, id)
        }
    };
    let Seen { route, standing } = seen;
    if let Some(standing) = standing {
        standing.tell(answer.headers_mut());
    }
    if metrics::is_content(route) {
        respond::answered_by(answer.headers_mut(), state.here());
    }
    respond::stamp(answer.headers_mut(), id);
    metrics.answered(route, answer.status(), began.elapsed());
    span.record("http.route", metrics::name(route));
    span.record("http.status", answer.status().as_u16());
    if let Some(access) = access {
        access.end(id, &answer);
    }
    answer
}

async fn respond_to(
    state: &State,
    head: &Parts,
    id: RequestId,
    body: &Inbound,
    seen: &mut Seen,
) -> Result<Answer, Failure> {
    if let Some(answer) = health::probe(&head.method, head.uri.path(), state) {
        seen.route = PROBE;
        return Ok(answer);
    }
    let client = head.extensions.get::<Origin>().and_then(|it| it.client);
    let admitted = state.rates.admit(&head.method, client).await;
    seen.standing = admitted
        .as_ref()
        .map_or_else(|error| Some(error.standing()), |it| *it);
    admitted?;
    let route = Route::parse(head.uri.path()).map_err(|error| unrouted(error, &head.method))?;
    seen.route = metrics::place(&route);
    let call = Call {
        state,
        id,
        headers: &head.headers,
        query: Query::of(&head.uri),
        body,
        client,
    };
    dispatch(call, &head.method, route).await
}

/// The table of endpoints and methods.
async fn dispatch(call: Call<'_>, method: &Method, route: Route) -> Result<Answer, Failure> {
    let allowed = match route {
        Route::Manifest(name, reference) => match *method {
            Method::GET => return Box::pin(manifests::get(call, name, reference)).await,
            Method::HEAD => return Box::pin(manifests::head(call, name, reference)).await,
            Method::PUT => return Box::pin(manifests::put(call, name, reference)).await,
            Method::DELETE => return manifests::delete(call, name, reference).await,
            _ => "GET, HEAD, PUT, DELETE",
        },
        Route::Blob(name, digest) => match *method {
            Method::GET => return blobs::get(call, name, digest).await,
            Method::HEAD => return blobs::head(call, name, digest).await,
            Method::DELETE => return blobs::delete(call, name, digest).await,
            _ => "GET, HEAD, DELETE",
        },
        Route::Uploads(name) => match *method {
            Method::POST => return Box::pin(uploads::start(call, name)).await,
            _ => "POST",
        },
        Route::Upload(name, id) => match *method {
            Method::GET | Method::HEAD => return uploads::status(call, name, id).await,
            Method::PATCH => return uploads::append(call, name, id).await,
            Method::PUT => return uploads::finish(call, name, id).await,
            Method::DELETE => return uploads::cancel(call, name, id).await,
            _ => "GET, HEAD, PATCH, PUT, DELETE",
        },
        Route::Tags(name) if reads(method) => return tags::list(call, name).await,
        Route::Referrers(name, digest) if reads(method) => {
            return referrers::list(call, name, digest).await;
        }
        Route::Catalog if reads(method) => return catalog::list(call).await,
        Route::AcrCatalog if reads(method) => return catalog::list_as_acr(call).await,
        Route::AcrTags(name) if reads(method) => return lists::tags(call, name).await,
        Route::AcrManifests(name) if reads(method) => return lists::manifests(call, name).await,
        Route::Base if reads(method) => return base::check(call),
        Route::Discovery(_) if reads(method) => return Ok(base::discover()),
        Route::Attributes(name, target) => match (method, &target) {
            (&Method::GET, _) => return attributes::get(call, name, target).await,
            (&Method::PATCH, _) => return attributes::patch(call, name, target).await,
            (&Method::DELETE, Target::Repository) => return attributes::delete(call, name).await,
            (&Method::DELETE, Target::Tag(tag)) => {
                return manifests::delete(call, name, tag.clone().into()).await;
            }
            // ACR has it under `/v2/` alone.
            (&Method::DELETE, Target::Manifest(digest)) => {
                return manifests::delete(call, name, (*digest).into()).await;
            }
            _ => "GET, PATCH, DELETE",
        },
        Route::Tags(_)
        | Route::Referrers(..)
        | Route::Catalog
        | Route::AcrCatalog
        | Route::AcrTags(_)
        | Route::AcrManifests(_)
        | Route::Base
        | Route::Discovery(_) => "GET, HEAD",
    };
    Err(Failure::Method(allowed))
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// A malformed tag names nothing when it is read, and is an error when it is to be made.
fn unrouted(error: RouteError, method: &Method) -> Failure {
    match (error, method) {
        (RouteError::Tag, &Method::PUT) => Failure::PutReference,
        _ => Failure::Route(error),
    }
}
