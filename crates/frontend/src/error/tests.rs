//! The table of failures, row by row, and what the answers carry beside status and code.

use std::io;
use std::time::Duration;

use axum::body::Body;
use http::header::{ALLOW, CONTENT_RANGE, ETAG, LOCATION, RANGE, RETRY_AFTER};
use http_body_util::BodyExt;
use meridian_clients::UploadStatus;
use meridian_oci::{Algorithm, Digest, ErrorCode};
use serde_json::{Value, json};

use super::*;

const ID: RequestId = RequestId([0xab; 16]);
const ID_TEXT: &str = "abababababababababababababababab";

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn upload(error: UploadError) -> Failure {
    let repository = "a/b".parse().unwrap();
    Failure::Upload {
        region: None,
        repository,
        error,
    }
}

fn position() -> UploadStatus {
    UploadStatus {
        upload: "0123456789abcdef".parse().unwrap(),
        offset: 10,
        min_chunk: None,
    }
}

fn away() -> ReadError {
    ReadError::Unavailable {
        reason: "secret of the log".to_owned(),
    }
}

fn internal() -> ReadError {
    ReadError::Internal {
        reason: "secret of the log".to_owned(),
    }
}

fn broken() -> io::Error {
    io::Error::other("secret of the log")
}

fn exhausted(retry_after: Option<Duration>) -> WriteError {
    WriteError::Exhausted {
        what: "secret of the log".to_owned(),
        retry_after,
    }
}

