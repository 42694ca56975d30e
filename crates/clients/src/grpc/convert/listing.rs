//! Lists of what a repository holds.

use meridian_oci::Reference;
use meridian_proto::meridian::metadata::v1 as pb;
use meridian_proto::{DecodeError, digest, required, text, version};
use pb::list_request::Holding as Wire;

use super::{Result, page_limit, repository};
use crate::{Described, Holding, ListRequest, Listing, Mark, Order, RepositoryPath};

/// A question for what a repository holds.
#[must_use]
pub fn list_request(repository: &RepositoryPath, request: ListRequest) -> pb::ListRequest {
    let holding = match request.holding {
        Holding::Tags => Wire::Tags(pb::Everything {}),
        Holding::TagsOf(digest) => Wire::TagsOf(digest.into()),
        Holding::Manifests => Wire::Manifests(pb::Everything {}),
    };
    let order = match request.order {
        Order::Name => pb::Order::Name,
        Order::Oldest => pb::Order::Oldest,
        Order::Newest => pb::Order::Newest,
    };
    pb::ListRequest {
        repository: Some(repository.into()),
        holding: Some(holding),
        order: order.into(),
        after: request.after.map(Into::into),
        limit: request.limit as u64,
    }
}

/// What is to be listed, and of which repository.
///
/// # Errors
///
/// When a part of it is missing, or is none.
pub fn take_list_request(value: pb::ListRequest) -> Result<(RepositoryPath, ListRequest)> {
    let holding = match required(value.holding, "holding")? {
        Wire::Tags(pb::Everything {}) => Holding::Tags,
        Wire::TagsOf(it) => Holding::TagsOf(digest(Some(it), "tags_of")?),
        Wire::Manifests(pb::Everything {}) => Holding::Manifests,
    };
    let order = match pb::Order::try_from(value.order) {
        Ok(pb::Order::Name) => Order::Name,
        Ok(pb::Order::Oldest) => Order::Oldest,
        Ok(pb::Order::Newest) => Order::Newest,
        Ok(pb::Order::Unspecified) | Err(_) => return Err(DecodeError::Invalid("order")),
    };
    let after = value.after.map(Mark::try_from).transpose()?;
    let is_of_it = |mark: &Mark| match holding {
        Holding::Tags | Holding::TagsOf(_) => matches!(mark.after, Reference::Tag(_)),
        Holding::Manifests => matches!(mark.after, Reference::Digest(_)),
    };
    if after.as_ref().is_some_and(|mark| !is_of_it(mark)) {
        return Err(DecodeError::Invalid("after"));
    }
    let request = ListRequest {
        holding,
        order,
        after,
        limit: page_limit(value.limit),
    };
    Ok((repository(value.repository)?, request))
}

/// A list, if it could be put in order.
#[must_use]
pub fn listing(listing: Option<Listing>) -> pb::ListResponse {
    let Some(listing) = listing else {
        return pb::ListResponse {
            unordered: true,
            ..pb::ListResponse::default()
        };
    };
    let items = listing.items.into_iter().map(|(name, it)| pb::Listed {
        name: name.to_string(),
        description: Some(it.into()),
    });
    pb::ListResponse {
        items: items.collect(),
        next: listing.next.map(Into::into),
        unordered: false,
    }
}

/// The same, back.
///
/// # Errors
///
/// When a part of it is missing, or is none.
pub fn take_listing(value: pb::ListResponse) -> Result<Option<Listing>> {
    if value.unordered {
        return Ok(None);
    }
    let items = value.items.into_iter().map(|item| {
        let described = required(item.description, "items.description")?;
        let name: Reference = text(&item.name, "items.name")?;
        Ok((name, Described::try_from(described)?))
    });
    Ok(Some(Listing {
        items: items.collect::<Result<_>>()?,
        next: value.next.map(Mark::try_from).transpose()?,
    }))
}

impl From<Mark> for pb::Mark {
    fn from(mark: Mark) -> Self {
        Self {
            after: mark.after.to_string(),
            at: mark.at.map(Into::into),
        }
    }
}

impl TryFrom<pb::Mark> for Mark {
    type Error = DecodeError;

    fn try_from(value: pb::Mark) -> Result<Self> {
        let at = value.at.map(|it| version(Some(it), "mark.at"));
        Ok(Self {
            after: text(&value.after, "mark.after")?,
            at: at.transpose()?,
        })
    }
}
