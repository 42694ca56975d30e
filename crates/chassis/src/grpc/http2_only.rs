//! Refuses what is not HTTP/2, which gRPC is made of.
//!
//! This is more than order: a page in a browser of this machine can send HTTP/1 to a loopback port,
//! with a body of its choice, and never asks first. It cannot speak HTTP/2 in plain text.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode, Version};
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use crate::http::RequestBody;

/// The calls of a listener.
#[derive(Debug, Clone)]
pub(super) struct Http2Only(pub(super) Routes);

/// An answer on its way; without a call, the refusal.
pub(super) struct Answering(Option<<Routes as Service<Request<RequestBody>>>::Future>);

// === impl Http2Only ===

impl Service<Request<RequestBody>> for Http2Only {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<RequestBody>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answering {
        let is_http2 = request.version() == Version::HTTP_2;
        Answering(is_http2.then(|| self.0.call(request)))
    }
}

// === impl Answering ===

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(call) = &mut self.get_mut().0 {
            return Pin::new(call).poll(cx);
        }
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        Poll::Ready(Ok(answer))
    }
}
