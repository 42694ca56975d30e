//! Who may ask.
//!
//! Keeps the invariant that nothing behind it is told to anybody without a token: not what there is,
//! and not what there is not. A Unix socket is its owner's, who needs none. What changes something is
//! logged, with who asked, and never with the token.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use meridian_chassis::http::{Origin, Peer};
use meridian_chassis::token::Tokens;

use super::problem::{Kind, Problem};
use super::strikes::Strikes;

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum Caller {
    /// Whoever may open the socket.
    Owner,
    /// Somebody with a token, or without.
    Client(IpAddr),
}

/// What a caller has to show.
#[derive(Debug)]
pub(super) struct Gate {
    tokens: Option<Tokens>,
    strikes: Strikes,
}

/// Lets a request pass, or answers it.
pub(super) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let caller = Caller::of(request.extensions().get());
    if let Err(problem) = gate.judge(caller, request.headers(), Instant::now()) {
        return problem.into_response();
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answer = next.run(request).await;
    if !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let status = answer.status().as_u16();
        tracing::info!(%method, path, status, caller = %caller, "management request");
    }
    answer
}

// === impl Gate ===

impl Gate {
    /// A gate that opens to `tokens`; without any, to owners of the socket alone.
    pub(super) fn new(tokens: Option<Tokens>) -> Self {
        Self {
            tokens,
            strikes: Strikes::default(),
        }
    }

    fn judge(&self, caller: Caller, headers: &HeaderMap, now: Instant) -> Result<(), Problem> {
        let Caller::Client(address) = caller else {
            return Ok(());
        };
        let token = bearer(headers)?;
        // Whoever shares an address with somebody who guesses is let in all the same: 128 bits are not
        // guessed, and those who try are only slowed down.
        if self.tokens.as_ref().is_some_and(|known| known.admit(token)) {
            return Ok(());
        }
        if let Some(wait) = self.strikes.barred(address, now) {
            return Err(Problem {
                retry_after_seconds: Some(wait.as_secs() + 1),
                ..Problem::new(Kind::TooManyFailures, "wait before the next attempt")
            });
        }
        self.strikes.note(address, now);
        tracing::warn!(%address, "a management request has a token that is unknown here");
        let detail = "the token is none of those in management.token_file";
        Err(Problem::new(Kind::Unauthenticated, detail))
    }
}

/// The token that a request shows.
fn bearer(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let refused = |detail| Problem::new(Kind::Unauthenticated, detail);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values
        .next()
        .ok_or_else(|| refused("send the header `Authorization: Bearer <operator token>`"))?;
    if values.next().is_some() {
        return Err(refused("there is more than one Authorization header"));
    }
    let value = value.as_bytes();
    let (scheme, token) = value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(0));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(refused(
            "only `Authorization: Bearer <operator token>` is taken here",
        ));
    }
    Ok(token.trim_ascii())
}

// === impl Caller ===

impl Caller {
    fn of(origin: Option<&Origin>) -> Self {
        match origin {
            Some(origin) if origin.peer == Peer::Unix => Self::Owner,
            Some(origin) => Self::Client(origin.client.unwrap_or(NOBODY)),
            None => Self::Client(NOBODY),
        }
    }
}

const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("the socket"),
            Self::Client(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().copied().map(HeaderValue::from_static);
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    fn judge(gate: &Gate, values: &[&'static str]) -> Result<(), u16> {
        let caller = Caller::Client([192, 0, 2, 1].into());
        let judged = gate.judge(caller, &headers(values), Instant::now());
        judged.map_err(|problem| problem.status)
    }

    #[test]
    fn without_tokens_nobody_passes_but_the_owner_of_the_socket() {
        let gate = Gate::new(None);
        assert_eq!(judge(&gate, &[]), Err(401));
        assert_eq!(judge(&gate, &["Bearer "]), Err(401));
        let owner = gate.judge(Caller::Owner, &HeaderMap::new(), Instant::now());
        assert_eq!(owner, Ok(()));
    }

    #[test]
    fn a_header_that_says_two_things_says_nothing() {
        for values in [
            &["Bearer a", "Bearer a"][..],
            &["Basic a"],
            &["Bearer"],
            &["a"],
        ] {
            assert!(bearer(&headers(values)).is_err(), "{values:?}");
        }
        assert_eq!(bearer(&headers(&["bEARER  a "])).unwrap(), b"a");
    }

    #[test]
    fn only_wrong_tokens_count_and_they_count_for_a_while() {
        let gate = Gate::new(None);
        for _ in 0..100 {
            assert_eq!(judge(&gate, &[]), Err(401));
        }
        for _ in 0..10 {
            assert_eq!(judge(&gate, &["Bearer wrong"]), Err(401));
        }
        assert_eq!(judge(&gate, &["Bearer wrong"]), Err(429));
        // Who shows none does not guess.
        assert_eq!(judge(&gate, &[]), Err(401));
    }
}
