//! A client of the distribution API that hides nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meridian_oci::Digest;
use reqwest::dns::Resolve;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, StatusCode};

use crate::content::{Image, digest};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a server answered, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A client of one registry. Every request has a deadline; an error means that the outcome is not
/// known. It goes nowhere that it is sent to.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

type Result<T> = std::result::Result<T, reqwest::Error>;

// === impl Answer ===

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status, checked.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        self
    }
}

// === impl Client ===

impl Client {
    /// A client of the registry at `base`, such as `http://127.0.0.1:5000`.
    pub fn new(base: impl Into<String>) -> Self {
        Self::with_patience(base, Duration::from_secs(60))
    }

    /// One that waits so long for an answer.
    pub fn with_patience(base: impl Into<String>, patience: Duration) -> Self {
        let http = reqwest::Client::builder()
            .timeout(patience)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            http,
            base: base.into(),
        }
    }

    /// One that looks its name up there, for each connection.
    pub fn at_name(base: impl Into<String>, resolver: Arc<dyn Resolve>) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .pool_max_idle_per_host(0)
            .dns_resolver(resolver)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            http,
            base: base.into(),
        }
    }

    /// Where the registry is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request to a path of the registry.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// HEAD.
    pub async fn head(&self, path: &str) -> Result<Answer> {
        self.send(Method::HEAD, path, &[], Bytes::new()).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// Asks for an upload session.
    pub async fn open_upload(&self, repository: &str) -> Result<Answer> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        self.send(Method::POST, &path, &[], Bytes::new()).await
    }

    /// Opens an upload session; the path of its location.
    pub async fn start_upload(&self, repository: &str) -> Result<String> {
        let answer = self.open_upload(repository).await?.expect(202);
        Ok(answer.header(LOCATION.as_str()).unwrap().to_owned())
    }

    /// Pushes a blob with POST and one PUT: the answer to the first that was refused, or to the
    /// last one.
    pub async fn push_blob(&self, repository: &str, blob: Bytes) -> Result<Answer> {
        let opened = self.open_upload(repository).await?;
        if opened.status != StatusCode::ACCEPTED {
            return Ok(opened);
        }
        let location = opened.header(LOCATION.as_str()).unwrap();
        let path = with_digest(location, digest(&blob));
        self.send(Method::PUT, &path, &[], blob).await
    }

    /// Pushes a blob with POST, one PATCH for each `chunk` bytes, and an empty PUT: the answer to
    /// the first that was refused, or to the last one.
    pub async fn push_blob_chunked(
        &self,
        repository: &str,
        blob: Bytes,
        chunk: usize,
    ) -> Result<Answer> {
        let opened = self.open_upload(repository).await?;
        if opened.status != StatusCode::ACCEPTED {
            return Ok(opened);
        }
        let mut location = opened.header(LOCATION.as_str()).unwrap().to_owned();
        let mut start = 0;
        while start < blob.len() {
            let end = (start + chunk).min(blob.len());
            let range = format!("{start}-{}", end - 1);
            let headers = [("Content-Range", range.as_str())];
            let piece = blob.slice(start..end);
            let answer = self.send(Method::PATCH, &location, &headers, piece).await?;
            if answer.status != StatusCode::ACCEPTED {
                return Ok(answer);
            }
            location = answer.header(LOCATION.as_str()).unwrap().to_owned();
            start = end;
        }
        let path = with_digest(&location, digest(&blob));
        self.send(Method::PUT, &path, &[], Bytes::new()).await
    }

    /// Puts a manifest under a tag or its digest.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: Bytes,
    ) -> Result<Answer> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let headers = [(CONTENT_TYPE.as_str(), MANIFEST)];
        self.send(Method::PUT, &path, &headers, manifest).await
    }

    /// Pushes an image under a tag: the answer to the first request that was refused, or to the
    /// last one.
    pub async fn push_image(&self, repository: &str, tag: &str, image: &Image) -> Result<Answer> {
        for blob in &image.blobs {
            let answer = self.push_blob(repository, blob.clone()).await?;
            if answer.status != StatusCode::CREATED {
                return Ok(answer);
            }
        }
        self.put_manifest(repository, tag, image.manifest.clone())
            .await
    }

    /// The bytes of a blob.
    pub async fn blob(&self, repository: &str, digest: Digest) -> Result<Answer> {
        self.get(&format!("/v2/{repository}/blobs/{digest}")).await
    }

    /// A manifest by tag or digest.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<Answer> {
        self.get(&format!("/v2/{repository}/manifests/{reference}"))
            .await
    }
}

/// An upload's location with the digest that closes it.
pub fn with_digest(location: &str, digest: Digest) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}
