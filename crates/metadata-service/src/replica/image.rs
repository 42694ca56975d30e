//! How much of an image is here.

use meridian_catalog::query::{self, Fate, Image};
use meridian_clients::ReadError;
use meridian_clients::image::ImageView;
use meridian_clock::Version;
use meridian_event::RegistryId;
use meridian_oci::{Digest, Reference, RepositoryName, Tag};

use crate::changes::View;
use crate::group::Group;
use crate::read::failed;

/// How many parts of an image are looked at. Nobody makes larger ones.
const MOST_PARTS: usize = 10_000;

type Result<T> = std::result::Result<T, ReadError>;

/// What is meant by a reference.
struct Meant {
    version: Version,
    digest: Option<Digest>,
    is_exposed: bool,
}

pub(super) async fn image(
    group: &Group,
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ImageView>> {
    let view = group.read().await?;
    let meant = match reference {
        Reference::Tag(name) => tagged(&view, registry, repository, name)?,
        Reference::Digest(digest) => named(&view, registry, repository, *digest)?,
    };
    let Some(meant) = meant else {
        return Ok(None);
    };
    let extent = match meant.digest {
        Some(digest) => query::extent(&view, registry, repository, digest, MOST_PARTS),
        None => Ok(None),
    };
    let extent = extent.map_err(failed)?.unwrap_or_default();
    Ok(Some(ImageView {
        version: meant.version,
        digest: meant.digest,
        bytes: extent.bytes,
        missing: extent.missing,
        is_exposed: meant.is_exposed,
    }))
}

fn tagged(
    view: &View,
    registry: RegistryId,
    repository: &RepositoryName,
    name: &Tag,
) -> Result<Option<Meant>> {
    let winner = query::tag_winner(view, registry, repository, name).map_err(failed)?;
    Ok(winner.map(|winner| Meant {
        version: winner.version,
        digest: winner.digest.filter(|_| winner.fate != Fate::Gone),
        is_exposed: winner.fate == Fate::Shown,
    }))
}

fn named(
    view: &View,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: Digest,
) -> Result<Option<Meant>> {
    let cell = query::manifest_cell(view, registry, repository, digest).map_err(failed)?;
    let Some(cell) = cell else {
        return Ok(None);
    };
    let image = query::image(view, registry, repository, digest).map_err(failed)?;
    // What is only needed may not have been put yet, as far as is known here.
    let version = cell.add.max(cell.del);
    Ok(Some(Meant {
        version: version.unwrap_or_else(|| registry.version()),
        digest: image.map(|_| digest),
        is_exposed: image == Some(Image::Exposed),
    }))
}
