//! The table of statuses and codes (distribution-spec "Error Codes").
//!
//! Every match is exhaustive, so that a new failure cannot be forgotten. Where the specification
//! leaves a choice:
//!
//! * what is still in use, or does not meet a condition, answers `DENIED` with 409 or 412: no code
//!   means a conflict, and `UNSUPPORTED` would tell clients that this registry cannot delete at all;
//! * a full disk, of blobs or of metadata, answers `UNAVAILABLE` with 507, which clients do not
//!   retry; what is away answers 503, which they do;
//! * a limit that will lift by itself answers 429, one that will not 403;
//! * what a lock forbids answers 405, as it does in Azure Container Registry, though the resource has the
//!   method: tools of that registry look for it.

use http::StatusCode;
use meridian_clients::content::conditional::ConditionError;
use meridian_clients::{
    DeleteBlobError, ListRequest, ReadBlobError, ReadError, UploadError, WriteError,
};
use meridian_clock::Region;
use meridian_error::{Classify, Code, Retry};
use meridian_oci::{ErrorCode, MAX_MANIFEST_BYTES, ParseManifestError, RepositoryName};

use super::Failure;
use super::refusal::{Detail, Refusal};
use crate::api::attributes::AttributesError;
use crate::extract::{ExtractError, MAX_REPEATS};
use crate::limits::IntakeError;
use crate::pages::PageError;
use crate::rates::TooMany;
use crate::route::RouteError;

/// What a failure looks like to a client.
pub(super) fn refuse(failure: &Failure) -> Refusal {
    match failure {
        Failure::Route(error) => of_route(*error),
        Failure::PutReference => Refusal::bad(ErrorCode::ManifestInvalid, "tag is malformed"),
        Failure::Method(allowed) => Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::Unsupported,
            "the resource does not have this method",
        )
        .allowing(allowed),
        Failure::NotReady => Refusal::unavailable("the registry is starting or stopping"),
        Failure::Rate(error) => of_rate(error),
        Failure::Extract(error) => of_extract(*error),
        Failure::Page(PageError::Number) => {
            Refusal::bad(ErrorCode::PaginationNumberInvalid, "n is not a number")
        }
        Failure::Page(PageError::Order) => Refusal::bad(
            ErrorCode::Unsupported,
            "orderby is one of timedesc, timeasc and none",
        ),
        Failure::Page(PageError::Place) => Refusal::bad(
            ErrorCode::Unsupported,
            "at is malformed: it is what a Link said, or left out",
        ),
        Failure::Page(PageError::Unordered) => Refusal::bad(
            ErrorCode::Unsupported,
            "the list cannot be put in the order of time: it is too long, or last names nothing in it; \
             leave orderby out, or go on where Link says",
        )
        .with(Detail::Limit(ListRequest::MOST as u64)),
        Failure::Page(PageError::Marker(code)) => Refusal::bad(*code, "last is malformed"),
        Failure::Condition(error) => of_condition(*error),
        Failure::Intake(error) => of_intake(error),
        Failure::Manifest(error) => of_manifest(error),
        Failure::ManifestDigest => Refusal::bad(
            ErrorCode::DigestInvalid,
            "the manifest does not match the digest",
        ),
        Failure::Attributes(AttributesError::TooLong) => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::Unsupported,
            "attributes take less room than that",
        ),
        Failure::Attributes(AttributesError::Body(_)) => {
            Refusal::bad(ErrorCode::Unsupported, BROKEN_BODY)
        }
        Failure::Attributes(AttributesError::Malformed(_)) => Refusal::bad(
            ErrorCode::Unsupported,
            "the body is to be a JSON object with some of deleteEnabled, writeEnabled, readEnabled \
             and listEnabled, each true or false, and nothing else",
        ),
        Failure::Read(error) => of_read(error),
        Failure::Write(error) => of_write(error),
        Failure::ReadBlob(error) => of_read_blob(error),
        Failure::Range(size) => Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorCode::RangeInvalid,
            "the range lies outside of the blob",
        )
        .of_size(*size),
        Failure::DeleteBlob(DeleteBlobError(error)) => of_write(error),
        Failure::Unsure { error, behind } => of_read(error).confessing(behind),
        Failure::Behind => Refusal::unavailable(
            "another region cannot be asked, and this registry answers nothing that may be old, and \
             writes no tag without knowing its newest version; try again when the region is back",
        ),
        Failure::NotYet => Refusal::unavailable(
            "the version that Meridian-Min-Version names is not visible here yet",
        ),
        Failure::Upload {
            region,
            repository,
            error,
        } => of_upload(*region, repository, error),
    }
}

