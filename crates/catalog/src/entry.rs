//! How an entry looks in the log, and a command on its way there.
//!
//! Keeps the invariant that what was written before there were traces is read as it was meant, and
//! that without a trace the same bytes are written still: the request of an entry was optional, and
//! the third form that it has by now stands where no other could. Programs from before refuse an
//! entry with a trace; there is none until somebody collects traces.

use meridian_event::TraceContext;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Command, Entry, RequestId};

/// What a command is said for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OriginForm", into = "OriginForm")]
pub struct Origin {
    /// Which request it serves.
    pub request: Option<RequestId>,
    /// The trace of that request.
    pub trace: Option<TraceContext>,
}

/// In postcard, the first two look like an `Option<RequestId>`.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum OriginForm {
    Nobody,
    Request(RequestId),
    Traced(Option<RequestId>, TraceContext),
}

/// In binary formats.
#[derive(Serialize, Deserialize)]
struct EntryForm<C> {
    millis: u64,
    origin: Origin,
    command: C,
}

/// In text, for people.
#[derive(Serialize, Deserialize)]
struct EntryText<C> {
    millis: u64,
    request: Option<RequestId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceContext>,
    command: C,
}

// === impl Origin ===

impl From<OriginForm> for Origin {
    fn from(form: OriginForm) -> Self {
        let (request, trace) = match form {
            OriginForm::Nobody => (None, None),
            OriginForm::Request(request) => (Some(request), None),
            OriginForm::Traced(request, trace) => (request, Some(trace)),
        };
        Self { request, trace }
    }
}

impl From<Origin> for OriginForm {
    fn from(origin: Origin) -> Self {
        match (origin.request, origin.trace) {
            (None, None) => Self::Nobody,
            (Some(request), None) => Self::Request(request),
            (request, Some(trace)) => Self::Traced(request, trace),
        }
    }
}

// === impl Entry ===

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self {
            millis,
            request,
            trace,
            command,
        } = self;
        let (millis, request, trace) = (*millis, *request, *trace);
        if to.is_human_readable() {
            let text = EntryText {
                millis,
                request,
                trace,
                command,
            };
            return text.serialize(to);
        }
        let origin = Origin { request, trace };
        let form = EntryForm {
            millis,
            origin,
            command,
        };
        form.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            let text = EntryText::<Command>::deserialize(from)?;
            return Ok(Self {
                millis: text.millis,
                request: text.request,
                trace: text.trace,
                command: text.command,
            });
        }
        let form = EntryForm::<Command>::deserialize(from)?;
        Ok(Self {
            millis: form.millis,
            request: form.origin.request,
            trace: form.origin.trace,
            command: form.command,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_trace_an_origin_is_the_optional_request_that_it_was() {
        for request in [None, Some(RequestId([7; 16]))] {
            let origin = Origin {
                request,
                trace: None,
            };
            let bytes = postcard::to_stdvec(&origin).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&request).unwrap());
            assert_eq!(postcard::from_bytes::<Origin>(&bytes).unwrap(), origin);
        }
    }
}
