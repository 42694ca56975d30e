//! The forms of requests: a file for each, and one place that chooses.
//!
//! A form is a function of what is told and of the registry's name. To add one, add it to
//! [`Format`], write its file, and choose it here.

mod acr;
mod cloudevents;
mod docker;

use jiff::Timestamp;
use meridian_event::webhook::Format;

use crate::Content;

/// What a form makes of something.
pub(crate) struct Form {
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// How something looks in a form.
pub(crate) fn form(format: Format, content: &Content<'_>, host: &str) -> Form {
    match format {
        Format::Acr => acr::form(content, host),
        Format::Docker => docker::form(content, host),
        Format::CloudEventsStructured => cloudevents::structured(content, host),
        Format::CloudEventsBinary => cloudevents::binary(content, host),
    }
}

/// JSON of what cannot fail to be it.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are text, and nothing else can fail")
}

/// A moment as RFC 3339 has it, always with milliseconds.
fn timestamp(millis: u64) -> String {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    let moment = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    format!("{moment:.3}")
}
