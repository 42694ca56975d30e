//! The name in a certificate.
//!
//! Keeps the invariant that a name has one spelling: what SPIFFE allows to write in two ways
//! (upper case, escapes, a port) is no name here, so that equal names are equal texts.

use std::fmt;
use std::str::FromStr;

use meridian_clock::Region;

use super::role::Role;

/// The longest name (SPIFFE-ID, section 2.3).
const MAX_NAME: usize = 2048;

/// The longest trust domain, likewise.
const MAX_DOMAIN: usize = 255;

const SCHEME: &str = "spiffe://";

/// Who a process is: `spiffe://<trust domain>/region/<region>/role/<role>/<instance>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Of which installation.
    pub trust_domain: Box<str>,
    /// Where.
    pub region: Region,
    /// What it does.
    pub role: Role,
    /// Which of those that do it.
    pub instance: Box<str>,
}

/// A text is no name of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name reads `spiffe://<trust domain>/region/<region>/role/<role>/<instance>`")]
pub struct ParseNameError;

// === impl Name ===

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(ParseNameError)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trust_domain,
            region,
            role,
            instance,
        } = self;
        write!(
            f,
            "{SCHEME}{trust_domain}/region/{region}/role/{role}/{instance}"
        )
    }
}

fn parse(text: &str) -> Option<Name> {
    if text.len() > MAX_NAME {
        return None;
    }
    let mut parts = text.strip_prefix(SCHEME)?.split('/');
    let trust_domain = parts.next().filter(|part| is_domain(part))?;
    parts.next().filter(|part| *part == "region")?;
    let region = parts.next()?.parse().ok()?;
    parts.next().filter(|part| *part == "role")?;
    let role = parts.next()?.parse().ok()?;
    let instance = parts.next().filter(|part| is_segment(part))?;
    parts.next().is_none().then(|| Name {
        trust_domain: trust_domain.into(),
        region,
        role,
        instance: instance.into(),
    })
}

fn is_domain(text: &str) -> bool {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_DOMAIN && text.bytes().all(plain)
}

fn is_segment(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(text, "" | "." | "..") && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in [
            "spiffe://meridian.example/region/eu/role/metadata/metadata-0",
            "spiffe://c_1/region/us-east/role/frontend/Frontend-7f9c.x_2",
        ] {
            let name: Name = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        let name: Name = "spiffe://m/region/eu/role/blob/7".parse().unwrap();
        assert_eq!((&*name.trust_domain, &*name.instance), ("m", "7"));
        assert_eq!((name.region.as_str(), name.role), ("eu", Role::Blob));
    }

    #[test]
    fn there_is_one_spelling() {
        for text in [
            "",
            "spiffe://",
            "spiffe:///region/eu/role/blob/0",
            "SPIFFE://m/region/eu/role/blob/0",
            "spiffe://M/region/eu/role/blob/0",
            "spiffe://m:1/region/eu/role/blob/0",
            "spiffe://a@m/region/eu/role/blob/0",
            "spiffe://m/region/eu/role/blob",
            "spiffe://m/region/eu/role/blob/",
            "spiffe://m/region/eu/role/blob/0/",
            "spiffe://m/region/eu/role/blob/0/1",
            "spiffe://m/region/eu/role/blob/..",
            "spiffe://m/region/eu/role/blob/0?a",
            "spiffe://m/region/eu/role/blob/0#a",
            "spiffe://m/region/eu/role/blob/%30",
            "spiffe://m/region/eu//role/blob/0",
            "spiffe://m/region/EU/role/blob/0",
            "spiffe://m/region/eu/role/Blob/0",
            "spiffe://m/region/eu/role/root/0",
            "spiffe://m/role/blob/region/eu/0",
            "https://m/region/eu/role/blob/0",
            " spiffe://m/region/eu/role/blob/0",
        ] {
            assert_eq!(text.parse::<Name>(), Err(ParseNameError), "{text:?}");
        }
        let long = format!("spiffe://m/region/eu/role/blob/{}", "0".repeat(2048));
        assert!(long.parse::<Name>().is_err());
    }
}
