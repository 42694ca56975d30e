//! The manifests that refer to a manifest (distribution-spec "Listing Referrers").
//!
//! Always an index, empty for what nobody knows, so that clients never fall back to tags. A page is
//! bounded by bytes, because annotations are part of it.

use std::fmt::Write;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use meridian_clients::Referrers;
use meridian_oci::{Digest, ErrorCode, RepositoryName};

use crate::error::Failure;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::{extract, location, pages};

/// Clients take an index of 4 MiB. The last descriptor of a page may exceed this bound by itself.
const PAGE_BYTES: usize = 1024 * 1024;

/// `GET /v2/<name>/referrers/<digest>`
pub(crate) async fn list(
    call: Call<'_>,
    name: RepositoryName,
    subject: Digest,
) -> Result<Answer, Failure> {
    let state = call.state;
    let types = extract::artifact_types(call.query)?;
    let after: Option<Digest> = pages::after(call.query, ErrorCode::DigestInvalid)?;
    let repository = state.path(name);
    let behind = state.judge_list(call.headers).await?;
    let listing = state
        .metadata
        .referrers(&repository, subject, &types, after, PAGE_BYTES);
    let page = state.within(listing).await??;
    let next = page.next.map(|last| {
        let path = location::referrers(&repository.name, &subject);
        link(&path, &types, &last)
    });
    let mut answer = respond::with_body(StatusCode::OK, document(&page).into());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, respond::INDEX);
    headers.insert(CACHE_CONTROL, respond::NO_STORE);
    if !types.is_empty() {
        let filter = HeaderValue::from_static("artifactType");
        headers.insert(respond::FILTERS_APPLIED, filter);
    }
    respond::link(headers, next);
    respond::confess(headers, behind);
    Ok(answer)
}

/// The filter goes along, so that the next page is one of the same list.
fn link(path: &str, types: &[String], last: &Digest) -> String {
    let mut link = format!("<{path}?");
    for artifact_type in types {
        link.push_str("artifactType=");
        escape(&mut link, artifact_type);
        link.push('&');
    }
    write!(link, "last={last}>; rel=\"next\"").expect("writing to a string does not fail");
    link
}

/// Escapes everything that could mean something in a query or in a header.
fn escape(target: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b'/') {
            target.push(char::from(byte));
        } else {
            write!(target, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
}

fn document(page: &Referrers) -> String {
    let length: usize = page.descriptors.iter().map(|json| json.len() + 1).sum();
    let mut document = String::with_capacity(128 + length);
    document.push_str(
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[",
    );
    for (position, descriptor) in page.descriptors.iter().enumerate() {
        if position > 0 {
            document.push(',');
        }
        document.push_str(descriptor);
    }
    document.push_str("]}");
    document
}

#[cfg(test)]
mod tests {
    use meridian_oci::Algorithm;

    use super::*;

    #[test]
    fn a_link_keeps_the_filter_escaped() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let types = ["a/b+c".to_owned(), "x\"\r\n>é".to_owned()];
        assert_eq!(
            link("/v2/r/referrers/d", &types, &digest),
            format!(
                "</v2/r/referrers/d?artifactType=a/b%2Bc&artifactType=x%22%0D%0A%3E%C3%A9&last={digest}>; rel=\"next\""
            )
        );
    }
}
