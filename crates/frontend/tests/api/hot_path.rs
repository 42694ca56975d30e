//! What a request costs between the connection and the metadata: the service is called in a loop on
//! one thread, without a network, over the registry in memory.
//!
//! `cargo test --release -p meridian-frontend --test api hot_path -- --ignored --nocapture`

use std::hint::black_box;
use std::time::Instant;

use super::*;

const ROUNDS: u32 = 200_000;

#[tokio::test]
#[ignore = "a measurement, which means something only in a release build on a quiet machine"]
#[expect(clippy::print_stderr, reason = "it is what a measurement is for")]
async fn the_cost_of_a_request() {
    let registry = Registry::new();
    let (digest, manifest) = registry.push_image("team/app", "v1").await;
    let by_digest = format!("/v2/team/app/manifests/{digest}");
    let etag = format!("\"{digest}\"");
    let current = [("if-none-match", etag.as_str())];
    eprintln!("manifest of {} bytes", manifest.len());
    for (what, method, target, headers) in [
        (
            "GET manifest by tag",
            "GET",
            "/v2/team/app/manifests/v1",
            &[][..],
        ),
        ("GET manifest by digest", "GET", &by_digest, &[]),
        (
            "HEAD manifest by tag",
            "HEAD",
            "/v2/team/app/manifests/v1",
            &[],
        ),
        (
            "GET unchanged",
            "GET",
            "/v2/team/app/manifests/v1",
            &current,
        ),
        ("HEAD absent", "HEAD", "/v2/team/app/manifests/v2", &[]),
        ("GET /v2/ not ready", "GET", "/v2/", &[]),
    ] {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            let mut request = Request::builder().method(method).uri(target);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::empty()).unwrap();
            let answer = registry.frontend.clone().oneshot(request).await.unwrap();
            black_box(answer.into_body().collect().await.unwrap());
        }
        let each = began.elapsed().as_nanos() / u128::from(ROUNDS);
        eprintln!("{what:>24}: {each:>6} ns");
    }
}
