//! Upload sessions (rows 17 to 19, 53, 55, 56).

use std::sync::Barrier;
use std::thread;

use harness::{Content, digest};

use crate::target::{Target, refusal, status};

#[test]
fn hostile_ranges_move_nothing() {
    let target = Target::start();
    let location = target.open(&target.repository("app"));
    let patch = |range: &str, body: &[u8]| {
        target.ask(
            &format!("PATCH {location}"),
            &[("Content-Range", range)],
            body,
        )
    };
    patch("0-4", b"hello").must("a chunk", status(&[202]));
    for range in [
        "0-",
        "-5",
        "a-b",
        "0-18446744073709551616",
        "bytes 0-9/10",
        "bytes=5-9",
        "5-9,10-14",
    ] {
        let reply = patch(range, b"world");
        reply.must(
            &format!("row 17: {range}"),
            refusal(&[400], "BLOB_UPLOAD_INVALID"),
        );
    }
    for (row, range) in [(17, "5-1"), (18, "6-10"), (18, "4-8"), (18, "0-4")] {
        let reply = patch(range, b"world");
        reply.must(
            &format!("row {row}: {range}"),
            refusal(&[416], "RANGE_INVALID"),
        );
        assert_eq!(reply.header("range"), Some("0-4"), "row {row}: {range}");
        assert_eq!(
            reply.header("location"),
            Some(location.as_str()),
            "row {row}: {range}"
        );
    }
    for (range, body) in [("5-9", &b"more than that"[..]), ("5-9", b"less")] {
        patch(range, body).must("row 19", refusal(&[400], "SIZE_INVALID"));
    }
    let chunked = format!(
        "PATCH {location} HTTP/1.1\r\nHost: localhost\r\nContent-Range: 5-9\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n4\r\nless\r\n0\r\n\r\n"
    );
    target
        .raw(chunked.as_bytes())
        .must("row 19", refusal(&[400], "SIZE_INVALID"));
    let digest = digest(b"hello");
    for (line, body) in [
        (
            format!("PATCH {location}"),
            "11\r\nmuch more than it\r\n0\r\n\r\n",
        ),
        (
            format!("PUT {location}?digest={digest}"),
            "4\r\nless\r\n0\r\n\r\n",
        ),
        (
            format!("PUT {location}?digest={digest}"),
            "11\r\nmuch more than it\r\n0\r\n\r\n",
        ),
    ] {
        let bytes = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nContent-Range: 5-9\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{body}"
        );
        let reply = target.raw(bytes.as_bytes());
        reply.must(&format!("row 19: {line}"), refusal(&[400], "SIZE_INVALID"));
    }
    let reply = target.ask(&format!("GET {location}"), &[], b"");
    assert_eq!((reply.status, reply.header("range")), (204, Some("0-4")));
    let line = format!("PUT {location}?digest={digest}");
    target
        .ask(&line, &[], b"")
        .must("the session is whole", status(&[201]));
}

#[test]
fn a_session_is_its_repositorys_alone_and_ends() {
    let target = Target::start();
    let (name, other) = (target.repository("app"), target.repository("other"));
    let location = target.open(&name);
    let id = location.rsplit('/').next().unwrap();
    let guessed: String = id.chars().rev().collect();
    let unknown = refusal(&[404], "BLOB_UPLOAD_UNKNOWN");
    let content = digest(b"x");
    for path in [
        location.replace(&name, &other),
        location.replace(id, &guessed),
        location.replace(id, "00000000000000000000000000000000"),
        location.replace(id, "short"),
        location.replace(id, "..%2f..%2f..%2fetc"),
        location.replace(id, &"a".repeat(500)),
    ] {
        for line in [
            format!("GET {path}"),
            format!("PATCH {path}"),
            format!("PUT {path}?digest={content}"),
            format!("DELETE {path}"),
        ] {
            let reply = target.ask(&line, &[], b"");
            let unroutable = path.contains("%2f");
            let expected = if unroutable { status(&[404]) } else { unknown };
            reply.must(&format!("row 55: {line}"), expected);
        }
    }
    target
        .ask(&format!("DELETE {location}"), &[], b"")
        .must("cancelled", status(&[204]));
    for line in [
        format!("PATCH {location}"),
        format!("DELETE {location}"),
        format!("PUT {location}?digest={content}"),
    ] {
        target
            .ask(&line, &[], b"x")
            .must(&format!("row 55: {line}"), unknown);
    }
    let location = target.open(&name);
    let line = format!("PUT {location}?digest={content}");
    target
        .ask(&line, &[], b"x")
        .must("finished", status(&[201]));
    let reply = target.ask(&format!("PATCH {location}"), &[], b"y");
    reply.must("row 55: written to after its end", unknown);
}

