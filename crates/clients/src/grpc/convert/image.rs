//! What regions say of an image.

use meridian_clock::Region;
use meridian_event::RegistryId;
use meridian_oci::{Reference, RepositoryName};
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, digest, leaf, registry, text, version};

use super::{Result, reference};
use crate::image::{ImageReport, ImageState, ImageStatus, ImageView};

/// A question to the metadata for an image.
#[must_use]
pub fn image_request(
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> pb::GetImageRequest {
    pb::GetImageRequest {
        registry: Some(registry.into()),
        repository: repository.to_string(),
        reference: reference.to_string(),
    }
}

/// Which image is asked for.
///
/// # Errors
///
/// When it is none.
pub fn take_image_request(
    value: pb::GetImageRequest,
) -> Result<(RegistryId, RepositoryName, Reference)> {
    Ok((
        registry(value.registry, "registry")?,
        text(&value.repository, "repository")?,
        reference(&value.reference)?,
    ))
}

/// A question to a region for an image.
#[must_use]
pub fn image_report_request(
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> pb::GetImageReportRequest {
    pb::GetImageReportRequest {
        registry: Some(registry.into()),
        repository: repository.to_string(),
        reference: reference.to_string(),
    }
}

/// Which image a region is asked for.
///
/// # Errors
///
/// When it is none.
pub fn take_image_report_request(
    value: pb::GetImageReportRequest,
) -> Result<(RegistryId, RepositoryName, Reference)> {
    Ok((
        registry(value.registry, "registry")?,
        text(&value.repository, "repository")?,
        reference(&value.reference)?,
    ))
}

impl From<ImageView> for pb::Image {
    fn from(image: ImageView) -> Self {
        Self {
            version: Some(image.version.into()),
            digest: image.digest.map(Into::into),
            bytes: image.bytes,
            missing: image.missing.into_iter().map(Into::into).collect(),
            exposed: image.is_exposed,
        }
    }
}

impl TryFrom<pb::Image> for ImageView {
    type Error = DecodeError;

    fn try_from(value: pb::Image) -> Result<Self> {
        let missing = value.missing.into_iter();
        let missing = missing.map(|it| leaf(Some(it), "image.missing"));
        let target = value.digest.map(|it| digest(Some(it), "image.digest"));
        Ok(Self {
            version: version(value.version, "image.version")?,
            digest: target.transpose()?,
            bytes: value.bytes,
            missing: missing.collect::<Result<_>>()?,
            is_exposed: value.exposed,
        })
    }
}

/// What the metadata knows of an image.
///
/// # Errors
///
/// When it means nothing.
pub fn take_image(value: pb::GetImageResponse) -> Result<Option<ImageView>> {
    value.image.map(TryInto::try_into).transpose()
}

impl From<ImageReport> for pb::ImageReport {
    fn from(report: ImageReport) -> Self {
        Self {
            version: Some(report.version.into()),
            digest: report.digest.map(Into::into),
            here: report.here,
            of: report.of,
            exposed: report.is_exposed,
            trouble: report.trouble,
        }
    }
}

impl TryFrom<pb::ImageReport> for ImageReport {
    type Error = DecodeError;

    fn try_from(value: pb::ImageReport) -> Result<Self> {
        let target = value.digest.map(|it| digest(Some(it), "report.digest"));
        Ok(Self {
            version: version(value.version, "report.version")?,
            digest: target.transpose()?,
            here: value.here,
            of: value.of,
            is_exposed: value.exposed,
            trouble: value.trouble,
        })
    }
}

/// What a region says of an image.
///
/// # Errors
///
/// When it means nothing.
pub fn take_image_report(value: pb::GetImageReportResponse) -> Result<Option<ImageReport>> {
    value.report.map(TryInto::try_into).transpose()
}

impl From<ImageStatus> for pb::GetImageStatusResponse {
    fn from(status: ImageStatus) -> Self {
        Self {
            version: Some(status.version.into()),
            digest: status.digest.map(Into::into),
            bytes: status.bytes,
            regions: status.regions.into_iter().map(told).collect(),
        }
    }
}

impl TryFrom<pb::GetImageStatusResponse> for ImageStatus {
    type Error = DecodeError;

    fn try_from(value: pb::GetImageStatusResponse) -> Result<Self> {
        let target = value.digest.map(|it| digest(Some(it), "digest"));
        Ok(Self {
            version: version(value.version, "version")?,
            digest: target.transpose()?,
            bytes: value.bytes,
            regions: value
                .regions
                .into_iter()
                .map(heard)
                .collect::<Result<_>>()?,
        })
    }
}

fn told((region, state): (Region, ImageState)) -> pb::RegionImage {
    let mut told = pb::RegionImage {
        region: region.to_string(),
        ..pb::RegionImage::default()
    };
    let state = match state {
        ImageState::Pending => pb::ImageState::Pending,
        ImageState::Copying { here, of } => {
            (told.here, told.of) = (here, of);
            pb::ImageState::Copying
        }
        ImageState::Complete => pb::ImageState::Complete,
        ImageState::Failed { reason } => {
            told.reason = reason;
            pb::ImageState::Failed
        }
        ImageState::Unreachable => pb::ImageState::Unreachable,
    };
    told.set_state(state);
    told
}

fn heard(value: pb::RegionImage) -> Result<(Region, ImageState)> {
    let region = text(&value.region, "regions.region")?;
    let state = match value.state() {
        pb::ImageState::Pending => ImageState::Pending,
        pb::ImageState::Copying => ImageState::Copying {
            here: value.here,
            of: value.of,
        },
        pb::ImageState::Complete => ImageState::Complete,
        pb::ImageState::Failed => ImageState::Failed {
            reason: value.reason,
        },
        pb::ImageState::Unreachable => ImageState::Unreachable,
        pb::ImageState::Unspecified => return Err(DecodeError::Invalid("regions.state")),
    };
    Ok((region, state))
}
