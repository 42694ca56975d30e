//! The OCI distribution API, as a client speaks it.
//!
//! Owns the requests that workloads are made of. Every call states the status it expects, and any
//! other one is an error that carries the start of the answer's body: a benchmark in which
//! requests fail measures nothing. Leaves pacing and timing to the workloads.

mod chore;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

pub(crate) use chore::{Chore, spread};
pub(crate) use session::Session;

use crate::client::{CallError, Payload};

/// Where a registry listens. Clones take turns at its addresses together.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    addresses: Arc<[SocketAddr]>,
    next: Arc<AtomicUsize>,
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
        Self::behind(&[address])
    }

    /// One that listens at several addresses, over which connections are spread in turn. To all of
    /// them it has the name of the first, as behind a load balancer.
    pub(crate) fn behind(addresses: &[SocketAddr]) -> Self {
        let name = addresses
            .first()
            .map_or_else(String::new, ToString::to_string);
        let host = HeaderValue::from_str(&name)
            .expect("an address is made of characters that headers allow");
        Self {
            addresses: addresses.into(),
            next: Arc::default(),
            host,
        }
    }

    /// Where the next connection goes; nowhere for what is no registry.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.addresses.len().max(1);
        self.addresses.get(turn % count).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_over_all_addresses_in_turn() {
        let [one, two] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let registry = Registry::behind(&[one, two]);
        let clone = registry.clone();
        let turns = [registry.address(), clone.address(), registry.address()];
        assert_eq!(turns, [Some(one), Some(two), Some(one)]);
        assert_eq!(Registry::behind(&[]).address(), None);
    }
}