/// An id is authenticated as a whole: no character of it can be another one.
#[test]
fn a_changed_id_is_nobodys() {
    let target = Target::start();
    let location = target.open(&target.repository("app"));
    let (path, id) = location.rsplit_once('/').unwrap();
    for at in 0..id.len() {
        let mut changed = id.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let reply = target.ask(&format!("GET {path}/{changed}"), &[], b"");
        let unknown = refusal(&[404], "BLOB_UPLOAD_UNKNOWN");
        reply.must(&format!("rows 55 and 56: character {at}"), unknown);
    }
    let mut ids: Vec<String> = (0..100)
        .map(|_| target.open(&target.repository("app")))
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100, "row 55: no id is given twice");
}

#[test]
fn parameters_of_a_location_mean_nothing() {
    let target = Target::start();
    let location = target.open(&target.repository("app"));
    for query in [
        "_state=forged",
        "_state=",
        "offset=1000",
        "location=http://evil.example/",
    ] {
        let reply = target.ask(&format!("GET {location}?{query}"), &[], b"");
        reply.must(&format!("row 56: {query}"), status(&[204]));
        assert_eq!(reply.header("location"), Some(location.as_str()));
    }
}

#[test]
fn of_writers_at_once_one_wins() {
    let target = Target::start();
    let location = target.open(&target.repository("app"));
    let body = Content::new(2).bytes(1 << 20);
    let range = format!("0-{}", body.len() - 1);
    let together = Barrier::new(8);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    let headers = [("Content-Range", range.as_str())];
                    target
                        .ask(&format!("PATCH {location}"), &headers, &body)
                        .status
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let won = statuses.iter().filter(|status| **status == 202).count();
    assert_eq!(won, 1, "row 55: {statuses:?}");
    assert!(
        statuses
            .iter()
            .all(|status| matches!(status, 202 | 409 | 416)),
        "row 55: {statuses:?}"
    );
    let line = format!("PUT {location}?digest={}", digest(&body));
    target
        .ask(&line, &[], b"")
        .must("row 55: nothing is mixed", status(&[201]));
}

/// What cannot be mounted looks the same, whatever the reason.
#[test]
fn a_mount_tells_nothing_about_what_it_did_not_find() {
    let target = Target::start();
    let (name, source) = (target.repository("app"), target.repository("source"));
    let there = target.push_blob(&source, b"there");
    let absent = digest(b"absent");
    let mut shapes = Vec::new();
    for query in [
        format!("mount={absent}&from={source}"),
        format!("mount={there}&from={}", target.repository("nowhere")),
        format!("mount={there}&from=Not%20A%20Name"),
        format!("mount={there}&from=../{source}"),
        format!("mount={absent}"),
    ] {
        let reply = target.ask(&format!("POST /v2/{name}/blobs/uploads/?{query}"), &[], b"");
        reply.must(&format!("row 53: {query}"), status(&[202]));
        let mut names: Vec<String> = reply.headers.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        shapes.push((
            names,
            reply.header("location").unwrap().len(),
            reply.body.len(),
        ));
    }
    shapes.dedup();
    assert_eq!(shapes.len(), 1, "row 53: {shapes:?}");
    let mounted = target.ask(
        &format!("POST /v2/{name}/blobs/uploads/?mount={there}&from={source}"),
        &[],
        b"",
    );
    mounted.must("what is there", status(&[201]));
}