fn of_route(error: RouteError) -> Refusal {
    match error {
        RouteError::Unknown => Refusal::absent(ErrorCode::Unsupported, "no such endpoint"),
        RouteError::ExtensionUnknown => {
            Refusal::absent(ErrorCode::ExtensionUnknown, "no such extension")
        }
        RouteError::Name => Refusal::bad(ErrorCode::NameInvalid, "repository name is malformed"),
        RouteError::Tag => Refusal::absent(ErrorCode::ManifestUnknown, "no such manifest"),
        RouteError::Digest => Refusal::bad(
            ErrorCode::DigestInvalid,
            "digest is malformed or of an unsupported algorithm",
        ),
        RouteError::Upload => upload_unknown(),
    }
}

fn of_rate(error: &TooMany) -> Refusal {
    let refusal = Refusal::new(
        StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::TooManyRequests,
        "too many requests from this address; wait as long as Retry-After says",
    );
    let after = Some(error.resets_in());
    let refusal = refusal.after(Retry::Yes { after });
    refusal.with(Detail::Limit(error.limit()))
}

fn of_extract(error: ExtractError) -> Refusal {
    let unsupported = |message| {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Refusal::new(status, ErrorCode::Unsupported, message)
    };
    match error {
        ExtractError::Digest => Refusal::bad(
            ErrorCode::DigestInvalid,
            "exactly one digest of a supported algorithm is needed",
        ),
        ExtractError::Algorithm => Refusal::bad(
            ErrorCode::DigestInvalid,
            "digest algorithm is not supported",
        ),
        ExtractError::ContentRange => {
            Refusal::bad(ErrorCode::BlobUploadInvalid, "Content-Range is malformed")
        }
        ExtractError::LengthsDiffer => Refusal::bad(
            ErrorCode::SizeInvalid,
            "Content-Range and Content-Length contradict each other",
        ),
        ExtractError::Length => Refusal::bad(ErrorCode::SizeInvalid, "Content-Length is malformed"),
        ExtractError::NotOctets => {
            unsupported("Content-Type of a chunk is not application/octet-stream")
        }
        ExtractError::Encoded => unsupported("Content-Encoding is not supported"),
        ExtractError::ContentType => {
            Refusal::bad(ErrorCode::ManifestInvalid, "Content-Type is malformed")
        }
        ExtractError::Tag => Refusal::bad(ErrorCode::ManifestInvalid, "tag is malformed"),
        ExtractError::TooManyTags => Refusal::new(
            StatusCode::URI_TOO_LONG,
            ErrorCode::ManifestInvalid,
            "too many tags",
        )
        .with(Detail::Limit(MAX_REPEATS as u64)),
        ExtractError::Version => Refusal::bad(
            ErrorCode::Unsupported,
            "Meridian-Min-Version is malformed: it is one version as Meridian-Version gave it, \
             <milliseconds>.<counter>@<region>",
        ),
        ExtractError::Stranger => Refusal::bad(
            ErrorCode::Unsupported,
            "Meridian-Min-Version is of a region that this registry does not know, and nothing of that version \
             is here: send what Meridian-Version gave",
        ),
        ExtractError::TooManyTypes => {
            Refusal::bad(ErrorCode::Unsupported, "too many artifact types")
                .with(Detail::Limit(MAX_REPEATS as u64))
        }
    }
}

fn of_condition(error: ConditionError) -> Refusal {
    match error {
        ConditionError::Undecidable => Refusal::bad(
            ErrorCode::Unsupported,
            "only If-Match with the digest of a tag, or If-None-Match with *, is supported",
        ),
        ConditionError::Foreign => condition_failed(),
        ConditionError::Differs(current) => condition_failed().holding(Some(current)),
    }
}

fn condition_failed() -> Refusal {
    Refusal::new(
        StatusCode::PRECONDITION_FAILED,
        ErrorCode::Denied,
        "the condition of the request does not hold",
    )
}

const BROKEN_BODY: &str = "the request body broke off";

fn of_intake(error: &IntakeError) -> Refusal {
    match error {
        IntakeError::TooLarge => manifest_too_large(),
        IntakeError::Overloaded => Refusal::unavailable("too many manifests are on their way"),
        IntakeError::Body(_) => Refusal::bad(ErrorCode::ManifestInvalid, BROKEN_BODY),
    }
}

fn manifest_too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::ManifestInvalid,
        "manifest is too large",
    )
    .with(Detail::Limit(MAX_MANIFEST_BYTES as u64))
}

/// The messages of this error are made to be shown.
fn of_manifest(error: &ParseManifestError) -> Refusal {
    if *error == ParseManifestError::TooLarge {
        return manifest_too_large();
    }
    Refusal::bad(error.error_code(), error.to_string())
}

