//! The media types that registries meet. A registry treats most of them like any other content;
//! they have names so that nobody spells them twice.

use std::borrow::Cow;

use super::MediaType;

macro_rules! known {
    ($($(#[$doc:meta])+ $name:ident = $text:literal;)+) => {
        impl MediaType {
            $($(#[$doc])+ pub const $name: Self = Self(Cow::Borrowed($text));)+
        }

        pub(super) static ALL: &[MediaType] = &[$(MediaType::$name),+];
    };
}

known! {
    /// A manifest of one image, or of an artifact in the shape of one.
    OCI_IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// A list of manifests.
    OCI_IMAGE_INDEX = "application/vnd.oci.image.index.v1+json";
    /// An image's configuration.
    OCI_IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// A layer.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
    /// A layer, compressed.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer, compressed.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// A layer that may not be distributed.
    OCI_NONDISTRIBUTABLE_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    /// A layer that may not be distributed, compressed.
    OCI_NONDISTRIBUTABLE_LAYER_GZIP =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    /// A layer that may not be distributed, compressed.
    OCI_NONDISTRIBUTABLE_LAYER_ZSTD =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    /// The blob `{}`, where a descriptor must name something and there is nothing.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// An artifact's manifest before version 1.1 of the specification.
    OCI_ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json";
    /// An artifact's manifest before that.
    ORAS_ARTIFACT_MANIFEST = "application/vnd.cncf.oras.artifact.manifest.v1+json";

    /// Docker's manifest of one image, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's list of manifests.
    DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's manifest, schema 1: refused.
    DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
    /// Docker's manifest, schema 1, signed: refused.
    DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// Docker's configuration of an image.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// Docker's configuration of a plugin.
    DOCKER_PLUGIN_CONFIG = "application/vnd.docker.plugin.v1+json";
    /// Docker's layer.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker's layer, compressed.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker's layer, compressed.
    DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    /// Docker's layer that may not be distributed.
    DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar";
    /// Docker's layer that may not be distributed, compressed.
    DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

    /// The metadata of a Helm chart.
    HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json";
    /// A Helm chart.
    HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    /// The signature of a Helm chart.
    HELM_PROVENANCE = "application/vnd.cncf.helm.chart.provenance.v1.prov";

    /// Bytes: the type under which blobs are served.
    OCTET_STREAM = "application/octet-stream";
}

/// Text that is a media type, held without allocation if it is known.
pub(super) fn intern(text: &str) -> Cow<'static, str> {
    ALL.iter()
        .find(|known| known.as_str() == text)
        .map_or_else(|| Cow::Owned(text.to_owned()), |known| known.0.clone())
}
