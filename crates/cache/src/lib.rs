//! meridian-cache