/// Every failure that is not one of a list, with what it must look like.
fn table() -> Vec<(Failure, u16, &'static str)> {
    let unreadable = ReadBlobError::Unreadable {
        digest: digest("a"),
        source: broken(),
    };
    let differs = UploadError::LengthDiffers {
        expected: 1,
        actual: 2,
    };
    vec![
        (RouteError::Unknown.into(), 404, "UNSUPPORTED"),
        (
            RouteError::ExtensionUnknown.into(),
            404,
            "EXTENSION_UNKNOWN",
        ),
        (RouteError::Name.into(), 400, "NAME_INVALID"),
        (RouteError::Tag.into(), 404, "MANIFEST_UNKNOWN"),
        (RouteError::Digest.into(), 400, "DIGEST_INVALID"),
        (RouteError::Upload.into(), 404, "BLOB_UPLOAD_UNKNOWN"),
        (Failure::PutReference, 400, "MANIFEST_INVALID"),
        (Failure::Method("GET"), 405, "UNSUPPORTED"),
        (Failure::NotReady, 503, "UNAVAILABLE"),
        (ExtractError::Digest.into(), 400, "DIGEST_INVALID"),
        (ExtractError::Algorithm.into(), 400, "DIGEST_INVALID"),
        (
            ExtractError::ContentRange.into(),
            400,
            "BLOB_UPLOAD_INVALID",
        ),
        (ExtractError::LengthsDiffer.into(), 400, "SIZE_INVALID"),
        (ExtractError::Length.into(), 400, "SIZE_INVALID"),
        (ExtractError::NotOctets.into(), 415, "UNSUPPORTED"),
        (ExtractError::Encoded.into(), 415, "UNSUPPORTED"),
        (ExtractError::ContentType.into(), 400, "MANIFEST_INVALID"),
        (ExtractError::TooManyTags.into(), 414, "MANIFEST_INVALID"),
        (ExtractError::Tag.into(), 400, "MANIFEST_INVALID"),
        (ExtractError::TooManyTypes.into(), 400, "UNSUPPORTED"),
        (ExtractError::Version.into(), 400, "UNSUPPORTED"),
        (ExtractError::Stranger.into(), 400, "UNSUPPORTED"),
        (PageError::Order.into(), 400, "UNSUPPORTED"),
        (PageError::Place.into(), 400, "UNSUPPORTED"),
        (PageError::Unordered.into(), 400, "UNSUPPORTED"),
        (Failure::Behind, 503, "UNAVAILABLE"),
        (Failure::NotYet, 503, "UNAVAILABLE"),
        (
            Failure::Unsure {
                error: ReadError::ManifestUnknown,
                behind: Vec::new(),
            },
            404,
            "MANIFEST_UNKNOWN",
        ),
        (PageError::Number.into(), 400, "PAGINATION_NUMBER_INVALID"),
        (
            PageError::Marker(ErrorCode::TagInvalid).into(),
            400,
            "TAG_INVALID",
        ),
        (ConditionError::Undecidable.into(), 400, "UNSUPPORTED"),
        (ConditionError::Foreign.into(), 412, "DENIED"),
        (ConditionError::Differs(digest("a")).into(), 412, "DENIED"),
        (IntakeError::TooLarge.into(), 413, "MANIFEST_INVALID"),
        (IntakeError::Overloaded.into(), 503, "UNAVAILABLE"),
        (IntakeError::Body(broken()).into(), 400, "MANIFEST_INVALID"),
        (ParseManifestError::TooLarge.into(), 413, "MANIFEST_INVALID"),
        (ParseManifestError::Schema1.into(), 400, "UNSUPPORTED"),
        (
            ParseManifestError::DuplicateName.into(),
            400,
            "MANIFEST_INVALID",
        ),
        (
            ParseManifestError::ContradictorySizes.into(),
            400,
            "SIZE_INVALID",
        ),
        (Failure::ManifestDigest, 400, "DIGEST_INVALID"),
        (ReadError::RegistryUnknown.into(), 404, "NAME_UNKNOWN"),
        (ReadError::RepositoryUnknown.into(), 404, "NAME_UNKNOWN"),
        (ReadError::ManifestUnknown.into(), 404, "MANIFEST_UNKNOWN"),
        (ReadError::BlobUnknown.into(), 404, "BLOB_UNKNOWN"),
        (
            ReadError::Locked.into(),
            405,
            "REGISTRY_DISALLOWED_OPERATION",
        ),
        (
            WriteError::from(ReadError::Locked).into(),
            405,
            "REGISTRY_DISALLOWED_OPERATION",
        ),
        (AttributesError::TooLong.into(), 413, "UNSUPPORTED"),
        (away().into(), 503, "UNAVAILABLE"),
        (ReadError::DeadlineExceeded.into(), 503, "UNAVAILABLE"),
        (internal().into(), 500, "UNKNOWN"),
        (WriteError::from(away()).into(), 503, "UNAVAILABLE"),
        (
            WriteError::ConditionFailed { current: None }.into(),
            412,
            "DENIED",
        ),
        (
            WriteError::LeavesUnknown(vec![digest("a")]).into(),
            400,
            "MANIFEST_BLOB_UNKNOWN",
        ),
        (
            WriteError::SizesDiffer(vec![digest("a")]).into(),
            400,
            "SIZE_INVALID",
        ),
        (WriteError::InUse(vec![digest("a")]).into(), 409, "DENIED"),
        (
            exhausted(Some(Duration::from_secs(7))).into(),
            429,
            "TOOMANYREQUESTS",
        ),
        (exhausted(None).into(), 403, "DENIED"),
        (WriteError::NoRoom.into(), 507, "UNAVAILABLE"),
        (
            ReadBlobError::from(ReadError::BlobUnknown).into(),
            404,
            "BLOB_UNKNOWN",
        ),
        (unreadable.into(), 503, "UNAVAILABLE"),
        (Failure::Range(5), 416, "RANGE_INVALID"),
        (
            DeleteBlobError(WriteError::InUse(vec![])).into(),
            409,
            "DENIED",
        ),
        (upload(UploadError::Unknown), 404, "BLOB_UPLOAD_UNKNOWN"),
        (
            upload(UploadError::OutOfOrder(position())),
            416,
            "RANGE_INVALID",
        ),
        (upload(UploadError::Busy), 409, "BLOB_UPLOAD_INVALID"),
        (upload(differs), 400, "SIZE_INVALID"),
        (upload(UploadError::DigestDiffers), 400, "DIGEST_INVALID"),
        (
            upload(UploadError::TooLarge { limit: 9 }),
            413,
            "SIZE_INVALID",
        ),
        (upload(UploadError::TooManySessions), 429, "TOOMANYREQUESTS"),
        (
            upload(UploadError::Body(broken())),
            400,
            "BLOB_UPLOAD_INVALID",
        ),
        (upload(UploadError::StoreFull), 507, "UNAVAILABLE"),
        (upload(WriteError::NoRoom.into()), 507, "UNAVAILABLE"),
        (upload(UploadError::Store(broken())), 500, "UNKNOWN"),
        (upload(WriteError::from(internal()).into()), 500, "UNKNOWN"),
    ]
}

