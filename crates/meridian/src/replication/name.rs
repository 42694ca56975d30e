//! An image, as people write it: `team/app:1.0`, `team/app@sha256:…`.

use std::fmt;
use std::str::FromStr;

use meridian_oci::{Reference, RepositoryName};

/// The tag of a repository that is named without any.
const USUAL: &str = "latest";

/// An image of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName {
    repository: RepositoryName,
    reference: Reference,
}

// === impl ImageName ===

impl ImageName {
    /// Its path in the management API.
    pub(super) fn path(&self) -> String {
        let repository = self.repository.as_str().replace('/', "%2F");
        format!("/v1/replication/images/{repository}/{}", self.reference)
    }
}

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (repository, reference) = match text.split_once('@') {
            Some(parts) => parts,
            None => text.split_once(':').unwrap_or((text, USUAL)),
        };
        let parsed = repository
            .parse()
            .map_err(|why| format!("repository `{repository}`: {why}"))?;
        let reference = reference
            .parse()
            .map_err(|why| format!("`{reference}`: {why}"))?;
        Ok(Self {
            repository: parsed,
            reference,
        })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match self.reference {
            Reference::Tag(_) => ':',
            Reference::Digest(_) => '@',
        };
        write!(f, "{}{separator}{}", self.repository, self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_or_a_digest_follows_the_repository() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, shown, path) in [
            ("app", "app:latest".to_owned(), "app/latest".to_owned()),
            (
                "team/app:1.0",
                "team/app:1.0".to_owned(),
                "team%2Fapp/1.0".to_owned(),
            ),
            (
                &format!("team/app@{digest}"),
                format!("team/app@{digest}"),
                format!("team%2Fapp/{digest}"),
            ),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!(name.to_string(), shown);
            assert_eq!(name.path(), format!("/v1/replication/images/{path}"));
        }
        for text in ["", ":1", "Team/app", "app:", "app:a b", "app@sha256:12"] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
