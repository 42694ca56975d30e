//! The ways in which clients push a blob.

use bytes::Bytes;
use harness::Answer;
use meridian_oci::Digest;

use crate::expected::{Expected, is};
use crate::table::Table;
use crate::wire::{Request, patch, post, put, with};

/// How the bytes of a blob reach the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All of them in the request that opens the session, which ends it as well.
    Post,
    /// The same, without telling the length.
    PostStreamed,
    /// All of them in the request that closes the session (containerd, oras, helm).
    Put,
    /// The same, without telling the length.
    PutStreamed,
    /// In one chunk with its range.
    Chunk,
    /// In chunks with their ranges, then an empty end (regctl).
    Chunks,
    /// In chunks with their ranges, the last of which closes the session.
    ChunksAndPut,
    /// In one request without range or length, then an empty end (docker, podman).
    Stream,
    /// In several requests without ranges, each of which appends.
    Streams,
    /// Some without a range, the rest in the request that closes the session.
    StreamAndPut,
}

pub(super) const WAYS: [Way; 10] = [
    Way::Post,
    Way::PostStreamed,
    Way::Put,
    Way::PutStreamed,
    Way::Chunk,
    Way::Chunks,
    Way::ChunksAndPut,
    Way::Stream,
    Way::Streams,
    Way::StreamAndPut,
];

/// A push: what is sent, and as what.
pub(super) struct Push<'a> {
    pub(super) way: Way,
    pub(super) repository: &'a str,
    pub(super) bytes: &'a Bytes,
    pub(super) digest: Digest,
}

// === impl Push ===

impl Push<'_> {
    /// Pushes; the last answer is as expected.
    pub(super) async fn run(&self, table: &mut Table<'_>, expected: Expected) -> Answer {
        let uploads = format!("/v2/{}/blobs/uploads/", self.repository);
        let whole = &self.bytes[..];
        let streamed = |request: Request| {
            request.streamed(&[&whole[..whole.len() / 2], &whole[whole.len() / 2..]])
        };
        let rule = format!(
            "{:?}: the end of the push of {} bytes",
            self.way,
            whole.len()
        );
        match self.way {
            Way::Post | Way::PostStreamed => {
                let request = post(with(&uploads, "digest", self.digest));
                let request = match self.way {
                    Way::Post => request.body(whole.to_vec()),
                    _ => streamed(request),
                };
                table.row(rule, request, expected).await
            }
            _ => {
                let opened = is(202).header("Range", "0-0").header("Content-Length", 0);
                let opening = format!("{:?}: a session opens", self.way);
                let answer = table.row(opening, post(uploads), opened).await;
                let mut location = answer.header("location").unwrap_or_default().to_owned();
                let (patches, last) = self.pieces();
                for request in patches {
                    let (start, end) = request;
                    let piece = &whole[start..end];
                    let request = match self.way {
                        Way::Stream => streamed(patch(&*location)),
                        Way::Streams | Way::StreamAndPut => patch(&*location).body(piece.to_vec()),
                        _ => patch(&*location)
                            .header("Content-Range", format!("{start}-{}", end - 1))
                            .body(piece.to_vec()),
                    };
                    let taken = is(202).header("Range", format!("0-{}", end.max(1) - 1));
                    let rule = format!("{:?}: bytes {start} to {end} are taken", self.way);
                    let answer = table.row(rule, request, taken).await;
                    location = answer.header("location").unwrap_or_default().to_owned();
                }
                let request = put(with(&location, "digest", self.digest));
                let request = match self.way {
                    Way::PutStreamed => streamed(request),
                    Way::ChunksAndPut if last.0 < last.1 => request
                        .header("Content-Range", format!("{}-{}", last.0, last.1 - 1))
                        .body(whole[last.0..last.1].to_vec()),
                    _ => request.body(whole[last.0..last.1].to_vec()),
                };
                table.row(rule, request, expected).await
            }
        }
    }

    /// What goes into each PATCH, and what is left for the PUT.
    fn pieces(&self) -> (Vec<(usize, usize)>, (usize, usize)) {
        let length = self.bytes.len();
        let third = length.div_ceil(3).max(1);
        let thirds: Vec<_> = (0..length)
            .step_by(third)
            .map(|start| (start, (start + third).min(length)))
            .collect();
        let end = (length, length);
        match self.way {
            Way::Post | Way::PostStreamed | Way::Put | Way::PutStreamed => {
                (Vec::new(), (0, length))
            }
            // No range can say that there is nothing.
            Way::Chunk if length == 0 => (Vec::new(), end),
            Way::Chunk | Way::Stream => (vec![(0, length)], end),
            Way::Chunks | Way::Streams => (thirds, end),
            Way::ChunksAndPut | Way::StreamAndPut => {
                let mut patches = thirds;
                let last = patches.pop().unwrap_or(end);
                (patches, last)
            }
        }
    }
}
