//! meridian-metadata-service
