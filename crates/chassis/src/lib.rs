//! meridian-chassis
