//! The service of one connection: what every request meets before the service behind it.
//!
//! Owns the order of those checks, and the replacement of an answer by a better one when the
//! request body turned out to be at fault. Leaves paths, names and identities to the service.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use tower::{Service, ServiceExt};

use super::body::{RequestBody, ResponseBody};
use super::exchange::Exchange;
use super::guard::Violation;
use super::listener::Peer;
use super::origin::{OriginPolicy, is_known};
use super::pulse::Pulse;
use super::refusal::{Refusal, Stamp};
use super::security::Security;
use super::{BodyRate, HttpConfig};

/// What the connections of one listener share.
#[derive(Debug)]
pub(super) struct House {
    origins: OriginPolicy,
    rate: BodyRate,
    stamp: Stamp,
}

pub(super) struct Reception<S> {
    pub(super) service: S,
    pub(super) house: Arc<House>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) peer: Peer,
    pub(super) security: Security,
    /// Where the exchange of a call is left for the executor that is given its stream next.
    pub(super) latest: Latest,
}

/// Hands the exchange of an HTTP/2 request from the call to the stream that carries it.
#[derive(Debug, Clone, Default)]
pub(super) struct Latest(Arc<Mutex<Option<Arc<Exchange>>>>);

type Answering<B> =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody<B>>, Infallible>> + Send>>;

// === impl House ===

impl House {
    pub(super) fn new(config: &HttpConfig, stamp: Stamp) -> Self {
        Self {
            origins: OriginPolicy::new(config),
            rate: config.min_body_rate,
            stamp,
        }
    }

    /// A refusal of a request on a connection that ends with it, as bytes.
    pub(super) fn raw(&self, why: Refusal) -> Vec<u8> {
        why.raw(&self.stamp)
    }

    fn refuse<B>(
        &self,
        why: Refusal,
        exchange: Arc<Exchange>,
        close: bool,
    ) -> Response<ResponseBody<B>> {
        tracing::debug!(%why, status = why.status().as_u16(), "request refused");
        why.response(close, &self.stamp)
            .map(|body| ResponseBody::refusal(body, exchange, !close))
    }
}

// === impl Reception ===

impl<S> Reception<S> {
    fn receive(
        &self,
        request: Request<Incoming>,
        exchange: &Arc<Exchange>,
    ) -> Result<Request<RequestBody>, Refusal> {
        let (mut parts, body) = request.into_parts();
        if !is_known(&parts.method) {
            return Err(Refusal::Method);
        }
        if !parts.uri.path().starts_with(['/', '*']) {
            return Err(Refusal::Wire(Violation::Target));
        }
        let origin = self
            .house
            .origins
            .establish(&mut parts, self.peer, &self.security)?;
        parts.extensions.insert(origin);
        let body = RequestBody::new(body, self.house.rate, Arc::clone(exchange));
        Ok(Request::from_parts(parts, body))
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Reception<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = Answering<B>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let refused = self.pulse.begin_exchange();
        let exchange = Arc::new(Exchange::new(Arc::clone(&self.pulse)));
        let close = request.version() < Version::HTTP_2;
        if !close {
            self.latest.put(&exchange);
        }
        let received = match refused {
            Some(why) => Err(why),
            None => self.receive(request, &exchange),
        };
        match received {
            Ok(request) => {
                let service = self.service.clone();
                let house = Arc::clone(&self.house);
                Box::pin(answer(service, request, house, exchange, close))
            }
            Err(why) => {
                let refused = self.house.refuse(why, exchange, close);
                Box::pin(std::future::ready(Ok(refused)))
            }
        }
    }
}

async fn answer<S, B>(
    service: S,
    request: Request<RequestBody>,
    house: Arc<House>,
    exchange: Arc<Exchange>,
    close: bool,
) -> Result<Response<ResponseBody<B>>, Infallible>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
{
    let response = service.oneshot(request).await?;
    Ok(match exchange.faulted() {
        Some(why) => house.refuse(why, exchange, close),
        None => {
            exchange.gave(true, tokio::time::Instant::now);
            response.map(|body| ResponseBody::service(body, exchange, !close))
        }
    })
}

// === impl Latest ===

impl Latest {
    fn put(&self, exchange: &Arc<Exchange>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Arc::clone(exchange));
    }

    pub(super) fn take(&self) -> Option<Arc<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
