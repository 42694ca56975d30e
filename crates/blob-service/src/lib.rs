//! meridian-blob-service
