//! meridian-oci
