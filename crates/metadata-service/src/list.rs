//! Lists of what a repository holds, with what is said of each item.
//!
//! A page is bounded three times: by its limit, by the bytes of the manifests in it, and by the tags that
//! are named with those.

use meridian_catalog::query;
use meridian_clients::{Holding, ListRequest, Listing, Mark, Order, ReadError, RepositoryPath};
use meridian_event::Target;
use meridian_oci::Reference;

use crate::describe;
use crate::group::Group;
use crate::read::{failed, registry_in};

/// The bytes of so many manifests make a page; the last of them may exceed it.
const PAGE_BYTES: usize = 2 << 20;

/// So many tags of manifests make one, too.
const PAGE_NAMES: usize = 10_000;

pub(crate) async fn list(
    group: &Group,
    repository: &RepositoryPath,
    request: ListRequest,
) -> Result<Option<Listing>, ReadError> {
    let view = group.read().await?;
    let (registry, name) = (registry_in(&view, &repository.registry)?, &repository.name);
    if !query::is_repository(&view, registry, name).map_err(failed)? {
        return Err(ReadError::RepositoryUnknown);
    }
    let how = (holding(request.holding), order(request.order));
    let after = request
        .after
        .map(|Mark { after, at }| query::Mark { after, at });
    let limit = request.limit.max(1);
    let held = query::held(&view, registry, name, how, after.as_ref(), limit);
    let Some(held) = held.map_err(failed)? else {
        return Ok(None);
    };
    let mut listing = Listing {
        items: Vec::new(),
        next: held
            .next
            .map(|query::Mark { after, at }| Mark { after, at }),
    };
    let (mut bytes, mut names) = (0, 0);
    let mut left = held.items.len();
    for reference in held.items {
        left -= 1;
        // It was found in the same view.
        let described = describe::look_at(&view, registry, name, &target(&reference))?;
        let Some(described) = described else {
            continue;
        };
        bytes += described.bytes.len();
        names += described.names.len();
        let at = described.updated;
        listing.items.push((reference.clone(), described));
        if left > 0 && (bytes > PAGE_BYTES || names > PAGE_NAMES) {
            let after = reference;
            listing.next = Some(Mark { after, at });
            break;
        }
    }
    Ok(Some(listing))
}

fn target(reference: &Reference) -> Target {
    match reference {
        Reference::Tag(name) => Target::Tag(name.clone()),
        Reference::Digest(digest) => Target::Manifest(*digest),
    }
}

const fn holding(holding: Holding) -> query::Holding {
    match holding {
        Holding::Tags => query::Holding::Tags,
        Holding::TagsOf(digest) => query::Holding::TagsOf(digest),
        Holding::Manifests => query::Holding::Manifests,
    }
}

const fn order(order: Order) -> query::Order {
    match order {
        Order::Name => query::Order::Name,
        Order::Oldest => query::Order::Oldest,
        Order::Newest => query::Order::Newest,
    }
}
