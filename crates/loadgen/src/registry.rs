//! The OCI distribution API, as a client speaks it.
//!
//! Owns the requests that workloads are made of. Every call states the status it expects, and any
//! other one is an error that carries the start of the answer's body: a benchmark in which
//! requests fail measures nothing. Leaves pacing and timing to the workloads.

mod chore;
mod session;

use std::net::SocketAddr;

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

pub(crate) use chore::{Chore, spread};
pub(crate) use session::Session;

use crate::client::{CallError, Payload};

/// Where a registry listens.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    address: SocketAddr,
    host: HeaderValue,
}

/// A request without a body that is sent many times.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let host = HeaderValue::from_str(&address.to_string())
            .expect("an address is made of characters that headers allow");
        Self { address, host }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<http::request::Builder, CallError> {
        let uri = Uri::try_from(path).map_err(http::Error::from)?;
        Ok(Request::builder()
            .method(method)
            .uri(uri)
            .header(HOST, &self.host))
    }

    pub(crate) fn template(&self, method: Method, path: &str) -> Result<Template, CallError> {
        let (parts, ()) = self.request(method, path)?.body(())?.into_parts();
        Ok(Template {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
        })
    }
}

// === impl Template ===

impl Template {
    pub(crate) fn with(mut self, header: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(header, value);
        self
    }

    pub(crate) fn request(&self) -> Request<Payload> {
        let mut request = Request::new(Payload::Empty);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
