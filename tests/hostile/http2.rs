//! Attacks on HTTP/2 (row 31), frame by frame.

use std::time::Duration;

use crate::target::{Target, status};
use crate::wire::Wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SOON: Duration = Duration::from_secs(15);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const ENHANCE_YOUR_CALM: u32 = 11;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block: `:method`, `:scheme` and `:path` from the static table, `:authority` literal.
fn block(method: u8) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x84, 0x01, 9];
    block.extend_from_slice(b"localhost");
    block
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

fn open(target: &Target) -> Wire {
    let mut wire = target.connect();
    wire.send(PREFACE);
    wire.send(&frame(SETTINGS, 0, 0, &[]));
    wire
}

/// What the first frame of this kind holds, among those that were received.
fn find(mut bytes: &[u8], kind: u8) -> Option<&[u8]> {
    while let [a, b, c, found, _flags, _, _, _, _, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *found == kind {
            return rest.get(..length);
        }
        bytes = rest.get(length..).unwrap_or_default();
    }
    None
}

/// Whether among the frames that were received is one of this kind.
fn saw(bytes: &[u8], kind: u8) -> bool {
    find(bytes, kind).is_some()
}

/// The connection ends with the reason that there was too much of something.
fn ends(target: &Target, mut wire: Wire, what: &str) {
    assert!(
        wire.ends_within(SOON).is_some(),
        "row 31: {what}: the connection stays"
    );
    let goaway = find(wire.received(), GOAWAY);
    // The last stream that was served, the reason, and words.
    let reason = goaway.and_then(|goaway| goaway.get(4..8));
    let calm = ENHANCE_YOUR_CALM.to_be_bytes();
    assert_eq!(reason, Some(&calm[..]), "row 31: {what}");
    target.must_serve();
}

#[test]
fn http2_is_spoken() {
    let target = Target::start();
    let mut wire = open(&target);
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(GET)));
    // Only then is the connection closed: a client that is gone need not be answered.
    let answered = wire.receives(|bytes| saw(bytes, HEADERS));
    assert!(answered, "an answer");
    wire.finish();
    assert!(wire.ends_within(SOON).is_some());
}

#[test]
fn rapid_resets_end_the_connection() {
    let target = Target::start();
    let mut wire = open(&target);
    for stream in (1..20_001).step_by(2) {
        let mut burst = frame(HEADERS, END_HEADERS, stream, &block(POST));
        burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        wire.send(&burst);
    }
    ends(&target, wire, "rapid reset");
}

#[test]
fn a_flood_of_continuations_ends_the_connection() {
    let target = Target::start();
    let mut wire = open(&target);
    wire.send(&frame(HEADERS, END_STREAM, 1, &block(GET)));
    let mut piece = vec![0x00, 1, b'x', 100];
    piece.extend([b'y'; 100]);
    let flood = frame(CONTINUATION, 0, 1, &piece.repeat(100));
    for _ in 0..2000 {
        wire.send(&flood);
    }
    ends(&target, wire, "CONTINUATION");
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let target = Target::start();
    let mut wire = open(&target);
    for stream in (1..20_001).step_by(2) {
        wire.send(&frame(HEADERS, END_HEADERS, stream, &block(POST)));
    }
    assert!(
        wire.ends_within(2 * SOON).is_some(),
        "row 31: 10 000 streams that never end"
    );
    target.must_serve();
}

/// A table entry of 4 KiB, then thousands of references to it.
#[test]
fn a_bomb_of_headers_is_not_unpacked() {
    let target = Target::start();
    let mut wire = open(&target);
    let mut block = block(GET);
    block.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    block.extend([b'y'; 4000]);
    block.extend([0xbe; 10_000]);
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    wire.finish();
    assert!(wire.ends_within(SOON).is_some(), "row 31: HPACK bomb");
    target.must_serve();
}

#[test]
fn floods_of_empty_frames_do_not_stop_the_service_of_others() {
    let target = Target::start();
    for flood in [
        frame(DATA, 0, 1, &[]),
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[]),
    ] {
        let mut wire = open(&target);
        wire.send(&frame(HEADERS, END_HEADERS, 1, &block(POST)));
        let burst = flood.repeat(1000);
        for _ in 0..20 {
            wire.send(&burst);
        }
        target.must_serve();
    }
    let reply = target.ask("GET /v2/", &[], b"");
    reply.must("row 31", status(&[200]));
}
