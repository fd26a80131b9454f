//! Errors of the crate and of servers as ours.

use object_store::client::HttpErrorKind;

use super::watched::{Failure, element, innermost};
use crate::storage::identity::Identity;
use crate::storage::{Location, Op, StorageError, StorageErrorKind};

/// An error of the crate as one of ours.
pub(super) fn explain(
    op: Op,
    location: &Location,
    identity: &Identity,
    error: &object_store::Error,
    failure: Option<Failure>,
) -> StorageError {
    let new = |kind| StorageError::new(kind, op, location.clone());
    let who = || format!("as {}", identity.source);
    match failure {
        Some(Failure::NoMetadataService) => {
            new(StorageErrorKind::Unauthenticated).with_message(who()).with_remedy(identity.remedy.clone())
        }
        Some(Failure::Transport { kind, message }) => {
            let kind = match kind {
                HttpErrorKind::Timeout => StorageErrorKind::Timeout,
                _ => StorageErrorKind::Unavailable,
            };
            new(kind).with_message(message)
        }
        Some(Failure::Status { status, code, message, region }) => {
            let said = [code.as_str(), message.as_str()].into_iter().filter(|part| !part.is_empty());
            let said = said.collect::<Vec<_>>().join(": ");
            let said = if said.is_empty() { format!("HTTP status {status}") } else { said };
            let kind = match (status, code.as_str()) {
                (_, "InvalidObjectState" | "BlobArchived" | "BlobBeingRehydrated") => {
                    StorageErrorKind::Archived
                }
                (404, "NoSuchBucket" | "ContainerNotFound") => {
                    return new(StorageErrorKind::NotFound)
                        .with_message(said)
                        .with_remedy("check the name of the bucket, and --endpoint");
                }
                (404, _) => return new(StorageErrorKind::NotFound),
                (
                    401 | 403,
                    "InvalidAccessKeyId"
                    | "SignatureDoesNotMatch"
                    | "ExpiredToken"
                    | "InvalidToken"
                    | "RequestTimeTooSkewed"
                    | "AuthenticationFailed"
                    | "InvalidAuthenticationInfo",
                )
                | (401, _) => StorageErrorKind::Unauthenticated,
                (301 | 307 | 400, _) if region.is_some() => {
                    let region = region.unwrap_or_default();
                    return new(StorageErrorKind::Other)
                        .with_message(format!("the bucket lies in the region {region}"))
                        .with_remedy(format!("use --region {region}"));
                }
                (403, _) => StorageErrorKind::PermissionDenied,
                (412, _) | (409, "BlobAlreadyExists") => StorageErrorKind::AlreadyExists,
                (429, _) | (503, "SlowDown" | "ServerBusy" | "TooManyRequests") => {
                    StorageErrorKind::Throttled
                }
                (408, _) => StorageErrorKind::Timeout,
                // Another change of the same object is under way.
                (409, "ConditionalRequestConflict") => StorageErrorKind::Unavailable,
                // It is the request that will never be served, not the server that cannot now.
                (501, _) => StorageErrorKind::Other,
                (500..=599, _) => StorageErrorKind::Unavailable,
                _ => StorageErrorKind::Other,
            };
            match kind {
                StorageErrorKind::Unauthenticated | StorageErrorKind::PermissionDenied => {
                    let may = match op {
                        Op::Head | Op::Range | Op::Suffix | Op::Full | Op::List => "read",
                        Op::Delete | Op::Copy | Op::Put => "change",
                    };
                    let remedy = format!("check what that identity may {may}; {}", identity.remedy);
                    new(kind).with_message(format!("{said}, {}", who())).with_remedy(remedy)
                }
                _ => new(kind).with_message(said),
            }
        }
        None if said_in_body(error).is_some() => explain(op, location, identity, error, said_in_body(error)),
        None => match error {
            object_store::Error::NotFound { .. } => new(StorageErrorKind::NotFound),
            object_store::Error::AlreadyExists { .. } => new(StorageErrorKind::AlreadyExists),
            object_store::Error::InvalidPath { .. } => new(StorageErrorKind::Other)
                .with_message("there is an object here whose name holds an empty segment or a dot segment"),
            other => new(StorageErrorKind::Other).with_message(innermost(other)),
        },
    }
}

/// What a store said in the body of an answer that was to be a good one. The crate asked again, and gives the whole of it.
fn said_in_body(error: &object_store::Error) -> Option<Failure> {
    let text = innermost(error);
    let body = text.strip_prefix("Server returned error response: ")?;
    // By one of these it tells that it is none.
    let (status, code) = if body.contains("SlowDown") { (503, "SlowDown") } else { (500, "InternalError") };
    let message = element(body, "Message").unwrap_or_default();
    Some(Failure::Status { status, code: code.to_owned(), message, region: None })
}
