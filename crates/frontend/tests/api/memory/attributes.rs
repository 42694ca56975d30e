//! What is said of tags and manifests in memory. Nobody sets anything of them there that lasts.

use bytes::Bytes;
use meridian_clients::{
    Described, Holding, ListRequest, Listing, Mark, Order, ReadError, RepositoryPath,
};
use meridian_event::Target;
use meridian_oci::Reference;

use super::Contents;

impl Contents {
    pub(super) fn describe(
        &self,
        path: &RepositoryPath,
        target: &Target,
    ) -> Result<Described, ReadError> {
        let repository = self.repository(path)?;
        let Some(reference) = target.reference() else {
            return Ok(Described {
                is_there: true,
                manifests: repository.manifests.len() as u64,
                tags: repository.tags.len() as u64,
                ..Described::default()
            });
        };
        let (digest, manifest) = self.manifest(path, &reference)?;
        let updated = self.versions.get(&(path.name.clone(), reference)).copied();
        let names = repository.tags.iter().filter(|(_, to)| **to == digest);
        let is_manifest = matches!(target, Target::Manifest(_));
        Ok(Described {
            is_there: true,
            created: updated,
            updated,
            digest: Some(digest),
            names: names.map(|(name, _)| name.clone()).collect(),
            media_type: is_manifest.then(|| manifest.media_type().clone()),
            bytes: match is_manifest {
                true => manifest.bytes().clone(),
                false => Bytes::new(),
            },
            ..Described::default()
        })
    }

    /// By name, a mark is found by its name; by time, by its version, without which nothing is in order.
    pub(super) fn list(
        &self,
        path: &RepositoryPath,
        request: ListRequest,
    ) -> Result<Option<Listing>, ReadError> {
        let repository = self.repository(path)?;
        let tags = repository.tags.iter();
        let names: Vec<Reference> = match request.holding {
            Holding::Tags => tags.map(|(name, _)| name.clone().into()).collect(),
            Holding::TagsOf(of) => tags
                .filter(|(_, to)| **to == of)
                .map(|(name, _)| name.clone().into())
                .collect(),
            Holding::Manifests => repository.manifests.keys().map(|it| (*it).into()).collect(),
        };
        let mut items = Vec::new();
        for name in names {
            let target = match &name {
                Reference::Tag(tag) => Target::Tag(tag.clone()),
                Reference::Digest(digest) => Target::Manifest(*digest),
            };
            let described = self.describe(path, &target)?;
            items.push((name, described));
        }
        match request.order {
            Order::Name => {}
            Order::Oldest => items.sort_by_key(|(_, it)| it.updated),
            Order::Newest => items.sort_by_key(|(_, it)| std::cmp::Reverse(it.updated)),
        }
        let start = match &request.after {
            None => 0,
            Some(mark) => {
                let is_it = |(name, it): &(Reference, Described)| match request.order {
                    Order::Name => *name == mark.after,
                    Order::Oldest | Order::Newest => mark.at.is_some() && it.updated == mark.at,
                };
                match items.iter().position(is_it) {
                    Some(place) => place + 1,
                    None => return Ok(None),
                }
            }
        };
        let mut items = items.split_off(start);
        let is_more = items.len() > request.limit;
        items.truncate(request.limit);
        let next = items.last().filter(|_| is_more);
        let next = next.map(|(name, it)| Mark {
            after: name.clone(),
            at: it.updated.filter(|_| request.order != Order::Name),
        });
        Ok(Some(Listing { items, next }))
    }
}
