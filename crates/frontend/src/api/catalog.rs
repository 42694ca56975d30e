//! The repositories of a registry, in byte order (docker's `_catalog`).

use meridian_clients::PageRequest;
use meridian_oci::{ErrorCode, RepositoryName};

use crate::error::Failure;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::{location, pages};

/// `GET /v2/_catalog`
pub(crate) async fn list(call: Call<'_>) -> Result<Answer, Failure> {
    let state = call.state;
    let page: PageRequest<RepositoryName> =
        pages::requested(call.query, state.page, ErrorCode::NameInvalid)?;
    let limit = page.limit;
    if limit == 0 {
        return Ok(respond::json(document(&[])));
    }
    let behind = state.judge_list().await?;
    let listing = state.metadata.repositories(state.registry(), page);
    let page = state.within(listing).await??;
    let next = page.items.last().filter(|_| page.more);
    let next = next.map(|last| pages::next(location::CATALOG, limit, last));
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
