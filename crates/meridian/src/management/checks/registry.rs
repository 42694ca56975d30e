//! The frontend, as a client of the distribution API sees it.

use std::path::PathBuf;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use meridian_oci::{Digest, MediaType};
use serde::Deserialize;
use tokio::time::Instant;

use crate::remote::Remote;

/// A registry, until a deadline.
pub(super) struct Registry<'a> {
    pub(super) frontend: &'a Remote,
    pub(super) ca_file: Option<&'a PathBuf>,
    pub(super) deadline: Instant,
}

/// What went wrong, for people.
pub(super) type Outcome<T> = Result<T, String>;

#[derive(Deserialize)]
struct Tags {
    tags: Vec<String>,
}

// === impl Registry ===

impl Registry<'_> {
    pub(super) async fn reach(&self) -> Outcome<()> {
        let answer = self.send(Method::GET, "/v2/", None, Bytes::new()).await?;
        expect(&answer, StatusCode::OK)
    }

    pub(super) async fn push_blob(&self, repository: &str, blob: &Bytes) -> Outcome<()> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let opened = self.send(Method::POST, &path, None, Bytes::new()).await?;
        expect(&opened, StatusCode::ACCEPTED)?;
        let location = location(&opened)?;
        let target = location.path_and_query().map_or("/", |it| it.as_str());
        let separator = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{separator}digest={}", digest(blob));
        let put = self.send(Method::PUT, &target, None, blob.clone()).await?;
        expect(&put, StatusCode::CREATED)
    }

    pub(super) async fn push_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: &Bytes,
    ) -> Outcome<()> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let kind = Some(MediaType::OCI_IMAGE_MANIFEST);
        let put = self
            .send(Method::PUT, &path, kind, manifest.clone())
            .await?;
        expect(&put, StatusCode::CREATED)
    }

    pub(super) async fn manifest(&self, repository: &str, reference: &str) -> Outcome<Bytes> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.send(Method::GET, &path, None, Bytes::new()).await?;
        expect(&answer, StatusCode::OK)?;
        Ok(answer.into_body())
    }

    /// A blob, wherever the frontend sends its clients for it.
    pub(super) async fn blob(&self, repository: &str, digest: Digest) -> Outcome<Bytes> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let answer = self.send(Method::GET, &path, None, Bytes::new()).await?;
        if answer.status() != StatusCode::TEMPORARY_REDIRECT {
            expect(&answer, StatusCode::OK)?;
            return Ok(answer.into_body());
        }
        let location = location(&answer)?;
        let there = Remote::of_location(&location, self.ca_file.map(PathBuf::as_path));
        let there = there.map_err(|error| meridian_error::chain(&error))?;
        let target = location.path_and_query().map_or("/", |it| it.as_str());
        let registry = Registry {
            frontend: there.as_ref().unwrap_or(self.frontend),
            ..*self
        };
        let answer = registry.send(Method::GET, target, None, Bytes::new());
        let answer = answer.await?;
        expect(&answer, StatusCode::OK)?;
        Ok(answer.into_body())
    }

    pub(super) async fn tags(&self, repository: &str) -> Outcome<Vec<String>> {
        let path = format!("/v2/{repository}/tags/list?n=50");
        let answer = self.send(Method::GET, &path, None, Bytes::new()).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        expect(&answer, StatusCode::OK)?;
        let tags = serde_json::from_slice::<Tags>(answer.body());
        tags.map(|list| list.tags)
            .map_err(|error| error.to_string())
    }

    /// Deletes what may be there.
    pub(super) async fn delete(&self, path: &str) -> Outcome<()> {
        let answer = self.send(Method::DELETE, path, None, Bytes::new()).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(()),
            _ => expect(&answer, StatusCode::ACCEPTED),
        }
    }

    pub(super) async fn is_absent(&self, path: &str) -> Outcome<()> {
        let answer = self.send(Method::HEAD, path, None, Bytes::new()).await?;
        expect(&answer, StatusCode::NOT_FOUND)
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        kind: Option<MediaType>,
        body: Bytes,
    ) -> Outcome<Response<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(ACCEPT, MediaType::OCI_IMAGE_MANIFEST.as_str())
            .header(http::header::USER_AGENT, "meridian-check");
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind.as_str());
        }
        let request = request.body(Full::new(body));
        let request = request.map_err(|error| format!("`{target}`: {error}"))?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let answer = self.frontend.send(request, left).await;
        answer.map_err(|error| meridian_error::chain(&error))
    }
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest::of(meridian_oci::Algorithm::Sha256, bytes)
}

fn location(answer: &Response<Bytes>) -> Outcome<Uri> {
    let value = answer.headers().get(LOCATION);
    let uri = value.and_then(|value| Uri::try_from(value.as_bytes()).ok());
    uri.ok_or_else(|| format!("{} without a Location that is a URL", answer.status()))
}

fn expect(answer: &Response<Bytes>, wanted: StatusCode) -> Outcome<()> {
    if answer.status() == wanted {
        return Ok(());
    }
    let begin = &answer.body()[..answer.body().len().min(300)];
    let said = String::from_utf8_lossy(begin);
    Err(format!(
        "{} instead of {wanted}: {}",
        answer.status(),
        said.trim()
    ))
}
