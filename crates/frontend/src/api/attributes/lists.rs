//! Lists of tags and of manifests with their attributes (ACR data-plane REST API 2021-07-01).
//!
//! Like all lists, they are as old as the settings allow, and leave out what is not to be listed. By time they
//! are given as far as they can be put in order; a `Link` then says, beside the item to go on behind, when
//! that was put, because it may have been put anew by the time that somebody follows it.

use std::fmt::Write;
use std::str::FromStr;

use meridian_clients::{Holding, ListRequest, Listing, Mark, Order};
use meridian_clock::Version;
use meridian_oci::{Digest, ErrorCode, Reference, RepositoryName, Tag};

use super::shape;
use crate::error::Failure;
use crate::pages::{self, PageError};
use crate::query::Query;
use crate::respond::{self, Answer};
use crate::router::Call;
use crate::{extract, location};

/// How long a page is if nobody says.
pub(crate) const PAGE: usize = 100;

/// `GET /acr/v1/<name>/_tags`
pub(crate) async fn tags(call: Call<'_>, name: RepositoryName) -> Result<Answer, Failure> {
    let of = call.query.first("digest").filter(|of| !of.is_empty());
    let holding = match of {
        None => Holding::Tags,
        Some(_) => Holding::TagsOf(extract::digest(call.query)?),
    };
    let after = mark::<Tag>(call.query, ErrorCode::TagInvalid)?;
    let path = location::tag_attributes(&name);
    list(&call, name, holding, after, &path).await
}

/// `GET /acr/v1/<name>/_manifests`
pub(crate) async fn manifests(call: Call<'_>, name: RepositoryName) -> Result<Answer, Failure> {
    let after = mark::<Digest>(call.query, ErrorCode::DigestInvalid)?;
    let path = location::manifest_attributes(&name);
    list(&call, name, Holding::Manifests, after, &path).await
}

async fn list(
    call: &Call<'_>,
    name: RepositoryName,
    holding: Holding,
    after: Option<Mark>,
    path: &str,
) -> Result<Answer, Failure> {
    let state = call.state;
    let order = order(call.query)?;
    let limit = pages::limit(call.query, PAGE, state.page)?;
    let repository = state.path(name);
    // An empty page still says whether the repository is there.
    let request = ListRequest {
        holding,
        order,
        after,
        limit: limit.max(1),
    };
    let behind = state.judge_list(call.headers).await?;
    let listing = state.metadata.list(&repository, request);
    let listing = state.within(listing).await?;
    let listing = listing.map_err(|error| Failure::unsure(error, &behind))?;
    let Listing {
        mut items,
        mut next,
    } = listing.ok_or(PageError::Unordered)?;
    if limit == 0 {
        (items, next) = (Vec::new(), None);
    }
    let kind = match holding {
        Holding::Tags | Holding::TagsOf(_) => "tags",
        Holding::Manifests => "manifests",
    };
    let document = shape::list(call.login_server(), &repository, kind, &items);
    let mut answer = respond::json(document);
    let next = next.map(|mark| link(path, limit, &mark, order, holding));
    respond::link(answer.headers_mut(), next);
    respond::confess(answer.headers_mut(), behind);
    Ok(answer)
}

/// An empty `orderby` is none.
fn order(query: Query<'_>) -> Result<Order, PageError> {
    match query.first("orderby").as_deref() {
        None | Some("" | "none") => Ok(Order::Name),
        Some("timeasc") => Ok(Order::Oldest),
        Some("timedesc") => Ok(Order::Newest),
        Some(_) => Err(PageError::Order),
    }
}

/// Reads `last`, and what a `Link` said of it besides.
fn mark<T: FromStr + Into<Reference>>(
    query: Query<'_>,
    code: ErrorCode,
) -> Result<Option<Mark>, PageError> {
    let Some(after) = pages::after::<T>(query, code)? else {
        return Ok(None);
    };
    let at = query.first("at").filter(|at| !at.is_empty());
    let at = at.map(|at| at.parse().map_err(|_malformed| PageError::Place));
    Ok(Some(Mark {
        after: after.into(),
        at: at.transpose()?,
    }))
}

/// Nothing in it needs an escape.
fn link(path: &str, limit: usize, mark: &Mark, order: Order, holding: Holding) -> String {
    let mut link = format!("<{path}?last={}&n={limit}", mark.after);
    let mut add = |name: &str, value: &dyn std::fmt::Display| {
        write!(link, "&{name}={value}").expect("writing to a string does not fail");
    };
    match order {
        Order::Name => {}
        Order::Oldest => add("orderby", &"timeasc"),
        Order::Newest => add("orderby", &"timedesc"),
    }
    let at: Option<Version> = mark.at.filter(|_| order != Order::Name);
    if let Some(at) = at {
        add("at", &at);
    }
    if let Holding::TagsOf(digest) = holding {
        add("digest", &digest);
    }
    link.push_str(">; rel=\"next\"");
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_goes_on_in_the_same_list() {
        let at = Version {
            millis: 7,
            counter: 1,
            region: "eu".parse().unwrap(),
        };
        let mark = Mark {
            after: "v1".parse().unwrap(),
            at: Some(at),
        };
        let digest = Digest::of(meridian_oci::Algorithm::Sha256, b"x");
        assert_eq!(
            link("/p", 5, &mark, Order::Name, Holding::Tags),
            "</p?last=v1&n=5>; rel=\"next\""
        );
        let link = link("/p", 5, &mark, Order::Newest, Holding::TagsOf(digest));
        assert_eq!(
            link,
            format!("</p?last=v1&n=5&orderby=timedesc&at={at}&digest={digest}>; rel=\"next\"")
        );
        let uri: http::Uri = link[1..link.find('>').unwrap()].parse().unwrap();
        let query = Query::of(&uri);
        assert_eq!(mark_of(query), Ok(Some(mark)));
        assert_eq!(order(query), Ok(Order::Newest));
    }

    fn mark_of(query: Query<'_>) -> Result<Option<Mark>, PageError> {
        mark::<Tag>(query, ErrorCode::TagInvalid)
    }
}
