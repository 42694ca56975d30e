//! How settings reach a process.
//!
//! Owns the layers (defaults, then the TOML file, then the environment, then flags), the report of
//! everything that is wrong with them at once, and the types that settings are made of. Keeps the
//! invariant that nothing starts on settings that were not understood: an unknown key is an error,
//! and the exit code of every such error is [`EXIT_CODE`]. Leaves to each crate its own section,
//! beside the code that obeys it.
//!
//! A section is a struct with `#[derive(Deserialize)]` and `#[serde(default, deny_unknown_fields)]`;
//! its `Default` is the first layer. `#[serde(flatten)]` must not be used: serde then no longer
//! knows which keys are unknown. A field `x` that holds a [`Secret`] (or any string) may be given
//! as `x_file`, the path of a file that contains it.

mod bounds;
mod fault;
mod layers;
mod secret;
mod size;

use std::path::Path;

use figment::Figment;
use figment::error::Kind;
use serde::de::DeserializeOwned;

use layers::{Layer, Place};

pub use bounds::Bounds;
pub use fault::{ConfigError, EXIT_CODE, Fault};
pub use humantime_serde as duration;
pub use layers::{Environment, Overrides};
pub use meridian_secret::Secret;
pub(crate) use secret::lines;
pub use secret::{ReadSecretError, read_secret};
pub use size::ByteSize;

/// More faults than this are not worth reading at once.
const MAX_FAULTS: usize = 50;

/// Reads settings from `file`, if given, then from environment variables that begin with
/// `env_prefix` (`MERIDIAN_BLOB__S3__BUCKET` is `blob.s3.bucket`), then from `overrides`; the
/// later wins.
///
/// # Errors
///
/// Every fault that was found, each with its key, its place, and what to change.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    env_prefix: &str,
    overrides: Overrides,
) -> Result<T, ConfigError> {
    let environment = Environment::of_process(env_prefix);
    load_from(file, environment, overrides)
}

/// [`load`] from a given environment.
///
/// # Errors
///
/// As [`load`].
pub fn load_from<T: DeserializeOwned>(
    file: Option<&Path>,
    environment: Environment,
    overrides: Overrides,
) -> Result<T, ConfigError> {
    let mut faults = Vec::new();
    let mut layers = Vec::new();
    if let Some(path) = file {
        layers.extend(Layer::of_file(path).map_err(|fault| faults.push(fault)));
    }
    layers.push(environment.into_layer());
    layers.extend(overrides.into_layers());
    Reading { layers, faults }.settle()
}

/// An attempt to understand the layers: what is faulty is reported, taken out, and the rest is
/// tried again, so that one run names every fault.
struct Reading {
    layers: Vec<Layer>,
    faults: Vec<Fault>,
}

// === impl Reading ===

impl Reading {
    fn settle<T: DeserializeOwned>(mut self) -> Result<T, ConfigError> {
        while self.faults.len() < MAX_FAULTS {
            match self.attempt::<T>() {
                Ok(settings) if self.faults.is_empty() => return Ok(settings),
                Ok(_) => break,
                Err(error) if self.repair(&error) => {}
                Err(_) => break,
            }
        }
        Err(ConfigError::new(self.faults))
    }

    /// Strings become numbers and flags where the target asks for them, because an environment
    /// variable has no other way to write one.
    #[expect(
        clippy::result_large_err,
        reason = "figment's error is what is looked into"
    )]
    fn attempt<T: DeserializeOwned>(&self) -> Result<T, figment::Error> {
        self.layers
            .iter()
            .fold(Figment::new(), |merged, layer| merged.merge(layer))
            .extract_lossy()
    }

    /// Takes out what `error` is about. False when nothing could be: then trying again is vain.
    fn repair(&mut self, error: &figment::Error) -> bool {
        let mut path = error.path.clone();
        match &error.kind {
            Kind::UnknownField(name, known) => {
                if path.last() != Some(name) {
                    path.push(name.clone());
                }
                self.unknown(&path, known)
            }
            Kind::MissingField(name) => {
                path.push(name.to_string());
                self.faults.push(Fault::missing(&path));
                false
            }
            kind => self.invalid(&path, kind.to_string()),
        }
    }

    fn unknown(&mut self, path: &[String], known: &[&str]) -> bool {
        let (key, parents) = path.split_last().expect("the name of the field was added");
        let meant = key.strip_suffix("_file").filter(|it| known.contains(it));
        let Some((place, value)) = self.take(path) else {
            return false;
        };
        let Some(meant) = meant else {
            self.faults.push(Fault::unknown(path, &place, known));
            return true;
        };
        let mut target = parents.to_vec();
        target.push(meant.to_owned());
        if let Err(fault) = self.read_secret(path, &target, place, value) {
            self.faults.push(fault);
        }
        true
    }

    fn read_secret(
        &mut self,
        path: &[String],
        target: &[String],
        place: Place,
        value: figment::value::Value,
    ) -> Result<(), Fault> {
        if self.layers.iter().any(|layer| layer.find(target).is_some()) {
            return Err(Fault::given_twice(path, &place, target));
        }
        let Some(file) = value.as_str() else {
            return Err(Fault::invalid(path, &place, "expected the path of a file"));
        };
        let secret = secret::read(Path::new(file))
            .map_err(|error| Fault::invalid(path, &place, &meridian_error::chain(&error)))?;
        self.layers.push(Layer::single(place, target, secret));
        Ok(())
    }

    fn invalid(&mut self, path: &[String], problem: String) -> bool {
        let taken = self.take(path);
        let place = taken.map(|(place, _value)| place);
        self.faults.push(match &place {
            Some(place) => Fault::invalid(path, place, &problem),
            None => Fault::nowhere(path, &problem),
        });
        place.is_some()
    }

    /// Removes `path` from the uppermost layer that has it.
    fn take(&mut self, path: &[String]) -> Option<(Place, figment::value::Value)> {
        self.layers.iter_mut().rev().find_map(|layer| {
            let value = layer.remove(path)?;
            Some((layer.place_of(path), value))
        })
    }
}

#[cfg(test)]
mod tests;
