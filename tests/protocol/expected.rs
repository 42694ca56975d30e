//! What an answer must be: what a row says of it, and what is said of all answers.

use std::fmt::Debug;

use bytes::Bytes;
use harness::Answer;
use meridian_oci::Digest;
use serde_json::Value;

use crate::wire::Request;

/// What an answer must be. What is not mentioned may be anything.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    status: u16,
    code: Option<&'static str>,
    headers: Vec<(&'static str, Header)>,
    body: Option<Body>,
}

#[derive(Debug, Clone)]
enum Header {
    /// Once, with this value.
    Is(String),
    Absent,
    /// Once, with such a value.
    Holds(&'static str, fn(&str) -> bool),
}

#[derive(Debug, Clone)]
enum Body {
    Bytes(Bytes),
    Json(Value),
}

/// An answer with this status.
pub(crate) const fn is(status: u16) -> Expected {
    Expected {
        status,
        code: None,
        headers: Vec::new(),
        body: None,
    }
}

/// A refusal with this status and, as the only code in its body, this one.
pub(crate) const fn refused(status: u16, code: &'static str) -> Expected {
    Expected {
        status,
        code: Some(code),
        headers: Vec::new(),
        body: None,
    }
}

// === impl Expected ===

impl Expected {
    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, Header::Is(value.to_string())));
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.headers.push((name, Header::Absent));
        self
    }

    /// A header whose value is `what`, which `holds` decides.
    pub(crate) fn holds(
        mut self,
        name: &'static str,
        what: &'static str,
        holds: fn(&str) -> bool,
    ) -> Self {
        self.headers.push((name, Header::Holds(what, holds)));
        self
    }

    /// The digest header and the entity tag of content.
    pub(crate) fn of(self, digest: &Digest) -> Self {
        self.header("Docker-Content-Digest", digest)
            .header("ETag", format!("\"{digest}\""))
    }

    pub(crate) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Some(Body::Bytes(bytes.into()));
        self
    }

    pub(crate) fn json(mut self, value: Value) -> Self {
        self.body = Some(Body::Json(value));
        self
    }

    /// The same for HEAD: a body tells a code, a head only the rest.
    pub(crate) fn headless(mut self) -> Self {
        self.code = None;
        self.body = None;
        self
    }

    /// Whether it is an answer with this status.
    pub(crate) const fn is(&self, status: u16) -> bool {
        self.status == status
    }

    /// In what an answer differs.
    pub(crate) fn differences(&self, answer: &Answer) -> Vec<String> {
        let mut found = Vec::new();
        if answer.status.as_u16() != self.status {
            found.push(differs(
                "status",
                answer.status.as_u16(),
                self.status,
                answer,
            ));
            return found;
        }
        if let Some(expected) = self.code {
            for code in codes(answer) {
                if code != expected {
                    found.push(differs("code", code, expected, answer));
                }
            }
        }
        for (name, expected) in &self.headers {
            found.extend(expected.difference(name, answer));
        }
        match &self.body {
            None => {}
            Some(Body::Bytes(bytes)) if *bytes == answer.body => {}
            Some(Body::Bytes(bytes)) => {
                let (found_length, length) = (answer.body.len(), bytes.len());
                found.push(format!(
                    "body of {found_length} bytes is not the one of {length} bytes: {}",
                    shown(answer)
                ));
            }
            Some(Body::Json(value)) => match serde_json::from_slice::<Value>(&answer.body) {
                Ok(json) if json == *value => {}
                _ => found.push(format!("body {} instead of {value}", shown(answer))),
            },
        }
        found
    }
}

// === impl Header ===

impl Header {
    fn difference(&self, name: &str, answer: &Answer) -> Option<String> {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        let value = match &values[..] {
            [] => None,
            [value] => Some(value.to_str().unwrap()),
            _ => return Some(format!("{name} is there {} times", values.len())),
        };
        let wanted = match (self, value) {
            (Self::Is(expected), value) if value == Some(expected) => return None,
            (Self::Holds(_, holds), Some(value)) if holds(value) => return None,
            (Self::Absent, None) => return None,
            (Self::Is(expected), _) => format!("{expected:?}"),
            (Self::Holds(what, _), _) => (*what).to_owned(),
            (Self::Absent, _) => "absent".to_owned(),
        };
        let value = value.map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"));
        Some(format!("{name} is {value} instead of {wanted}"))
    }
}

