//! The name of an upload session, as clients see it: in which region it is, and which it is there.
//!
//! Owns the form `<region>~<id>`. An id by itself is sealed by the blob service that made it, and is
//! unknown to any other; the region in front of it says whom to ask. Where there is one region only,
//! an id stands alone. The tilde is in neither grammar, and needs no escape in a path.

use std::fmt;
use std::str::FromStr;

use meridian_clock::Region;
use meridian_oci::UploadId;

/// The name of an upload session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Where it is; here, if that is not said.
    pub(crate) region: Option<Region>,
    /// Which one.
    pub(crate) id: UploadId,
}

/// The text names no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of the upload session is malformed")]
pub(crate) struct ParseSessionError;

// === impl Session ===

impl FromStr for Session {
    type Err = ParseSessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (region, id) = match text.split_once('~') {
            Some((region, id)) => {
                let region = region.parse().map_err(|_malformed| ParseSessionError)?;
                (Some(region), id)
            }
            None => (None, text),
        };
        let id = id.parse().map_err(|_malformed| ParseSessionError)?;
        Ok(Self { region, id })
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.region {
            Some(region) => write!(f, "{region}~{}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_with_its_region_or_without() {
        for (text, region) in [
            ("0123456789abcdef", None),
            ("eu~0123456789abcdef", Some("eu")),
            ("us-east~0123456789abcdef", Some("us-east")),
        ] {
            let session: Session = text.parse().unwrap();
            assert_eq!(session.region.as_ref().map(Region::as_str), region);
            assert_eq!(session.id.as_str(), "0123456789abcdef");
            assert_eq!(session.to_string(), text);
        }
    }

    #[test]
    fn what_could_be_two_things_names_none() {
        for text in [
            "",
            "~0123456789abcdef",
            "EU~0123456789abcdef",
            "eu~",
            "eu~short",
            "eu~us~0123456789abcdef",
        ] {
            assert_eq!(text.parse::<Session>(), Err(ParseSessionError), "{text}");
        }
    }
}
