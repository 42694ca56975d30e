//! The repositories of a registry, in byte order (docker's `_catalog`).

use meridian_clients::PageRequest;
use meridian_oci::{ErrorCode, RepositoryName};

use crate::api::attributes::lists;
use crate::error::Failure;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::{location, pages};

/// `GET /v2/_catalog`
pub(crate) async fn list(call: Call<'_>) -> Result<Answer, Failure> {
    let page = call.state.page;
    list_at(call, location::CATALOG, page).await
}

/// `GET /acr/v1/_catalog`
pub(crate) async fn list_as_acr(call: Call<'_>) -> Result<Answer, Failure> {
    list_at(call, location::ACR_CATALOG, lists::PAGE).await
}

async fn list_at(call: Call<'_>, path: &str, usual: usize) -> Result<Answer, Failure> {
    let state = call.state;
    let limit = pages::limit(call.query, usual, state.page)?;
    let after: Option<RepositoryName> = pages::after(call.query, ErrorCode::NameInvalid)?;
    let page = PageRequest { after, limit };
    if limit == 0 {
        return Ok(respond::json(document(&[])));
    }
    let behind = state.judge_list(call.headers).await?;
    let listing = state.metadata.repositories(state.registry(), page);
    let page = state.within(listing).await??;
    let next = page.items.last().filter(|_| page.more);
    let next = next.map(|last| pages::next(path, limit, last));
    let mut answer = respond::json(document(&page.items));
    respond::link(answer.headers_mut(), next);
    respond::confess(answer.headers_mut(), behind);
    Ok(answer)
}

/// Names need no escapes.
fn document(repositories: &[RepositoryName]) -> String {
    let mut document = "{\"repositories\":".to_owned();
    pages::push_array(&mut document, repositories);
    document.push('}');
    document
}