/// The rules that every answer keeps, and how this one breaks them.
pub(crate) fn universal(request: &Request, answer: &Answer) -> Vec<String> {
    let header = |name: &str| answer.header(name);
    let status = answer.status.as_u16();
    let bodiless = request.method == "HEAD" || matches!(status, 204 | 304);
    let mut broken = Vec::new();
    let mut rule = |holds: bool, rule: &str| {
        if !holds {
            broken.push(format!("{rule}: {status} {:?}", answer.headers));
        }
    };
    rule(
        header("docker-distribution-api-version") == Some("registry/2.0"),
        "every answer names the API's version",
    );
    rule(
        header("x-request-id").is_some_and(|id| id.len() == 32),
        "every answer has the id of its request",
    );
    rule(
        header("content-encoding").is_none(),
        "nothing is encoded (containerd asks for it, and could not take it)",
    );
    rule(
        !bodiless || answer.body.is_empty(),
        "HEAD, 204 and 304 have no body",
    );
    rule(
        bodiless
            || header("content-length").map_or(answer.body.is_empty(), |length| {
                length == answer.body.len().to_string()
            }),
        "every body's length is told",
    );
    rule(
        header("docker-content-digest").is_none_or(|digest| digest.parse::<Digest>().is_ok()),
        "a digest header is a digest",
    );
    rule(
        header("location").is_none_or(|location| location.starts_with("/v2/")),
        "locations are relative to the host (Azure's SDK cannot take others)",
    );
    rule(
        header("link")
            .is_none_or(|link| link.starts_with("</v2/") && link.ends_with(">; rel=\"next\"")),
        "a link is a path of the API and leads to the next page",
    );
    let warnings = answer.headers.get_all("warning");
    rule(
        warnings
            .iter()
            .all(|warning| warning.as_bytes().starts_with(b"299 - \""))
            && warnings.iter().map(|warning| warning.len()).sum::<usize>() <= 4096,
        "a warning is `299 - \"…\"`, and all together 4096 bytes at most",
    );
    rule(
        status != 405 || header("allow").is_some(),
        "405 names the methods that there are",
    );
    rule(
        !matches!(status, 429 | 503) || header("retry-after").is_some(),
        "who shall come again is told when",
    );
    if status >= 400 {
        rule(
            header("content-type") == Some("application/json"),
            "a refusal is JSON (docker reads no other)",
        );
        rule(
            bodiless || is_refusal(answer),
            "a refusal has the form of the specification",
        );
    }
    broken
}

/// `{"errors":[{"code","message","detail"}…]}`
fn is_refusal(answer: &Answer) -> bool {
    let lawful = |code: &str| {
        let mut bytes = code.bytes();
        !code.is_empty() && bytes.all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let Ok(Value::Object(body)) = serde_json::from_slice(&answer.body) else {
        return false;
    };
    let Some(Value::Array(errors)) = body.get("errors") else {
        return false;
    };
    body.len() == 1
        && !errors.is_empty()
        && errors.iter().all(|error| {
            error["code"].as_str().is_some_and(lawful)
                && error["message"].is_string()
                && (error["detail"].is_object() || error["detail"].is_null())
        })
}

/// The codes of a refusal.
fn codes(answer: &Answer) -> Vec<String> {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let errors = json["errors"].as_array().cloned().unwrap_or_default();
    let code = |error: &Value| error["code"].as_str().unwrap_or_default().to_owned();
    errors.iter().map(code).collect()
}

fn differs<T: Debug, U: Debug>(what: &str, found: T, expected: U, answer: &Answer) -> String {
    format!(
        "{what} {found:?} instead of {expected:?}: {}",
        shown(answer)
    )
}

fn shown(answer: &Answer) -> String {
    let start = &answer.body[..answer.body.len().min(400)];
    match std::str::from_utf8(start) {
        Ok(text) => text.to_owned(),
        Err(_binary) => format!("{} bytes", answer.body.len()),
    }
}
