//! Where settings are written: a file, the environment, flags.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use serde::Serialize;

use super::Fault;

/// The environment variables of one prefix.
#[derive(Debug, Clone)]
pub struct Environment {
    prefix: String,
    variables: BTreeMap<String, String>,
}

/// Settings given as command-line flags.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    layers: Vec<Layer>,
}

/// Settings from one place.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    place: Place,
    settings: Dict,
}

/// Where a setting was written, as an operator would look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Environment { prefix: String },
    Variable(String),
    Flag(&'static str),
}

// === impl Environment ===

impl Environment {
    /// What this process was started with.
    #[must_use]
    pub fn of_process(prefix: &str) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::new(prefix, std::env::vars_os().filter_map(text))
    }

    /// Those of `variables` whose name begins with `prefix`.
    #[must_use]
    pub fn new(prefix: &str, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |(name, value): (String, String)| {
            let key = name.strip_prefix(prefix)?.to_owned();
            Some((key, value))
        };
        Self {
            prefix: prefix.to_owned(),
            variables: variables.into_iter().filter_map(ours).collect(),
        }
    }

    /// Leaves out a variable, named without the prefix, that is no setting: one that a flag reads
    /// for itself.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    pub(super) fn into_layer(self) -> Layer {
        let mut layer = Layer {
            place: Place::Environment {
                prefix: self.prefix,
            },
            settings: Dict::new(),
        };
        for (name, value) in self.variables {
            let key = name.to_ascii_lowercase().replace("__", ".");
            if key.split('.').all(|part| !part.is_empty()) {
                layer.insert(&key, variable(value));
            }
        }
        layer
    }
}

/// A variable is text, except that a list or a table is written as TOML would.
fn variable(value: String) -> Value {
    if value.starts_with(['[', '{']) {
        value.parse().unwrap_or_else(|never| match never {})
    } else {
        Value::from(value)
    }
}

// === impl Overrides ===

impl Overrides {
    /// Sets `key` (dotted) to what `flag` says. `None` sets nothing.
    ///
    /// # Panics
    ///
    /// When `value` is not something that a setting can be, such as a map with keys that are not
    /// text: a mistake of the program, not of its user.
    #[must_use]
    pub fn set(mut self, flag: &'static str, key: &str, value: impl Serialize) -> Self {
        let value = Value::serialize(value).expect("flags are text, numbers, lists of them");
        if !matches!(value, Value::Empty(..)) {
            let mut layer = Layer {
                place: Place::Flag(flag),
                settings: Dict::new(),
            };
            layer.insert(key, value);
            self.layers.push(layer);
        }
        self
    }

    pub(super) fn into_layers(self) -> Vec<Layer> {
        self.layers
    }
}

// === impl Layer ===

impl Layer {
    pub(super) fn of_file(path: &Path) -> Result<Self, Fault> {
        let place = Place::File(path.to_owned());
        let text = std::fs::read_to_string(path)
            .map_err(|error| Fault::unreadable(&place, &error.to_string()))?;
        let settings = Toml::string(&text)
            .data()
            .map_err(|error| Fault::unreadable(&place, &in_one_line(&error.to_string())))?
            .remove(&Profile::Default)
            .unwrap_or_default();
        Ok(Self { place, settings })
    }

    pub(super) fn single(place: Place, path: &[String], value: String) -> Self {
        let mut layer = Self {
            place,
            settings: Dict::new(),
        };
        layer.insert(&path.join("."), Value::from(value));
        layer
    }

    pub(super) fn find(&self, path: &[String]) -> Option<&Value> {
        let (key, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(&self.settings, |dict, part| {
            dict.get(part).and_then(Value::as_dict)
        });
        parent?.get(key)
    }

    pub(super) fn remove(&mut self, path: &[String]) -> Option<Value> {
        let (key, parents) = path.split_last()?;
        let parent =
            parents
                .iter()
                .try_fold(&mut self.settings, |dict, part| match dict.get_mut(part) {
                    Some(Value::Dict(_, inner)) => Some(inner),
                    _ => None,
                });
        parent?.remove(key)
    }

    /// The place of one setting: for the environment, its variable.
    pub(super) fn place_of(&self, path: &[String]) -> Place {
        match &self.place {
            Place::Environment { prefix } => {
                Place::Variable(format!("{prefix}{}", path.join("__").to_ascii_uppercase()))
            }
            place => place.clone(),
        }
    }

    fn insert(&mut self, key: &str, value: Value) {
        if let Value::Dict(_, nested) = nest(key, value) {
            merge(&mut self.settings, nested);
        }
    }
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, into)), Value::Dict(_, from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.to_string())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment { prefix } => write!(f, "environment variables {prefix}*"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// TOML errors come with a drawing of the line; logs and terminals get the words.
fn in_one_line(drawing: &str) -> String {
    let words = drawing
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('|'));
    words.collect::<Vec<_>>().join(": ")
}