fn of_read(error: &ReadError) -> Refusal {
    match error {
        ReadError::RegistryUnknown => Refusal::absent(ErrorCode::NameUnknown, "no such registry"),
        ReadError::RepositoryUnknown => {
            Refusal::absent(ErrorCode::NameUnknown, "no such repository")
        }
        ReadError::ManifestUnknown => {
            Refusal::absent(ErrorCode::ManifestUnknown, "no such manifest")
        }
        ReadError::BlobUnknown => Refusal::absent(ErrorCode::BlobUnknown, "no such blob"),
        ReadError::Locked => Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::RegistryDisallowedOperation,
            "the operation is disallowed on this repository or image: it, or something that goes \
             with it, is locked by its attributes",
        ),
        ReadError::Unavailable { .. }
        | ReadError::DeadlineExceeded
        | ReadError::Internal { .. } => of_class(error),
    }
}

fn of_write(error: &WriteError) -> Refusal {
    match error {
        WriteError::Read(error) => of_read(error),
        WriteError::ConditionFailed { current } => condition_failed().holding(*current),
        WriteError::LeavesUnknown(digests) => Refusal::bad(
            ErrorCode::ManifestBlobUnknown,
            "the manifest names content that is not present in the repository",
        )
        .with(Detail::Each(digests.clone())),
        WriteError::SizesDiffer(digests) => Refusal::bad(
            ErrorCode::SizeInvalid,
            "the manifest gives a size that is not that of the content",
        )
        .with(Detail::Each(digests.clone())),
        WriteError::InUse(digests) => Refusal::new(
            StatusCode::CONFLICT,
            ErrorCode::Denied,
            "present manifests still need it",
        )
        .with(Detail::NeededBy(digests.clone())),
        WriteError::Exhausted { retry_after, .. } => match retry_after {
            Some(_) => Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                ErrorCode::TooManyRequests,
                "a limit of the registry was reached",
            )
            .after(error.retry()),
            None => Refusal::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Denied,
                "a limit of the registry was reached",
            ),
        },
        WriteError::NoRoom => no_room(),
        // No client asks for a merge.
        WriteError::Malformed { .. } => of_class(error),
    }
}

/// Pulls and deletions go on meanwhile, so there is something that its reader can do.
fn no_room() -> Refusal {
    Refusal::new(
        StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Unavailable,
        "the registry's disk is full: delete what is not needed any more, or ask its operator for \
         more room; pulls and deletions go on",
    )
    .with(Detail::Request)
}

fn of_read_blob(error: &ReadBlobError) -> Refusal {
    match error {
        ReadBlobError::Metadata(error) => of_read(error),
        ReadBlobError::Unreadable { .. } => of_class(error),
    }
}

fn of_upload(region: Option<Region>, repository: &RepositoryName, error: &UploadError) -> Refusal {
    match error {
        UploadError::Unknown => upload_unknown(),
        UploadError::OutOfOrder(status) => Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorCode::RangeInvalid,
            "the chunk does not start where the session ends",
        )
        .positioned(region, repository, status),
        UploadError::Busy => Refusal::new(
            StatusCode::CONFLICT,
            ErrorCode::BlobUploadInvalid,
            "another request is writing to the upload session",
        )
        .after(Retry::Yes { after: None }),
        UploadError::LengthDiffers { .. } => Refusal::bad(
            ErrorCode::SizeInvalid,
            "the body is not as long as its headers say",
        ),
        UploadError::DigestDiffers => Refusal::bad(
            ErrorCode::DigestInvalid,
            "the content does not match the digest",
        ),
        UploadError::TooLarge { limit } => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::SizeInvalid,
            "the blob is too large",
        )
        .with(Detail::Limit(*limit)),
        UploadError::TooManySessions => Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::TooManyRequests,
            "too many upload sessions are open",
        )
        .after(error.retry()),
        UploadError::Body(_) => Refusal::bad(ErrorCode::BlobUploadInvalid, BROKEN_BODY),
        UploadError::StoreFull => no_room(),
        UploadError::Store(_) => of_class(error),
        UploadError::Metadata(error) => of_write(error),
    }
}

fn upload_unknown() -> Refusal {
    Refusal::absent(ErrorCode::BlobUploadUnknown, "no such upload session")
}

/// Of what is our own failure, the class is all that a client learns.
fn of_class(error: &dyn Classify) -> Refusal {
    match error.code() {
        Code::Unavailable | Code::DeadlineExceeded => {
            let retry = match error.retry() {
                Retry::No => Retry::Yes { after: None },
                retry @ Retry::Yes { .. } => retry,
            };
            Refusal::unavailable("a part of the registry is not available").after(retry)
        }
        Code::InvalidArgument
        | Code::Unauthenticated
        | Code::Denied
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Conflict
        | Code::OutOfRange
        | Code::ResourceExhausted
        | Code::Unsupported
        | Code::Internal => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Unknown,
            "the registry failed",
        )
        .with(Detail::Request),
    }
}
