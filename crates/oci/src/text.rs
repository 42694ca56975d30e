//! What every validated piece of text has in common.
//!
//! Owns the one macro that gives a newtype over text its traits, so that each of them has the same
//! ones and none can be made, by `serde` either, without passing its check. Leaves the grammar to
//! the type.

/// Implements the traits of a newtype over text. `$check` is its grammar, `fn(&str) -> Result<(),
/// $error>`; `$hold` makes what the newtype holds from text that passed, `fn(&str) -> _`.
macro_rules! validated_text {
    ($name:ident, $error:ty, $check:path, $hold:path) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text)?;
                Ok(Self($hold(text)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

pub(crate) use validated_text;
