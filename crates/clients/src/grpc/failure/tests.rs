use std::io;
use std::time::Duration;

use meridian_error::{Classify, Code, Retry};
use meridian_oci::{Algorithm, Digest, MAX_DESCRIPTORS};
use tonic::Status;

use super::*;
use crate::peer::PeerError;
use crate::{DeleteBlobError, ReadBlobError, UploadError, UploadStatus, WriteError};

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha512, text.as_bytes())
}

fn reads() -> Vec<ReadError> {
    let reason = || "the disk is on fire".to_owned();
    vec![
        ReadError::RegistryUnknown,
        ReadError::RepositoryUnknown,
        ReadError::ManifestUnknown,
        ReadError::BlobUnknown,
        ReadError::Unavailable { reason: reason() },
        ReadError::DeadlineExceeded,
        ReadError::Internal { reason: reason() },
    ]
}

fn writes() -> Vec<WriteError> {
    let digests = || vec![digest("a"), Digest::of(Algorithm::Sha256, b"b")];
    let mut all: Vec<_> = reads().into_iter().map(WriteError::Read).collect();
    all.extend([
        WriteError::ConditionFailed { current: None },
        WriteError::ConditionFailed {
            current: Some(digest("a")),
        },
        WriteError::LeavesUnknown(digests()),
        WriteError::SizesDiffer(digests()),
        WriteError::InUse(digests()),
        WriteError::InUse(Vec::new()),
        WriteError::Exhausted {
            what: "outbox".to_owned(),
            retry_after: None,
        },
        WriteError::Exhausted {
            what: "outbox".to_owned(),
            retry_after: Some(Duration::from_millis(1_500)),
        },
        WriteError::NoRoom,
        WriteError::Malformed {
            reason: "an echo".to_owned(),
        },
    ]);
    all
}

fn uploads() -> Vec<UploadError> {
    let broken = || io::Error::new(io::ErrorKind::ConnectionReset, "broken");
    let mut all: Vec<_> = writes().into_iter().map(UploadError::Metadata).collect();
    all.extend([
        UploadError::Unknown,
        UploadError::OutOfOrder(UploadStatus {
            upload: "0123456789abcdef".parse().unwrap(),
            offset: u64::MAX,
            min_chunk: Some(5),
        }),
        UploadError::Busy,
        UploadError::LengthDiffers {
            expected: 1,
            actual: u64::MAX,
        },
        UploadError::DigestDiffers,
        UploadError::TooLarge { limit: 7 },
        UploadError::TooManySessions,
        UploadError::Body(broken()),
        UploadError::StoreFull,
        UploadError::Store(broken()),
    ]);
    all
}

fn crossed<E: WireError>(error: &E) -> E {
    let status = attach(Status::unknown("a message"), error);
    assert_eq!(status.message(), "a message");
    from_status(&status)
}

/// Errors that hold an I/O error cannot be compared, but their texts and classes can.
fn shown(error: &impl Classify) -> (String, Code, Retry) {
    (meridian_error::chain(error), error.code(), error.retry())
}

#[test]
fn an_error_that_crossed_is_the_error_that_was_returned() {
    for error in reads() {
        assert_eq!(crossed(&error), error);
    }
    for error in writes() {
        assert_eq!(crossed(&error), error);
        let error = DeleteBlobError(error);
        assert_eq!(crossed(&error).0, error.0);
    }
    for error in [
        PeerError::Unavailable {
            reason: "cut".to_owned(),
        },
        PeerError::Busy {
            retry_after: Duration::from_millis(1_500),
        },
        PeerError::DeadlineExceeded,
        PeerError::Refused {
            reason: "who?".to_owned(),
        },
    ] {
        assert_eq!(crossed(&error), error);
    }
    for error in uploads() {
        let found = crossed(&error);
        assert_eq!(shown(&found), shown(&error));
        assert_eq!(
            std::mem::discriminant(&found),
            std::mem::discriminant(&error)
        );
    }
    let unreadable = ReadBlobError::Unreadable {
        digest: digest("a"),
        source: io::Error::other("gone"),
    };
    assert_eq!(shown(&crossed(&unreadable)), shown(&unreadable));
    for error in reads().into_iter().map(ReadBlobError::Metadata) {
        assert_eq!(shown(&crossed(&error)), shown(&error));
    }
}

#[test]
fn a_failure_of_another_family_falls_back_to_the_code() {
    let status = attach(Status::unavailable("away"), &UploadError::Busy);
    let reason = "away".to_owned();
    let found: ReadError = from_status(&status);
    assert_eq!(found, ReadError::Unavailable { reason });
}

#[test]
fn details_that_mean_nothing_fall_back_to_the_code() {
    let not_a_digest = pb::Digests {
        digests: vec![meridian_proto::meridian::content::v1::Digest { hash: None }],
    };
    let failures = [
        pb::Failure { kind: None }.encode_to_vec(),
        vec![0xff; 40],
        pb::Failure {
            kind: Some(pb::failure::Kind::InUse(not_a_digest)),
        }
        .encode_to_vec(),
    ];
    for details in failures {
        let status = Status::with_details(tonic::Code::NotFound, "what?", details.into());
        let found: WriteError = from_status(&status);
        assert_eq!(found.code(), Code::Internal, "{found}");
    }
}

#[test]
fn a_status_of_somebody_else_is_understood() {
    use tonic::Code as Grpc;
    for (status, code) in [
        (Grpc::Unavailable, Code::Unavailable),
        (Grpc::DeadlineExceeded, Code::DeadlineExceeded),
        (Grpc::Cancelled, Code::Unavailable),
        (Grpc::Unknown, Code::Unavailable),
        (Grpc::ResourceExhausted, Code::Unavailable),
        (Grpc::Internal, Code::Internal),
        (Grpc::InvalidArgument, Code::Internal),
        (Grpc::Unimplemented, Code::Internal),
        (Grpc::OutOfRange, Code::Internal),
        (Grpc::PermissionDenied, Code::Internal),
    ] {
        let status = Status::new(status, "told");
        let found: UploadError = from_status(&status);
        assert_eq!(found.code(), code, "{status:?}");
        assert_eq!(
            from_status::<WriteError>(&status).code(),
            code,
            "{status:?}"
        );
        if code != Code::DeadlineExceeded {
            assert!(meridian_error::chain(&found).contains("told"), "{found}");
        }
    }
}

#[test]
fn the_timer_of_the_transport_is_a_deadline() {
    let status = Status::from_error(Box::new(tonic::TimeoutExpired(())));
    assert_eq!(
        from_status::<ReadError>(&status),
        ReadError::DeadlineExceeded
    );
}

/// See `MAX_HEADERS` of the channel: base64 adds a third.
#[test]
fn the_longest_refusal_fits_the_head_of_an_answer() {
    let leaves = vec![digest("a"); MAX_DESCRIPTORS + 1];
    let status = attach(Status::unknown(""), &WriteError::LeavesUnknown(leaves));
    assert!(status.details().len() / 3 * 4 < 1024 * 1024);
}
