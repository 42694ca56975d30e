//! What was promised.
//!
//! A request that was answered with success is a promise: that what was put is there, and that what
//! was deleted is not. One that was refused changed nothing. One whose answer never came may have
//! taken effect or not, and both are right, until somebody looks after the next start: what was seen
//! then, stays. Leaves looking to `verdict`.
//!
//! Each name has one writer at a time, and nobody writes to a name while the outcome of an earlier
//! write to it is unknown. So no promise is ever overtaken by what was sent before it.

use std::collections::BTreeMap;

use harness::{Image, digest};
use meridian_oci::Digest;
use tokio::sync::watch;

/// A repository, and what is in it.
pub(crate) type Place = (String, Digest);

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Present,
    Absent,
    /// Nobody knows, and nobody was told.
    Either,
}

/// Everything that was promised so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) blobs: BTreeMap<Place, Fate>,
    pub(crate) manifests: BTreeMap<Place, (Image, Fate)>,
    /// What each tag may point at: what the last answer says, and what was sent since.
    pub(crate) tags: BTreeMap<(String, String), Vec<Option<Digest>>>,
    /// Whether blobs without a manifest may be collected.
    pub(crate) collects: bool,
    /// How many answers were promises.
    answers: watch::Sender<u64>,
    /// How many of them said that something was deleted.
    deletions: u64,
    /// How many there were when the power went, if it did.
    cut_at: Option<u64>,
}

// === impl Fate ===

impl Fate {
    /// After a request to put it was sent.
    const fn put_sent(self) -> Self {
        match self {
            Self::Present => Self::Present,
            Self::Absent | Self::Either => Self::Either,
        }
    }

    /// After a request to delete it was sent.
    const fn delete_sent(self) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Present | Self::Either => Self::Either,
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// A ledger for a registry that collects what no manifest needs at once.
    pub(crate) fn collecting() -> Self {
        Self {
            collects: true,
            ..Self::default()
        }
    }

    /// Changes with every promise.
    pub(crate) fn answers(&self) -> watch::Receiver<u64> {
        self.answers.subscribe()
    }

    /// How many promises there were.
    pub(crate) fn promises(&self) -> u64 {
        *self.answers.borrow()
    }

    /// How many of them were deletions.
    pub(crate) const fn deletions(&self) -> u64 {
        self.deletions
    }

    /// The power is off from now on. Promises count all the same.
    pub(crate) fn power_is_off(&mut self) {
        self.cut_at = Some(self.promises());
    }

    /// The power is back.
    pub(crate) fn power_is_on(&mut self) {
        self.cut_at = None;
    }

    /// Whether the power is off.
    pub(crate) const fn is_cut(&self) -> bool {
        self.cut_at.is_some()
    }

    /// How many promises were made without power.
    pub(crate) fn late(&self) -> u64 {
        self.cut_at.map_or(0, |at| self.promises() - at)
    }

    fn promised(&self) {
        self.answers.send_modify(|answers| *answers += 1);
    }

    // --- blobs ---

    pub(crate) fn blob(&self, repository: &str, digest: Digest) -> Fate {
        let fate = self.blobs.get(&place(repository, digest));
        fate.copied().unwrap_or(Fate::Absent)
    }

    pub(crate) fn blob_sent(&mut self, repository: &str, digest: Digest) {
        let fate = self.blob(repository, digest).put_sent();
        self.blobs.insert(place(repository, digest), fate);
    }

    pub(crate) fn blob_put(&mut self, repository: &str, digest: Digest) {
        self.promised();
        self.blobs.insert(place(repository, digest), Fate::Present);
    }

    pub(crate) fn blob_delete_sent(&mut self, repository: &str, digest: Digest) {
        let fate = self.blob(repository, digest).delete_sent();
        self.blobs.insert(place(repository, digest), fate);
    }

    pub(crate) fn blob_deleted(&mut self, repository: &str, digest: Digest) {
        self.promised();
        self.deletions += 1;
        self.blobs.insert(place(repository, digest), Fate::Absent);
    }

    // --- manifests ---

    pub(crate) fn manifest(&self, repository: &str, digest: Digest) -> Fate {
        let known = self.manifests.get(&place(repository, digest));
        known.map_or(Fate::Absent, |(_, fate)| *fate)
    }

    /// The images of a repository that are there, or are not.
    pub(crate) fn images(&self, repository: &str, which: Fate) -> Vec<Image> {
        let known = self.manifests.iter();
        let of = known.filter(|(place, (_, fate))| place.0 == repository && *fate == which);
        of.map(|(_, (image, _))| image.clone()).collect()
    }

    /// An image was sent, and is to be had under a tag.
    pub(crate) fn manifest_sent(&mut self, repository: &str, tag: &str, image: &Image) {
        let fate = self.manifest(repository, image.digest()).put_sent();
        let place = place(repository, image.digest());
        self.manifests.insert(place, (image.clone(), fate));
        self.tag_sent(repository, tag, Some(image.digest()));
    }

    pub(crate) fn manifest_put(&mut self, repository: &str, tag: &str, image: &Image) {
        let place = place(repository, image.digest());
        self.manifests.insert(place, (image.clone(), Fate::Present));
        self.tag_done(repository, tag, Some(image.digest()));
    }

    /// With a manifest go the tags that point at it, and, in the end, what it alone needed.
    pub(crate) fn manifest_delete_sent(&mut self, repository: &str, image: &Image) {
        let gone = image.digest();
        let fate = self.manifest(repository, gone).delete_sent();
        self.manifests
            .insert(place(repository, gone), (image.clone(), fate));
        for blob in &image.blobs {
            self.blob_delete_sent(repository, digest(blob));
        }
        for values in self.tags_of(repository) {
            if values.contains(&Some(gone)) && !values.contains(&None) {
                values.push(None);
            }
        }
    }

    pub(crate) fn manifest_deleted(&mut self, repository: &str, image: &Image) {
        self.promised();
        self.deletions += 1;
        let gone = image.digest();
        self.manifests
            .insert(place(repository, gone), (image.clone(), Fate::Absent));
        for values in self.tags_of(repository) {
            values.retain(|value| *value != Some(gone));
        }
    }

    // --- tags ---

    /// What a tag may point at.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Vec<Option<Digest>> {
        let values = self.tags.get(&(repository.to_owned(), tag.to_owned()));
        values.cloned().unwrap_or_else(|| vec![None])
    }

    pub(crate) fn tag_sent(&mut self, repository: &str, tag: &str, value: Option<Digest>) {
        let mut values = self.tag(repository, tag);
        values.push(value);
        self.tags
            .insert((repository.to_owned(), tag.to_owned()), values);
    }

    pub(crate) fn tag_done(&mut self, repository: &str, tag: &str, value: Option<Digest>) {
        self.promised();
        self.deletions += u64::from(value.is_none());
        let key = (repository.to_owned(), tag.to_owned());
        self.tags.insert(key, vec![value]);
    }

    fn tags_of(&mut self, repository: &str) -> impl Iterator<Item = &mut Vec<Option<Digest>>> {
        let of = self.tags.iter_mut();
        of.filter(move |(key, _)| key.0 == repository)
            .map(|(_, values)| values)
    }
}

pub(crate) fn place(repository: &str, digest: Digest) -> Place {
    (repository.to_owned(), digest)
}
