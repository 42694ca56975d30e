//! What can be wrong with settings, in words for whoever has to change them.

use std::fmt;

use meridian_error::{Classify, Code};

use super::layers::Place;

/// What a process exits with when it cannot start for its settings: `EX_USAGE` of `sysexits.h`.
pub const EXIT_CODE: u8 = 64;

/// Settings that cannot be started on. Displays as one line for each fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

/// One fault: a key, the place where it is written, what is wrong, and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    key: String,
    place: Option<String>,
    problem: String,
    advice: String,
}

// === impl ConfigError ===

impl ConfigError {
    pub(super) const fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// A fault that was found after the settings were read, such as two that contradict each
    /// other.
    pub fn found(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::new(vec![Fault {
            key: key.into(),
            place: None,
            problem: problem.into(),
            advice: String::new(),
        }])
    }

    /// The faults, in the order in which they were found.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What the process should exit with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        EXIT_CODE
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl Classify for ConfigError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

// === impl Fault ===

impl Fault {
    /// The dotted key, empty when the fault is about a whole file.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn unknown(path: &[String], place: &Place, known: &[&str]) -> Self {
        let key = path.last().map_or("", String::as_str);
        let distance = |known: &&&str| strsim::damerau_levenshtein(key, known);
        let near = known.iter().min_by_key(distance);
        let advice = match near {
            Some(near) if distance(&near) <= 1 + key.len() / 4 => format!("did you mean `{near}`?"),
            _ if known.is_empty() => "remove it".to_owned(),
            _ => format!("the keys here are {}", known.join(", ")),
        };
        Self::at(path, place, "unknown key", advice)
    }

    pub(super) fn missing(path: &[String]) -> Self {
        Self {
            key: path.join("."),
            place: None,
            problem: "missing".to_owned(),
            advice: "set it; it has no default".to_owned(),
        }
    }

    pub(super) fn invalid(path: &[String], place: &Place, problem: &str) -> Self {
        Self::at(path, place, problem, String::new())
    }

    pub(super) fn given_twice(path: &[String], place: &Place, other: &[String]) -> Self {
        let problem = format!("`{}` is set as well", other.join("."));
        Self::at(path, place, &problem, "keep one of the two".to_owned())
    }

    pub(super) fn nowhere(path: &[String], problem: &str) -> Self {
        Self {
            key: path.join("."),
            place: None,
            problem: problem.to_owned(),
            advice: String::new(),
        }
    }

    pub(super) fn unreadable(place: &Place, problem: &str) -> Self {
        Self::at(&[], place, problem, String::new())
    }

    fn at(path: &[String], place: &Place, problem: &str, advice: String) -> Self {
        Self {
            key: path.join("."),
            place: Some(place.to_string()),
            problem: problem.to_owned(),
            advice,
        }
    }
}

/// `blob.s3.bukket (in meridian.toml): unknown key; did you mean `bucket`?`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), &self.place) {
            ("", Some(place)) => write!(f, "{place}: ")?,
            ("", None) => {}
            (key, Some(place)) => write!(f, "{key} (in {place}): ")?,
            (key, None) => write!(f, "{key}: ")?,
        }
        f.write_str(&self.problem)?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}
