//! Whether clients are to go to other regions.

use serde::{Deserialize, Serialize};

/// Clients are to go to other regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Since when, in milliseconds since 1970.
    pub millis: u64,
    /// Why, in the words of whoever had it so.
    pub reason: String,
}
