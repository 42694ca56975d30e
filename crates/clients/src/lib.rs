//! meridian-clients
