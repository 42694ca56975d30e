//! The errors of [`WebhookApi`](crate::webhook::WebhookApi).

use meridian_proto::meridian::error::v1 as pb;
use pb::failure::Kind;

use super::{WireError, nothing};
use crate::webhook::WebhookError;
use crate::{ReadError, WriteError};

impl WireError for WebhookError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::WebhookUnknown(nothing()),
            Self::Exists => Kind::WebhookExists(nothing()),
            Self::Changed => Kind::WebhookChanged(nothing()),
            Self::TooMany { most } => Kind::TooManyWebhooks(pb::TooMany { most: *most }),
            Self::Metadata(error) => error.kind(),
        }
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::WebhookUnknown(_) => Self::Unknown,
            Kind::WebhookExists(_) => Self::Exists,
            Kind::WebhookChanged(_) => Self::Changed,
            Kind::TooManyWebhooks(it) => Self::TooMany { most: it.most },
            other => Self::Metadata(WriteError::from_kind(other)?),
        })
    }

    fn on_the_way(error: ReadError) -> Self {
        error.into()
    }
}
