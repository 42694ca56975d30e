//! An image, as people write it: `team/app:1.0`, `team/app@sha256:…`. Of both a tag and a digest, the digest
//! counts.

use std::fmt;
use std::str::FromStr;

use meridian_clock::Version;
use meridian_oci::{Reference, RepositoryName, Tag};

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
    /// Its path in the management API, where this version is meant or a newer one.
    pub(super) fn path(&self, version: Option<Version>) -> String {
        let repository = self.repository.as_str().replace('/', "%2F");
        let path = format!("/v1/replication/images/{repository}/{}", self.reference);
        match version {
            Some(version) => format!("{path}?version={version}"),
            None => path,
        }
    }

    /// Whether it is what a tag names, which may change.
    pub(super) fn is_tag(&self) -> bool {
        matches!(self.reference, Reference::Tag(_))
    }
}

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((host, rest)) = text.split_once('/')
            && host.contains(':')
            && !host.contains('@')
        {
            return Err(format!(
                "leave the host out: `{rest}`; --server or --data-dir says which registry is asked"
            ));
        }
        let (repository, reference) = match text.split_once('@') {
            Some((named, digest)) => (untagged(named)?, digest),
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

/// The repository of a name that may have a tag besides its digest.
fn untagged(named: &str) -> Result<&str, String> {
    let Some((repository, tag)) = named.split_once(':') else {
        return Ok(named);
    };
    match tag.parse::<Tag>() {
        Ok(_) => Ok(repository),
        Err(why) => Err(format!("`{tag}`: {why}")),
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
            (
                &format!("team/app:1.0@{digest}"),
                format!("team/app@{digest}"),
                format!("team%2Fapp/{digest}"),
            ),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!(name.to_string(), shown);
            let path = format!("/v1/replication/images/{path}");
            assert_eq!(name.path(None), path);
            let version: Version = "5.0@eu".parse().unwrap();
            assert_eq!(name.path(Some(version)), format!("{path}?version=5.0@eu"));
        }
        for text in ["", ":1", "Team/app", "app:", "app:a b", "app@sha256:12"] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
        let badly_tagged = format!("app:a b@{digest}");
        assert!(badly_tagged.parse::<ImageName>().is_err());
    }

    #[test]
    fn a_host_is_to_be_left_out() {
        let error = "localhost:5600/team/app:1".parse::<ImageName>();
        let error = error.unwrap_err();
        assert!(
            error.contains("host") && error.contains("`team/app:1`"),
            "{error}"
        );
    }
}
