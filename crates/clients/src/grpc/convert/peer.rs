//! What regions ask one another for content.

use meridian_event::Leaf;
use meridian_proto::meridian::replication::v1 as pb;
use meridian_proto::{DecodeError, required};

use super::Result;
use crate::peer::FetchPart;
use crate::replica::Content;

/// A question for which of these a region has.
#[must_use]
pub fn holds_request(contents: &[Content]) -> pb::HoldsRequest {
    pb::HoldsRequest {
        contents: contents.iter().cloned().map(Into::into).collect(),
    }
}

/// The answer to a question for what is held.
#[must_use]
pub fn held(sizes: Vec<Option<u64>>) -> pb::HoldsResponse {
    let held = sizes.into_iter().map(|size| pb::Held { size });
    pb::HoldsResponse {
        held: held.collect(),
    }
}

/// The lengths of what is held, of so many that were asked for.
///
/// # Errors
///
/// When there are more or fewer answers than questions.
pub fn take_held(value: pb::HoldsResponse, asked: usize) -> Result<Vec<Option<u64>>> {
    if value.held.len() != asked {
        return Err(DecodeError::Invalid("held"));
    }
    Ok(value.held.into_iter().map(|held| held.size).collect())
}

impl From<&FetchPart> for pb::FetchPart {
    fn from(part: &FetchPart) -> Self {
        let content = Content {
            registry: part.registry,
            repository: part.repository.clone(),
            kind: part.kind,
            leaf: part.leaf,
        };
        Self {
            content: Some(content.into()),
            start: part.range.start,
            end: part.range.end,
        }
    }
}

impl TryFrom<pb::FetchPart> for FetchPart {
    type Error = DecodeError;

    fn try_from(value: pb::FetchPart) -> Result<Self> {
        let content = Content::try_from(required(value.content, "part.content")?)?;
        let Leaf { size, .. } = content.leaf;
        if value.start > value.end || value.end > size {
            return Err(DecodeError::Invalid("part.end"));
        }
        Ok(Self {
            registry: content.registry,
            repository: content.repository,
            kind: content.kind,
            leaf: content.leaf,
            range: value.start..value.end,
        })
    }
}

/// The parts that are to be read.
///
/// # Errors
///
/// When one of them means nothing.
pub fn take_parts(value: pb::FetchRequest) -> Result<Vec<FetchPart>> {
    value.parts.into_iter().map(TryInto::try_into).collect()
}
