//! How long-winded kernel types look in the state and in the log.
//!
//! The kernel's `serde` is made for people: a digest is 71 letters, a media type its name. In a
//! binary format this module writes a digest as a number for its algorithm and its raw bytes (33
//! or 65 bytes), and the media type of a manifest as a number (2 bytes). Text formats see what the
//! kernel writes, so that a dump stays readable.
//!
//! Fields opt in with `#[serde(with = "crate::compact")]`. The numbers are part of the format of
//! state and log: they are never given another meaning.

use meridian_event::{Leaf, Mark, Notice, RegistryId};
use meridian_oci::{Digest, MediaType};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What has a shorter form than the one that it shows to people.
pub(crate) trait Compact: Sized {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

pub(crate) fn serialize<T: Compact, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    value.write(to)
}

pub(crate) fn deserialize<'de, T: Compact, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::read(from)
}

/// A digest in a binary format. Derived code knows no array longer than 32.
#[derive(Serialize, Deserialize)]
enum RawDigest {
    Sha256([u8; 32]),
    Sha512([[u8; 32]; 2]),
}

/// A media type in a binary format.
#[derive(Serialize, Deserialize)]
enum ShortMediaType<T> {
    Named(T),
    Numbered(u8),
}

/// The media types whose number is their place. Closed under one format, because every version of
/// the program that knows the format must read what any of them writes.
static NUMBERED: [MediaType; 6] = [
    MediaType::OCI_IMAGE_MANIFEST,
    MediaType::OCI_IMAGE_INDEX,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_MANIFEST_LIST,
    MediaType::OCI_ARTIFACT_MANIFEST,
    MediaType::ORAS_ARTIFACT_MANIFEST,
];

/// What a container holds, on its way out.
struct Written<'v, T>(&'v T);

/// What a container holds, on its way in.
struct Found<T>(T);

impl<T: Compact> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.write(to)
    }
}

impl<'de, T: Compact> Deserialize<'de> for Found<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Found)
    }
}

impl Compact for Digest {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return self.serialize(to);
        }
        match self {
            Self::Sha256(hash) => RawDigest::Sha256(*hash),
            Self::Sha512(hash) => {
                let mut halves = [[0; 32]; 2];
                halves.as_flattened_mut().copy_from_slice(hash);
                RawDigest::Sha512(halves)
            }
        }
        .serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return Self::deserialize(from);
        }
        Ok(match RawDigest::deserialize(from)? {
            RawDigest::Sha256(hash) => Self::Sha256(hash),
            RawDigest::Sha512(halves) => {
                let mut hash = [0; 64];
                hash.copy_from_slice(halves.as_flattened());
                Self::Sha512(hash)
            }
        })
    }
}

impl Compact for MediaType {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return self.serialize(to);
        }
        let place = NUMBERED.iter().position(|numbered| numbered == self);
        match place.and_then(|place| u8::try_from(place).ok()) {
            Some(number) => ShortMediaType::Numbered(number),
            None => ShortMediaType::Named(self.as_str()),
        }
        .serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return Self::deserialize(from);
        }
        match ShortMediaType::deserialize(from)? {
            ShortMediaType::Named(name) => Ok(name),
            ShortMediaType::Numbered(number) => NUMBERED
                .get(usize::from(number))
                .cloned()
                .ok_or_else(|| D::Error::custom("no media type has that number")),
        }
    }
}

impl Compact for Leaf {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return self.serialize(to);
        }
        (Written(&self.digest), self.size).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return Self::deserialize(from);
        }
        let (Found(digest), size) = Deserialize::deserialize(from)?;
        Ok(Self { digest, size })
    }
}

impl Compact for (RegistryId, Digest) {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (&self.0, Written(&self.1)).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (registry, Found(digest)) = Deserialize::deserialize(from)?;
        Ok((registry, digest))
    }
}

