//! The budgets for manifests, at their edges.

use std::io;

use axum::body::Body;
use http::{HeaderMap, Method};

use super::*;

const MANIFEST: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

fn inbound(body: Body) -> Inbound {
    Inbound::new(&Method::PUT, &HeaderMap::new(), body)
}

fn pieces(count: usize, size: usize) -> Inbound {
    let piece = Bytes::from(vec![b' '; size]);
    let pieces = (0..count).map(move |_| Ok::<_, io::Error>(piece.clone()));
    inbound(Body::from_stream(futures::stream::iter(pieces)))
}

fn intake() -> Intake {
    Intake::new(0, 0)
}

#[tokio::test]
async fn a_manifest_is_put_together_and_read() {
    let intake = intake();
    let halves = [&MANIFEST[..40], &MANIFEST[40..]].map(|half| Ok::<_, io::Error>(half.to_vec()));
    let body = inbound(Body::from_stream(futures::stream::iter(halves)));
    let received = intake.receive(None, &body).await.unwrap();
    let accepted = intake
        .accept(received, None, Algorithm::Sha512)
        .await
        .unwrap();
    assert_eq!(accepted.manifest.bytes(), MANIFEST);
    assert_eq!(accepted.digest, Digest::of(Algorithm::Sha512, MANIFEST));
}

#[tokio::test]
async fn what_is_announced_too_long_is_not_read() {
    let never = Body::from_stream(futures::stream::pending::<io::Result<Bytes>>());
    let length = Some(MAX_MANIFEST_BYTES as u64 + 1);
    let refused = intake().receive(length, &inbound(never)).await.map(drop);
    assert!(matches!(refused, Err(IntakeError::TooLarge)));
}

#[tokio::test]
async fn the_limit_is_exact_and_holds_for_what_was_not_announced() {
    let intake = intake();
    let most = intake
        .receive(None, &pieces(4, MAX_MANIFEST_BYTES / 4))
        .await;
    assert_eq!(most.unwrap().bytes.len(), MAX_MANIFEST_BYTES);
    let more = intake
        .receive(None, &pieces(5, MAX_MANIFEST_BYTES / 4))
        .await;
    assert!(matches!(more, Err(IntakeError::TooLarge)));
}

#[tokio::test]
async fn a_used_up_budget_refuses_and_comes_back() {
    let intake = intake();
    let held = intake
        .receive(None, &pieces(3, MAX_MANIFEST_BYTES / 4))
        .await;
    let refused = intake
        .receive(None, &pieces(2, MAX_MANIFEST_BYTES / 4))
        .await;
    assert!(matches!(refused, Err(IntakeError::Overloaded)));
    drop(held);
    assert!(
        intake
            .receive(None, &pieces(2, MAX_MANIFEST_BYTES / 4))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_large_manifest_is_parsed_elsewhere_and_a_broken_body_is_refused() {
    let intake = intake();
    let spaces = " ".repeat(INLINE_BYTES);
    let padded = [MANIFEST, spaces.as_bytes()].concat();
    let received = intake
        .receive(None, &inbound(Body::from(padded.clone())))
        .await
        .unwrap();
    let accepted = intake
        .accept(received, None, Algorithm::Sha256)
        .await
        .unwrap();
    assert_eq!(accepted.digest, Digest::of(Algorithm::Sha256, &padded));

    let broken = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(io::Error::other("x"))]);
    let refused = intake
        .receive(None, &inbound(Body::from_stream(broken)))
        .await;
    assert!(matches!(refused, Err(IntakeError::Body(_))));
}
