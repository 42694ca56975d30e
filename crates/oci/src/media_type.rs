//! The media type of a manifest, a blob or an artifact.
//!
//! Owns the grammar (RFC 6838, section 4.2, without parameters, as image-spec demands) and the
//! questions that a registry asks of a type. Types compare byte for byte, as all registries do, and
//! a type that nobody here knows is as good as any other for content. Leaves what a manifest of a
//! type must look like to [`Manifest`](crate::Manifest).

mod known;

use std::borrow::Cow;

use meridian_error::{Classify, Code};
use serde::{Deserialize, Serialize};

use crate::ManifestKind;
use crate::text::validated_text;

/// `type/subtype`, at most [`MAX_BYTES`](Self::MAX_BYTES) long, without parameters. A known type
/// costs no allocation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaType(Cow<'static, str>);

/// Why a string is not a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseMediaTypeError {
    /// It is empty.
    #[error("media type is empty")]
    Empty,
    /// It is longer than [`MediaType::MAX_BYTES`].
    #[error("media type is longer than {} bytes", MediaType::MAX_BYTES)]
    TooLong,
    /// It does not follow the grammar.
    #[error("media type is malformed")]
    Malformed,
}

validated_text!(MediaType, ParseMediaTypeError, check, known::intern);

impl MediaType {
    /// Two names of 127 characters and the slash between them.
    pub const MAX_BYTES: usize = 255;

    /// The media type that a `Content-Type` header names, without its parameters.
    ///
    /// # Errors
    ///
    /// If what stands before the parameters is not a media type.
    pub fn from_header(header: &str) -> Result<Self, ParseMediaTypeError> {
        let (essence, _parameters) = header.split_once(';').unwrap_or((header, ""));
        essence.trim_matches([' ', '\t']).parse()
    }

    /// What a manifest of this type is, if it is the type of a manifest that this registry stores.
    #[must_use]
    pub fn manifest_kind(&self) -> Option<ManifestKind> {
        static KINDS: [(MediaType, ManifestKind); 6] = [
            (MediaType::OCI_IMAGE_MANIFEST, ManifestKind::Image),
            (MediaType::OCI_IMAGE_INDEX, ManifestKind::Index),
            (MediaType::DOCKER_MANIFEST, ManifestKind::Image),
            (MediaType::DOCKER_MANIFEST_LIST, ManifestKind::Index),
            (MediaType::OCI_ARTIFACT_MANIFEST, ManifestKind::Artifact),
            (MediaType::ORAS_ARTIFACT_MANIFEST, ManifestKind::Artifact),
        ];
        KINDS
            .iter()
            .find_map(|(media_type, kind)| (media_type == self).then_some(*kind))
    }

    /// Whether content of this type is a manifest, of whatever kind.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        self.manifest_kind().is_some()
    }

    /// Whether content of this type is an index or a manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.manifest_kind() == Some(ManifestKind::Index)
    }

    /// Whether content of this type is the first generation of Docker's manifests, which no current
    /// client reads or writes.
    #[must_use]
    pub fn is_docker_schema1(&self) -> bool {
        *self == Self::DOCKER_SCHEMA1 || *self == Self::DOCKER_SCHEMA1_SIGNED
    }

    /// Whether content of this type may be absent because its distribution is restricted: "foreign"
    /// and "non-distributable" layers, whatever their compression.
    #[must_use]
    pub fn is_nondistributable(&self) -> bool {
        [
            &Self::OCI_NONDISTRIBUTABLE_LAYER,
            &Self::DOCKER_FOREIGN_LAYER,
        ]
        .into_iter()
        .filter_map(|layer| self.as_str().strip_prefix(layer.as_str()))
        .any(|suffix| suffix.is_empty() || suffix.starts_with(['+', '.']))
    }
}

impl Classify for ParseMediaTypeError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn check(text: &str) -> Result<(), ParseMediaTypeError> {
    if text.is_empty() {
        return Err(ParseMediaTypeError::Empty);
    }
    if text.len() > MediaType::MAX_BYTES {
        return Err(ParseMediaTypeError::TooLong);
    }
    match text.split_once('/') {
        Some((kind, subtype)) if is_restricted_name(kind) && is_restricted_name(subtype) => Ok(()),
        _ => Err(ParseMediaTypeError::Malformed),
    }
}

/// `restricted-name` of RFC 6838: `[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}`.
fn is_restricted_name(name: &str) -> bool {
    let lawful = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
    name.len() <= 127
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(lawful)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use regex::Regex;

    use super::*;

    #[test]
    fn a_header_is_stripped_of_its_parameters() {
        for header in [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.index.v1+json; charset=utf-8",
            " application/vnd.oci.image.index.v1+json ;a=\"b;c\"",
            "application/vnd.oci.image.index.v1+json;",
        ] {
            assert_eq!(
                MediaType::from_header(header),
                Ok(MediaType::OCI_IMAGE_INDEX)
            );
        }
        for header in [
            "",
            ";",
            " ; a=b",
            "application",
            "a/b c",
            "a/b, c/d",
            "a/b\r\n",
        ] {
            assert!(MediaType::from_header(header).is_err(), "{header:?}");
        }
    }

    #[test]
    fn kinds_of_manifests_are_known() {
        assert!(MediaType::OCI_IMAGE_INDEX.is_index());
        assert!(MediaType::DOCKER_MANIFEST_LIST.is_index());
        assert!(MediaType::DOCKER_MANIFEST.is_manifest());
        assert!(!MediaType::DOCKER_MANIFEST.is_index());
        assert!(MediaType::ORAS_ARTIFACT_MANIFEST.is_manifest());
        assert!(!MediaType::DOCKER_SCHEMA1_SIGNED.is_manifest());
        assert!(!MediaType::OCI_EMPTY.is_manifest());
        let upper = "application/vnd.oci.image.INDEX.v1+json".parse::<MediaType>();
        assert!(!upper.unwrap().is_manifest());
    }

    #[test]
    fn restricted_layers_are_known_whatever_their_compression() {
        for (text, expected) in [
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar",
                true,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                true,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                true,
            ),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar", true),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                true,
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.target",
                false,
            ),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", false),
            ("application/vnd.oci.image.layer.v1.tar+gzip", false),
        ] {
            let media_type = text.parse::<MediaType>().unwrap();
            assert_eq!(media_type.is_nondistributable(), expected, "{text}");
        }
    }

    #[test]
    fn known_types_are_lawful_and_cost_no_allocation() {
        for media_type in known::ALL {
            let parsed = media_type.as_str().parse::<MediaType>().unwrap();
            assert_eq!(parsed, *media_type);
            assert!(matches!(parsed.0, Cow::Borrowed(_)));
        }
    }

    proptest! {
        #[test]
        fn acceptance_agrees_with_the_grammar(
            text in r"[A-Za-z0-9!#$&^_.+/; -]{0,12}|[a-z]{1,3}/[a-z.+-]{0,6}|a{120,130}/b{120,130}|\PC{0,20}"
        ) {
            let grammar = Regex::new(
                r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$"
            ).unwrap();
            let parsed = text.parse::<MediaType>();
            prop_assert_eq!(parsed.is_ok(), grammar.is_match(&text));
            if let Ok(media_type) = parsed {
                prop_assert_eq!(MediaType::from_header(&format!("{media_type} ; q=1")), Ok(media_type.clone()));
                let json = serde_json::to_string(&media_type).unwrap();
                prop_assert_eq!(serde_json::from_str::<MediaType>(&json).unwrap(), media_type);
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = MediaType::from_header(&String::from_utf8_lossy(&bytes));
        }
    }
}
