//! meridian-event
