//! Of which repositories and tags a webhook is told.
//!
//! Owns the grammar and the matching. A scope is `""` (all), or `repository:tag`, in which `*` stands for any
//! run of characters, slashes too, and `?` for one. Without a tag it is that of `latest`, as in ACR. What has
//! no tag, such as a manifest that is deleted, is in the scope of all tags and of no other.

use std::fmt;
use std::str::FromStr;

use meridian_error::{Classify, Code};
use meridian_oci::{RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// Of which repositories and tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Box<str>);

/// Why a string is not a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseScopeError {
    /// What stands for the repository could not match any.
    #[error(
        "the repository of a scope is a name, in which `*` and `?` may stand for characters; the scope of all \
         repositories is empty"
    )]
    Repository,
    /// What stands for the tag could not match any.
    #[error("the tag of a scope is a tag, in which `*` and `?` may stand for characters, or `*`")]
    Tag,
}

/// The tag that a scope without one means.
const LATEST: &str = "latest";
/// The pattern of all tags, and of none.
const ANY: &str = "*";

// === impl Scope ===

impl Scope {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it covers this.
    #[must_use]
    pub fn matches(&self, repository: &RepositoryName, tag: Option<&Tag>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let (name, pattern) = parts(&self.0);
        let in_tag = match tag {
            Some(tag) => covers(pattern, tag.as_str()),
            None => pattern == ANY,
        };
        in_tag && covers(name, repository.as_str())
    }
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.is_empty() {
            let (name, tag) = parts(text);
            if !is_pattern::<RepositoryName>(name, RepositoryName::MAX_BYTES) {
                return Err(ParseScopeError::Repository);
            }
            if !is_pattern::<Tag>(tag, Tag::MAX_BYTES) {
                return Err(ParseScopeError::Tag);
            }
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Scope {
    type Error = ParseScopeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0.into()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Classify for ParseScopeError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

fn parts(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or((text, LATEST))
}

/// Whether a pattern could match a `T`: of each of its characters there is a `T` that has it.
fn is_pattern<T: FromStr>(pattern: &str, max: usize) -> bool {
    let is_wild = |it: char| matches!(it, '*' | '?');
    if !pattern.contains(is_wild) {
        return pattern.parse::<T>().is_ok();
    }
    let occurs = |it: char| format!("a{it}a").parse::<T>().is_ok();
    pattern.len() <= max && pattern.chars().all(|it| is_wild(it) || occurs(it))
}

/// Whether a pattern covers all of a text. Goes back to the last `*` only, so that no pattern takes longer
/// than the product of both lengths.
fn covers(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    let mut last = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star, taken)) = last else {
                    return false;
                };
                last = Some((star, taken + 1));
                at = star + 1;
                from = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};
    use regex::Regex;

    use super::*;

    fn matches(scope: &str, repository: &str, tag: &str) -> bool {
        let tag = (!tag.is_empty()).then(|| tag.parse().unwrap());
        let scope: Scope = scope.parse().unwrap();
        scope.matches(&repository.parse().unwrap(), tag.as_ref())
    }

    #[test]
    fn scopes_mean_what_they_mean_in_acr() {
        for (scope, repository, tag, expected) in [
            ("", "team/app", "v1", true),
            ("", "team/app", "", true),
            ("app:v1", "app", "v1", true),
            ("app:v1", "app", "v2", false),
            ("app:v1", "app", "", false),
            ("app:v1", "team/app", "v1", false),
            ("app:*", "app", "v2", true),
            ("app:*", "app", "", true),
            ("app:*", "apps", "v2", false),
            ("app", "app", "latest", true),
            ("app", "app", "v1", false),
            ("app", "app", "", false),
        ] {
            let found = matches(scope, repository, tag);
            assert_eq!(found, expected, "{scope} {repository}:{tag}");
        }
    }

    #[test]
    fn globs_stand_for_runs_and_for_single_characters() {
        for (scope, repository, tag, expected) in [
            ("team/*:*", "team/app", "v1", true),
            ("team/*:*", "team/a/b", "", true),
            ("team/*:*", "steam/app", "v1", false),
            ("*/app:v?.*", "a/b/app", "v1.2", true),
            ("*/app:v?.*", "a/b/app", "v10", false),
            ("*/app:v?.*", "a/b/app", "", false),
            ("*:*", "app", "", true),
            ("*", "app", "latest", true),
            ("*", "app", "v1", false),
        ] {
            let found = matches(scope, repository, tag);
            assert_eq!(found, expected, "{scope} {repository}:{tag}");
        }
    }

    #[test]
    fn what_could_match_nothing_is_refused() {
        use ParseScopeError::{Repository, Tag};
        for (scope, expected) in [
            (":v1", Repository),
            ("App:v1", Repository),
            ("*A:v1", Repository),
            ("a b*:v1", Repository),
            ("*\n:v1", Repository),
            ("app:", Tag),
            ("app:v1:v2", Tag),
            ("app:*/x", Tag),
            ("app:.v", Tag),
        ] {
            assert_eq!(scope.parse::<Scope>(), Err(expected), "{scope:?}");
        }
        let long = format!("{}*", "a".repeat(255));
        assert_eq!(long.parse::<Scope>(), Err(Repository));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_a_regular_expression(pattern in r"[ab*?]{1,10}", text in r"[ab]{1,10}") {
            let translated = pattern.replace('*', ".*").replace('?', ".");
            let expected = Regex::new(&format!("^{translated}$")).unwrap().is_match(&text);
            prop_assert_eq!(covers(&pattern, &text), expected);
        }
    }
}
