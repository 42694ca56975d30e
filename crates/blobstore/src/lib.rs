//! meridian-blobstore