async fn body(answer: Answer) -> Value {
    let body: Body = answer.into_body();
    let bytes = body.collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn every_failure_has_its_status_and_code() {
    for (failure, status, code) in table() {
        let told = answer(&failure, ID);
        assert_eq!(told.status(), status, "{failure:?}");
        let retry_after = told.headers().contains_key(RETRY_AFTER);
        let is_busy = matches!(
            failure,
            Failure::Upload {
                error: UploadError::Busy,
                ..
            }
        );
        assert_eq!(
            retry_after,
            is_busy || matches!(status, 429 | 503),
            "{failure:?}"
        );
        assert_eq!(told.headers()["cache-control"], "no-store");
        let body = body(told).await;
        let entries = body["errors"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{failure:?}");
        assert_eq!(entries[0]["code"], code, "{failure:?}");
        assert!(entries[0]["detail"].is_object(), "{failure:?}");
        assert!(!body.to_string().contains("secret"), "{failure:?}: {body}");
        if status >= 500 {
            assert_eq!(entries[0]["detail"]["requestId"], ID_TEXT, "{failure:?}");
        }
    }
}

#[tokio::test]
async fn missing_content_is_listed_one_by_one() {
    let digests: Vec<Digest> = (0..2000).map(|i| digest(&i.to_string())).collect();
    let failure = WriteError::LeavesUnknown(digests.clone()).into();
    let body = body(answer(&failure, ID)).await;
    let listed = body["errors"].as_array().unwrap().iter().map(|entry| {
        assert_eq!(entry["code"], "MANIFEST_BLOB_UNKNOWN");
        entry["detail"]["digest"]
            .as_str()
            .unwrap()
            .parse::<Digest>()
            .unwrap()
    });
    assert_eq!(listed.collect::<Vec<_>>(), digests);
}

#[tokio::test]
async fn what_is_in_use_says_by_whom() {
    let (a, b) = (digest("a"), digest("b"));
    let failure = WriteError::InUse(vec![a, b]).into();
    let body = body(answer(&failure, ID)).await;
    let expected = json!({ "neededBy": [a.to_string(), b.to_string()] });
    assert_eq!(body["errors"][0]["detail"], expected);
}

#[tokio::test]
async fn a_full_disk_is_named_with_what_can_be_done_about_it() {
    for failure in [WriteError::NoRoom.into(), upload(UploadError::StoreFull)] {
        let body = body(answer(&failure, ID)).await;
        let message = body["errors"][0]["message"].as_str().unwrap();
        for words in ["disk is full", "delete", "pulls"] {
            assert!(message.contains(words), "`{words}` is not in: {message}");
        }
    }
}

#[test]
fn headers_say_what_the_client_needs_to_go_on() {
    let headers = |failure: Failure| answer(&failure, ID).headers().clone();

    let disorder = headers(upload(UploadError::OutOfOrder(position())));
    assert_eq!(disorder[LOCATION], "/v2/a/b/blobs/uploads/0123456789abcdef");
    assert_eq!(disorder[RANGE], "0-9");

    let current = digest("a");
    let conflict = WriteError::ConditionFailed {
        current: Some(current),
    };
    assert_eq!(headers(conflict.into())[ETAG], format!("\"{current}\""));
    let differs = ConditionError::Differs(current);
    assert_eq!(headers(differs.into())[ETAG], format!("\"{current}\""));

    assert_eq!(headers(Failure::Method("GET, HEAD"))[ALLOW], "GET, HEAD");
    assert_eq!(headers(Failure::Range(5))[CONTENT_RANGE], "bytes */5");
    for (after, seconds) in [
        (Duration::from_millis(1), "1"),
        (Duration::from_millis(7001), "8"),
        (Duration::from_secs(7), "7"),
    ] {
        assert_eq!(headers(exhausted(Some(after)).into())[RETRY_AFTER], seconds);
    }
}
