//! Starts Meridian for a test and stops it.
