//! From a request to its answer: the route, the method, the handler, and what every answer gets.
//!
//! There is one handler for all paths, because names contain `/`; the table of endpoints and
//! methods is [`dispatch`]. Keeps the invariant that everything gets an answer in the form of the
//! specification, what is not there and what is not allowed included.

use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use meridian_clients::RequestId;

use crate::access::Access;
use crate::api::{base, blobs, catalog, health, manifests, referrers, tags, uploads};
use crate::body::Inbound;
use crate::error::{self, Failure};
use crate::query::Query;
use crate::respond::{self, Answer};
use crate::route::{Route, RouteError};
use crate::state::State;

/// A request, as handlers see it.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a State,
    pub(crate) id: RequestId,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Query<'a>,
    pub(crate) body: &'a Inbound,
}

/// Answers a request.
pub(crate) async fn answer(state: Arc<State>, request: Request<Body>) -> Response<Body> {
    let id = RequestId(rand::random());
    let access = Access::begin(&request);
    let (head, body) = request.into_parts();
    let body = Inbound::new(&head.method, &head.headers, body);
    let mut answer = match respond_to(&state, &head, id, &body).await {
        Ok(answer) => answer,
        Err(failure) => {
            body.discard().await;
            error::answer(&failure, id)
        }
    };
    respond::stamp(answer.headers_mut(), id);
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
) -> Result<Answer, Failure> {
    if let Some(answer) = health::probe(&head.method, head.uri.path(), &state.readiness) {
        return Ok(answer);
    }
    let route = Route::parse(head.uri.path()).map_err(|error| unrouted(error, &head.method))?;
    let call = Call {
        state,
        id,
        headers: &head.headers,
        query: Query::of(&head.uri),
        body,
    };
    dispatch(call, &head.method, route).await
}

/// The table of endpoints and methods.
async fn dispatch(call: Call<'_>, method: &Method, route: Route) -> Result<Answer, Failure> {
    let allowed = match route {
        Route::Manifest(name, reference) => match *method {
            Method::GET => return manifests::get(call, name, reference).await,
            Method::HEAD => return manifests::head(call, name, reference).await,
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
        Route::Base if reads(method) => return base::check(call),
        Route::Discovery(_) if reads(method) => return Ok(base::discover()),
        Route::Tags(_)
        | Route::Referrers(..)
        | Route::Catalog
        | Route::Base
        | Route::Discovery(_) => "GET, HEAD",
    };
    Err(Failure::Method(allowed))
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// A malformed tag names nothing when it is read, and is an error when it is to be made. A method
/// that no endpoint has is refused as such even where there is no endpoint.
fn unrouted(error: RouteError, method: &Method) -> Failure {
    match (error, method) {
        (RouteError::Tag, &Method::PUT) => Failure::PutReference,
        (
            RouteError::Unknown,
            &Method::GET
            | &Method::HEAD
            | &Method::POST
            | &Method::PUT
            | &Method::PATCH
            | &Method::DELETE,
        ) => Failure::Route(error),
        (RouteError::Unknown, _) => Failure::Method(""),
        _ => Failure::Route(error),
    }
}
