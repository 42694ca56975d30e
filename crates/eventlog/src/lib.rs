//! meridian-eventlog