impl Compact for Notice {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return self.serialize(to);
        }
        let Self {
            push,
            repository,
            manifest,
            media_type,
            tags,
        } = self;
        (
            push,
            repository,
            Written(manifest),
            Written(media_type),
            tags,
        )
            .serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return Self::deserialize(from);
        }
        let (push, repository, Found(manifest), Found(media_type), tags) =
            Deserialize::deserialize(from)?;
        Ok(Self {
            push,
            repository,
            manifest,
            media_type,
            tags,
        })
    }
}

impl Compact for Mark {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return self.serialize(to);
        }
        let Self {
            origin,
            epoch,
            merged,
            version,
            copied,
            complete,
            except,
        } = self;
        (origin, epoch, merged, version, copied, complete, except).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return Self::deserialize(from);
        }
        let (origin, epoch, merged, version, copied, complete, except) =
            Deserialize::deserialize(from)?;
        Ok(Self {
            origin,
            epoch,
            merged,
            version,
            copied,
            complete,
            except,
        })
    }
}

impl<T: Compact> Compact for Box<T> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (**self).write(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Self::new)
    }
}

impl<T: Compact> Compact for Option<T> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(Written).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = Option::<Found<T>>::deserialize(from)?;
        Ok(found.map(|Found(value)| value))
    }
}

impl<T: Compact> Compact for Vec<T> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter().map(Written))
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = Vec::<Found<T>>::deserialize(from)?;
        Ok(found.into_iter().map(|Found(value)| value).collect())
    }
}

#[cfg(test)]
mod tests {
    use meridian_oci::Algorithm;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Row<T: Compact>(#[serde(with = "super")] T);

    fn bytes_of<T: Compact + PartialEq + std::fmt::Debug>(value: T) -> Vec<u8> {
        let row = Row(value);
        let bytes = postcard::to_stdvec(&row).unwrap();
        assert_eq!(postcard::from_bytes::<Row<T>>(&bytes).unwrap(), row);
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<Row<T>>(&text).unwrap(), row);
        bytes
    }

    #[test]
    fn a_digest_is_a_number_and_its_bytes() {
        let short = Digest::of(Algorithm::Sha256, b"x");
        assert_eq!(bytes_of(short), [&[0], short.as_bytes()].concat());
        let long = Digest::of(Algorithm::Sha512, b"x");
        assert_eq!(bytes_of(long), [&[1], long.as_bytes()].concat());
        assert_eq!(bytes_of(Some(short)).len(), 34);
        assert_eq!(bytes_of(vec![short, long]).len(), 1 + 33 + 65);
        let leaf = Leaf {
            digest: short,
            size: 5,
        };
        assert_eq!(bytes_of(vec![leaf; 3]).len(), 1 + 3 * 34);
    }

    #[test]
    fn the_media_type_of_a_manifest_is_a_number() {
        for media_type in &NUMBERED {
            assert_eq!(bytes_of(media_type.clone()).len(), 2);
        }
        assert_eq!(bytes_of(MediaType::OCI_IMAGE_INDEX), [1, 1]);
        let other: MediaType = "a/b".parse().unwrap();
        assert_eq!(bytes_of(other), [0, 3, b'a', b'/', b'b']);
    }

    #[test]
    fn what_is_not_one_of_them_is_refused() {
        assert!(postcard::from_bytes::<Row<Digest>>(&[2; 40]).is_err());
        assert!(postcard::from_bytes::<Row<Digest>>(&[0; 32]).is_err());
        assert!(postcard::from_bytes::<Row<MediaType>>(&[1, 6]).is_err());
        assert!(postcard::from_bytes::<Row<MediaType>>(&[0, 1, b'a']).is_err());
    }

    #[test]
    fn people_see_text() {
        let row = Row(vec![Digest::of(Algorithm::Sha256, b"")]);
        assert_eq!(
            serde_json::to_string(&row).unwrap(),
            r#"["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]"#
        );
    }
}
