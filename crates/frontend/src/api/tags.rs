//! The tags of a repository (distribution-spec "Listing Tags"), in byte order.

use meridian_clients::PageRequest;
use meridian_oci::{ErrorCode, RepositoryName, Tag};

use crate::error::Failure;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::{location, pages};

/// `GET /v2/<name>/tags/list`
pub(crate) async fn list(call: Call<'_>, name: RepositoryName) -> Result<Answer, Failure> {
    let state = call.state;
    let PageRequest { after, limit } =
        pages::requested::<Tag>(call.query, state.page, ErrorCode::TagInvalid)?;
    let repository = state.path(name);
    // An empty page still says whether the repository is there.
    let wanted = PageRequest {
        after,
        limit: limit.max(1),
    };
    let behind = state.judge_list(call.headers).await?;
    let page = state
        .within(state.metadata.tags(&repository, wanted))
        .await?
        .map_err(|error| Failure::unsure(error, &behind))?;
    let tags = if limit == 0 { &[] } else { &page.items[..] };
    let next = tags.last().filter(|_| page.more).map(|last| {
        let path = location::tags(&repository.name);
        pages::next(&path, limit, last)
    });
    let mut answer = respond::json(document(&repository.name, tags));
    respond::link(answer.headers_mut(), next);
    respond::confess(answer.headers_mut(), behind);
    Ok(answer)
}

/// Names and tags need no escapes.
fn document(name: &RepositoryName, tags: &[Tag]) -> String {
    let mut document = format!("{{\"name\":\"{name}\",\"tags\":");
    pages::push_array(&mut document, tags);
    document.push('}');
    document
}
