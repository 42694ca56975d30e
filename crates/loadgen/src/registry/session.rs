//! A client's session: one connection and the calls that are made over it.
//!
//! Uploads are those of the distribution specification's "blob upload": monolithic (POST, PUT),
//! streamed and chunked (POST, PATCH…, PUT) and cross-repository mounts.

use std::ops::Range;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

use super::{Registry, Template};
use crate::client::{CallError, Connection, Payload};
use crate::content::{MANIFEST_TYPE, Manifest};
use crate::digest::Digest;

/// The peer answers 404 for a manifest whose type the client does not name.
const ANYTHING: &str = "application/vnd.oci.image.manifest.v1+json, */*";
const OCTETS: &str = "application/octet-stream";
/// More than any manifest or page of tags that a workload reads whole.
const ANSWER_LIMIT: usize = 64 << 20;
const EXCERPT: usize = 300;

/// One connection to one registry.
pub(crate) struct Session {
    registry: Registry,
    connection: Connection,
}

/// Where an upload goes on: the path and query that the registry named last.
#[derive(Debug)]
pub(crate) struct Location(String);

// === impl Session ===

impl Session {
    pub(crate) async fn open(registry: &Registry) -> Result<Self, CallError> {
        Ok(Self {
            registry: registry.clone(),
            connection: Connection::open(registry.address().ok_or(CallError::Nowhere)?).await?,
        })
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Sends a prebuilt request, wants this status and throws the body away. Returns the bytes
    /// that came.
    pub(crate) async fn repeat(
        &mut self,
        template: &Template,
        wanted: StatusCode,
        what: &'static str,
    ) -> Result<u64, CallError> {
        let answer = self.send(template.request(), &[wanted], what).await?;
        self.connection.discard(answer.into_body()).await
    }

    /// `GET /v2/`: says that the registry is there, and that the connection works.
    pub(crate) async fn ping(&mut self) -> Result<(), CallError> {
        let request = self.registry.request(Method::GET, "/v2/")?;
        self.finish_with(request.body(Payload::Empty)?, StatusCode::OK, "GET /v2/")
            .await
    }

    /// Reads what stands at `path` whole; a manifest as well as anything else.
    pub(crate) async fn get(&mut self, path: &str, what: &'static str) -> Result<Bytes, CallError> {
        let request = self
            .registry
            .request(Method::GET, path)?
            .header(ACCEPT, ANYTHING)
            .body(Payload::Empty)?;
        let answer = self.send(request, &[StatusCode::OK], what).await?;
        self.connection.read(answer.into_body(), ANSWER_LIMIT).await
    }

    /// The status of a HEAD request.
    pub(crate) async fn head(&mut self, path: &str) -> Result<StatusCode, CallError> {
        let request = self
            .registry
            .request(Method::HEAD, path)?
            .header(ACCEPT, ANYTHING)
            .body(Payload::Empty)?;
        let answer = self.connection.call(request).await?;
        let status = answer.status();
        self.connection.discard(answer.into_body()).await?;
        Ok(status)
    }

    /// Pushes a blob that is in memory: POST, then PUT with the bytes.
    pub(crate) async fn push_blob(
        &mut self,
        repository: &str,
        digest: &Digest,
        payload: Payload,
    ) -> Result<(), CallError> {
        let location = self.begin(repository).await?;
        self.finish(&location, digest, payload).await
    }

    /// Opens an upload.
    pub(crate) async fn begin(&mut self, repository: &str) -> Result<Location, CallError> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let request = self.registry.request(Method::POST, &path)?;
        let answer = self
            .send(
                request.body(Payload::Empty)?,
                &[StatusCode::ACCEPTED],
                "POST upload",
            )
            .await?;
        self.location(answer, "POST upload").await
    }

    /// Appends to an upload, as a stream or, with `range`, as a chunk.
    pub(crate) async fn append(
        &mut self,
        location: &Location,
        range: Option<Range<u64>>,
        payload: Payload,
    ) -> Result<Location, CallError> {
        let mut request = self
            .registry
            .request(Method::PATCH, &location.0)?
            .header(CONTENT_TYPE, OCTETS);
        if let Some(range) = range {
            let inclusive = format!("{}-{}", range.start, range.end.saturating_sub(1));
            request = request.header(CONTENT_RANGE, inclusive);
        }
        let answer = self
            .send(
                request.body(payload)?,
                &[StatusCode::ACCEPTED],
                "PATCH upload",
            )
            .await?;
        self.location(answer, "PATCH upload").await
    }

