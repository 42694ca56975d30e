//! Reading JSON that others will read too.
//!
//! Owns the rules that serde's derived readers do not have: a name occurs once in an object, also
//! in one that nobody here interprets; no name differs from an expected one in case only; nesting
//! and numbers of members are bounded; what is skipped is checked like what is kept. Strings are
//! borrowed from the input, and what is skipped is not stored, but for the names of the objects
//! around the reader: memory stays within a small multiple of the input.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::{Annotations, MAX_DEPTH, MAX_MEMBERS, ParseManifestError};

/// Where readers leave the reason of a refusal: serde's own errors can carry only text.
#[derive(Default)]
pub(super) struct Verdict(Cell<Option<ParseManifestError>>);

impl Verdict {
    /// Stops the reading for this reason.
    pub(super) fn refuse<E: Error>(&self, reason: ParseManifestError) -> E {
        self.0.set(Some(reason));
        E::custom("refused")
    }

    /// Why the reading stopped.
    pub(super) fn reason(&self, error: &serde_json::Error) -> ParseManifestError {
        let (line, column) = (error.line(), error.column());
        self.0.take().unwrap_or_else(|| {
            if error.is_data() {
                ParseManifestError::UnexpectedType { line, column }
            } else {
                ParseManifestError::NotJson { line, column }
            }
        })
    }
}

/// Reads an object member by member; `member` must consume the value of each name.
pub(super) fn members<'de, A: MapAccess<'de>>(
    verdict: &Verdict,
    map: &mut A,
    mut member: impl FnMut(&str, &mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    let mut names = Vec::<Cow<'de, str>>::new();
    while let Some(name) = map.next_key_seed(Text)? {
        if names.len() == MAX_MEMBERS {
            return Err(verdict.refuse(ParseManifestError::TooMany { limit: MAX_MEMBERS }));
        }
        member(&name, map)?;
        names.push(name);
    }
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(verdict.refuse(ParseManifestError::DuplicateName));
    }
    Ok(())
}

/// Skips the value of a name that is none of `known`.
pub(super) fn skip<'de, A: MapAccess<'de>>(
    verdict: &Verdict,
    depth: usize,
    name: &str,
    known: &[&'static str],
    map: &mut A,
) -> Result<(), A::Error> {
    match known.iter().find(|known| equal_but_for_case(name, known)) {
        Some(expected) => Err(verdict.refuse(ParseManifestError::MiscasedName { expected })),
        None => map.next_value_seed(Skipped { verdict, depth }),
    }
}

/// As readers compare that ignore case, Go's among them: by Unicode's simple folding, in which two
/// characters outside of ASCII equal a letter inside.
fn equal_but_for_case(name: &str, known: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(known.chars().map(|c| c.to_ascii_lowercase()))
}

/// A string, borrowed unless it holds escapes.
pub(super) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What `S` reads, or `null`.
pub(super) struct Nullable<S>(pub(super) S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// Any value, checked and forgotten. `depth` is the number of arrays and objects around it.
pub(super) struct Skipped<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) depth: usize,
}

impl Skipped<'_> {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.verdict.refuse(ParseManifestError::TooDeep));
        }
        Ok(Self {
            verdict: self.verdict,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Skipped<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.inner()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (verdict, depth) = (self.verdict, self.inner()?.depth);
        members(verdict, &mut map, |_, map| {
            map.next_value_seed(Skipped { verdict, depth })
        })
    }
}

/// An object whose values are strings.
pub(super) struct StringMap<'a>(pub(super) &'a Verdict);

impl<'de> DeserializeSeed<'de> for StringMap<'_> {
    type Value = Annotations;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Annotations, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StringMap<'_> {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let mut annotations = Annotations::new();
        members(self.0, &mut map, |name, map| {
            annotations.insert(name.into(), map.next_value_seed(Text)?.into());
            Ok(())
        })?;
        Ok(annotations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_readers_do_that_ignore_case() {
        for (name, equal) in [
            ("kinds", true),
            ("KINDS", true),
            ("\u{212a}ind\u{17f}", true),
            ("kınds", false),
            ("kind", false),
            ("kindsx", false),
            ("", false),
        ] {
            assert_eq!(equal_but_for_case(name, "kinds"), equal, "{name}");
        }
    }
}
