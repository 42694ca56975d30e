//! How a cache fails.

use std::sync::Arc;

use meridian_error::{Classify, Code};

use crate::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// Why a cache did not do what it was asked. It never says what became of an entry: that may be
/// gone in any case.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CacheError {
    /// A key above [`MAX_KEY_BYTES`].
    #[error("a cache key of {size} bytes exceeds the limit of {MAX_KEY_BYTES}")]
    KeyTooLong {
        /// Its size.
        size: usize,
    },
    /// A value above [`MAX_VALUE_BYTES`].
    #[error("a cached value of {size} bytes exceeds the limit of {MAX_VALUE_BYTES}")]
    ValueTooLarge {
        /// Its size.
        size: usize,
    },
    /// A time to live, or a window, of less than a millisecond.
    #[error("a cached value lives for at least a millisecond")]
    TooShort,
    /// The cache did not answer in time. The write may have happened.
    #[error("the cache did not answer in time")]
    TimedOut,
    /// The cache is away. The write may have happened.
    #[error("the cache is unavailable")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl Classify for CacheError {
    fn code(&self) -> Code {
        match self {
            Self::KeyTooLong { .. } | Self::ValueTooLarge { .. } | Self::TooShort => {
                Code::InvalidArgument
            }
            Self::TimedOut => Code::DeadlineExceeded,
            Self::Unavailable(_) => Code::Unavailable,
        }
    }
}