    /// Closes an upload under its digest.
    pub(crate) async fn finish(
        &mut self,
        location: &Location,
        digest: &Digest,
        payload: Payload,
    ) -> Result<(), CallError> {
        let request = self
            .registry
            .request(Method::PUT, &location.closing(digest))?
            .header(CONTENT_TYPE, OCTETS)
            .body(payload)?;
        self.finish_with(request, StatusCode::CREATED, "PUT upload")
            .await
    }

    /// Makes a blob of another repository known in this one.
    pub(crate) async fn mount(
        &mut self,
        repository: &str,
        digest: &Digest,
        from: &str,
    ) -> Result<(), CallError> {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let request = self.registry.request(Method::POST, &path)?;
        self.finish_with(
            request.body(Payload::Empty)?,
            StatusCode::CREATED,
            "POST mount",
        )
        .await
    }

    /// Puts a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<(), CallError> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let request = self
            .registry
            .request(Method::PUT, &path)?
            .header(CONTENT_TYPE, MANIFEST_TYPE)
            .body(Payload::Whole(manifest.body.clone()))?;
        self.finish_with(request, StatusCode::CREATED, "PUT manifest")
            .await
    }

    pub(crate) async fn delete_manifest(
        &mut self,
        repository: &str,
        digest: &Digest,
    ) -> Result<(), CallError> {
        let path = format!("/v2/{repository}/manifests/{digest}");
        let request = self.registry.request(Method::DELETE, &path)?;
        self.finish_with(
            request.body(Payload::Empty)?,
            StatusCode::ACCEPTED,
            "DELETE manifest",
        )
        .await
    }

    /// Sends a request and wants one of these statuses; the body is left to the caller.
    pub(crate) async fn send(
        &mut self,
        request: Request<Payload>,
        wanted: &[StatusCode],
        what: &'static str,
    ) -> Result<Response<Incoming>, CallError> {
        let answer = self.connection.call(request).await?;
        expect(&mut self.connection, answer, wanted, what).await
    }

    async fn finish_with(
        &mut self,
        request: Request<Payload>,
        wanted: StatusCode,
        what: &'static str,
    ) -> Result<(), CallError> {
        let answer = self.send(request, &[wanted], what).await?;
        self.connection.discard(answer.into_body()).await?;
        Ok(())
    }

    async fn location(
        &mut self,
        answer: Response<Incoming>,
        what: &'static str,
    ) -> Result<Location, CallError> {
        let location = answer
            .headers()
            .get(LOCATION)
            .and_then(|it| Location::parse(it.as_bytes()))
            .ok_or(CallError::Header {
                what,
                header: "Location",
            });
        self.connection.discard(answer.into_body()).await?;
        location
    }
}

/// Passes on an answer with one of the wanted statuses, and turns any other one into an error.
async fn expect(
    connection: &mut Connection,
    answer: Response<Incoming>,
    wanted: &[StatusCode],
    what: &'static str,
) -> Result<Response<Incoming>, CallError> {
    let status = answer.status();
    if wanted.contains(&status) {
        return Ok(answer);
    }
    let body = connection.read(answer.into_body(), ANSWER_LIMIT).await?;
    let body = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned();
    Err(CallError::Status { what, status, body })
}

// === impl Location ===

impl Location {
    /// Takes the path and the query of an absolute or path-relative reference.
    fn parse(header: &[u8]) -> Option<Self> {
        let uri = Uri::try_from(header).ok()?;
        let path = uri.path_and_query()?.as_str();
        path.starts_with('/').then(|| Self(path.to_owned()))
    }

    /// The same place with the digest that closes the upload.
    fn closing(&self, digest: &Digest) -> String {
        let joint = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{joint}digest={digest}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_absolute_or_relative_and_keeps_its_query() {
        let absolute = Location::parse(b"http://127.0.0.1:5000/v2/a/blobs/uploads/1?_state=x");
        let absolute = absolute.unwrap();
        assert_eq!(absolute.0, "/v2/a/blobs/uploads/1?_state=x");
        let digest = Digest::of(b"");
        assert_eq!(
            absolute.closing(&digest),
            format!("/v2/a/blobs/uploads/1?_state=x&digest={digest}")
        );
        let relative = Location::parse(b"/v2/a/blobs/uploads/1").unwrap();
        assert!(relative.closing(&digest).contains("/1?digest=sha256:"));
        assert!(Location::parse(b"\0").is_none());
    }
}
