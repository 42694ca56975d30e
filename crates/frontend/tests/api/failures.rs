//! What clients see when a service behind the frontend fails.

use meridian_clients::ReadError;

use super::*;

#[tokio::test]
async fn a_failure_behind_tells_a_client_when_to_come_again_and_nothing_else() {
    let registry = Registry::new();
    let digest = sha256(b"x");
    let secret = "node 3 lost its quorum";
    registry.memory.fail(ReadError::Unavailable {
        reason: secret.to_owned(),
    });
    for line in [
        "GET /v2/a/manifests/x".to_owned(),
        "DELETE /v2/a/manifests/x".to_owned(),
        "GET /v2/a/tags/list".to_owned(),
        "GET /v2/_catalog".to_owned(),
        "POST /v2/a/blobs/uploads/".to_owned(),
        format!("GET /v2/a/blobs/{digest}"),
        format!("DELETE /v2/a/blobs/{digest}"),
        format!("GET /v2/a/referrers/{digest}"),
        format!("POST /v2/a/blobs/uploads/?mount={digest}"),
    ] {
        let reply = registry.call(&line, &[], "").await;
        assert_eq!(reply.refusal(), (503, "UNAVAILABLE".to_owned()), "{line}");
        assert_eq!(reply.header("retry-after"), "1", "{line}");
        let id = reply.header("x-request-id");
        assert_eq!(
            reply.json()["errors"][0]["detail"]["requestId"],
            id,
            "{line}"
        );
        assert!(
            !String::from_utf8_lossy(&reply.body).contains(secret),
            "{line}"
        );
    }
    registry.memory.fail(ReadError::Internal {
        reason: secret.to_owned(),
    });
    let put = registry
        .put("a/manifests/x", INDEX, &index("x", None))
        .await;
    assert_eq!(put.refusal(), (500, "UNKNOWN".to_owned()));
    assert!(!String::from_utf8_lossy(&put.body).contains(secret));
}
