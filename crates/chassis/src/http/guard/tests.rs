use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    head: 1024,
    target: 256,
    headers: 8,
};

/// Feeds `bytes` cut after each of `cuts`; returns what the HTTP library would see, and the
/// verdict.
fn scan(bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<Violation>, u64) {
    let mut scanner = Scanner::new(LIMITS);
    let (mut seen, mut held) = (Vec::new(), Vec::new());
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        let piece = &bytes[from..to];
        let fed = scanner.feed(piece);
        if fed.cleared > 0 {
            seen.append(&mut held);
            seen.extend_from_slice(&piece[..fed.cleared]);
        }
        if fed.violation.is_some() {
            return (seen, fed.violation, scanner.heads());
        }
        held.extend_from_slice(&piece[fed.cleared..]);
        from = to;
    }
    (seen, None, scanner.heads())
}

fn verdict(text: &str) -> Option<Violation> {
    scan(text.as_bytes(), &[]).1
}

fn head(lines: &str) -> String {
    format!("PUT /v2/a/manifests/x HTTP/1.1\r\nHost: r\r\n{lines}\r\n")
}

fn chunked(body: &str) -> String {
    head("Transfer-Encoding: chunked\r\n") + body
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    use Violation as V;
    let long = "a".repeat(2000);
    for (request, expected) in [
        (head("Content-Length: -5\r\n"), V::ContentLength),
        (head("Content-Length: +5\r\n"), V::ContentLength),
        (head("Content-Length: 0x5\r\n"), V::ContentLength),
        (head("Content-Length: 5, 5\r\n"), V::ContentLength),
        (head("Content-Length: 5 5\r\n"), V::ContentLength),
        (head("Content-Length: \r\n"), V::ContentLength),
        (
            head("Content-Length: 18446744073709551616\r\n"),
            V::ContentLength,
        ),
        (
            head("Content-Length: 9223372036854775808\r\n"),
            V::ContentLength,
        ),
        (
            head("Content-Length: 5\r\nContent-Length: 5\r\n"),
            V::RepeatedLength,
        ),
        (
            head("Content-Length: 5\r\ncontent-length: 6\r\n"),
            V::RepeatedLength,
        ),
        (
            head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
            V::LengthAndCoding,
        ),
        (
            head("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
            V::LengthAndCoding,
        ),
        (
            head("Transfer-Encoding: chunked, identity\r\n"),
            V::TransferCoding,
        ),
        (head("Transfer-Encoding: identity\r\n"), V::TransferCoding),
        (
            head("Transfer-Encoding: gzip, chunked\r\n"),
            V::TransferCoding,
        ),
        (head("Transfer-Encoding: xchunked\r\n"), V::TransferCoding),
        (head("Transfer-Encoding: chunkedx\r\n"), V::TransferCoding),
        (head("Transfer-Encoding: chunk\r\n"), V::TransferCoding),
        (head("Transfer-Encoding:\r\n"), V::TransferCoding),
        (
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            V::TransferCoding,
        ),
        (head("Transfer-Encoding : chunked\r\n"), V::HeaderName),
        (head("Transfer-Encoding\t: chunked\r\n"), V::HeaderName),
        (head(": x\r\n"), V::HeaderName),
        (head("X\r\n"), V::HeaderName),
        (head("X: a\r\n b\r\n"), V::FoldedHeader),
        (head("X: a\0b\r\n"), V::HeaderValue),
        (head("X: a\x7fb\r\n"), V::HeaderValue),
        (head("X: a\rb\r\n"), V::BareCarriageReturn),
        (head("X: a\nY: b\r\n"), V::BareLineFeed),
        (head(&"X: a\r\n".repeat(8)), V::TooManyHeaders),
        (head(&format!("X: {long}\r\n")), V::HeadTooLarge),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), V::TargetTooLong),
        ("GET / HTTP/1.1\nHost: r\n\n".to_owned(), V::BareLineFeed),
        ("GET  / HTTP/1.1\r\n\r\n".to_owned(), V::Target),
        ("GET /\r\n\r\n".to_owned(), V::Target),
        ("GET /\u{e9} HTTP/1.1\r\n\r\n".to_owned(), V::Target),
        ("GET /a#b HTTP/1.1\r\n\r\n".to_owned(), V::Target),
        ("GET ?a HTTP/1.1\r\n\r\n".to_owned(), V::Target),
        ("GET /a\0b HTTP/1.1\r\n\r\n".to_owned(), V::Target),
        ("GET / HTTP/1.1 \r\n\r\n".to_owned(), V::Version),
        ("GET / HTTP/1.2\r\n\r\n".to_owned(), V::Version),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), V::Version),
        ("GET / http/1.1\r\n\r\n".to_owned(), V::Version),
        ("G@T / HTTP/1.1\r\n\r\n".to_owned(), V::Method),
        (" GET / HTTP/1.1\r\n\r\n".to_owned(), V::Method),
        ("\x16\x03\x01\x02".to_owned(), V::Method),
        (format!("{long} / HTTP/1.1\r\n\r\n"), V::Method),
        (
            "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n".to_owned(),
            V::EmptyLines,
        ),
        ("\nGET / HTTP/1.1\r\n".to_owned(), V::BareLineFeed),
        (
            "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            V::CodingInHttp10,
        ),
        (chunked("FFFFFFFFFFFFFFFFF\r\nhello"), V::ChunkSize),
        (chunked("FFFFFFFFFFFFFFFF\r\nhello"), V::ChunkSize),
        (chunked("-5\r\nhello"), V::ChunkSize),
        (chunked("0x5\r\nhello"), V::ChunkSize),
        (chunked("\r\nhello"), V::ChunkSize),
        (
            chunked(&format!("5;{long}\r\nhello\r\n")),
            V::ChunkExtension,
        ),
        (
            chunked(&format!("1;{}\r\na\r\n", "e".repeat(200)).repeat(30)),
            V::ChunkExtension,
        ),
        (chunked("5;a\0b\r\nhello\r\n"), V::ChunkExtension),
        (chunked("5;a\nhello\r\n"), V::BareLineFeed),
        (chunked("5\nhello\n0\n\n"), V::BareLineFeed),
        (chunked("5\r\nhello\n0\r\n\r\n"), V::ChunkEnd),
        (chunked("5\r\nhello0\r\n\r\n"), V::ChunkEnd),
        (chunked("5\r\nhello\r0\r\n"), V::ChunkEnd),
        (chunked("5\rhello\r\n0\r\n\r\n"), V::BareCarriageReturn),
        (chunked("0\r\n\n"), V::BareLineFeed),
        (chunked("0\r\nX: a\n\r\n"), V::BareLineFeed),
        (chunked("0\r\n folded\r\n\r\n"), V::Trailer),
        (
            chunked(&format!("0\r\n{}\r\n\r\n", "X: a\r\n".repeat(3000))),
            V::Trailer,
        ),
    ] {
        let shown: String = request.chars().take(120).collect();
        assert_eq!(verdict(&request), Some(expected), "{shown:?}");
    }
}

#[test]
fn what_is_unusual_but_clear_passes() {
    for request in [
        head("Content-Length:5\r\n") + "hello",
        head("Content-Length: \t 5 \t\r\n") + "hello",
        head("Content-Length: 9223372036854775807\r\n") + "hello",
        head("transfer-ENCODING:\tCHUNKED \r\n") + "0\r\n\r\n",
        head("X:\r\nY: \u{e9}\r\n"),
        head("Content-Length-Of-Sorts: many\r\nTransfer-Encodings: none\r\n"),
        chunked("5;name=value\r\nhello\r\n0\r\n\r\n"),
        chunked("005 \r\nhello\r\n0\r\n\r\n"),
        chunked("A\r\n0123456789\r\n0\r\nAuthorization: Bearer x\r\n\r\n"),
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET /%e9%00\\..{} HTTP/1.0\r\n\r\n".to_owned(),
        "GET http://r/ HTTP/1.1\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        let (seen, violation, heads) = scan(request.as_bytes(), &[]);
        assert_eq!((violation, heads), (None, 1), "{request:?}");
        assert_eq!(seen, request.as_bytes());
    }
}

#[test]
fn a_good_request_before_a_bad_one_is_passed_and_no_byte_of_the_bad_one_is() {
    let good = chunked("5\r\nhello\r\n0\r\n\r\n");
    let bad = head("Content-Length: 1\r\nContent-Length: 1\r\n");
    let (seen, violation, heads) = scan((good.clone() + &bad).as_bytes(), &[]);
    assert_eq!(violation, Some(Violation::RepeatedLength));
    assert_eq!((seen, heads), (good.into_bytes(), 1));
}

#[test]
fn an_incomplete_head_is_not_passed() {
    let mut scanner = Scanner::new(LIMITS);
    assert!(scanner.between_requests() && !scanner.in_head());
    let fed = scanner.feed(b"\r\n");
    assert_eq!((fed.cleared, scanner.between_requests()), (0, true));
    let fed = scanner.feed(b"GET / HTTP/1.1\r\nHost: r\r\n");
    assert_eq!((fed.cleared, scanner.in_head()), (0, true));
    let fed = scanner.feed(b"\r\nGET");
    assert_eq!((fed.cleared, scanner.in_head()), (2, true));
}

#[test]
fn a_head_of_exactly_the_limit_passes() {
    let padding = LIMITS.head - head("X: \r\n").len();
    let fits = head(&format!("X: {}\r\n", "a".repeat(padding)));
    assert_eq!(fits.len(), LIMITS.head);
    assert_eq!(verdict(&fits), None);
    let over = head(&format!("X: {}\r\n", "a".repeat(padding + 1)));
    assert_eq!(verdict(&over), Some(Violation::HeadTooLarge));
}

prop_compose! {
    fn header()(name in "[A-Za-z][A-Za-z0-9-]{0,20}", value in "[ -~\t]{0,30}") -> String {
        format!("X-{name}: {value}\r\n")
    }
}

fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let length = bytes().prop_map(|body| (format!("Content-Length: {}\r\n", body.len()), body));
    let chunks = prop::collection::vec(bytes(), 0..4).prop_map(|chunks| {
        let mut body = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            body.extend_from_slice(format!("{:x};e=1\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\nX-Sum: 1\r\n\r\n");
        ("Transfer-Encoding: Chunked\r\n".to_owned(), body)
    });
    prop_oneof![Just((String::new(), Vec::new())), length, chunks]
}

prop_compose! {
    fn request()(
        method in "[A-Z]{1,10}",
        target in "/[!\"$-;=?-_a-~]{0,60}",
        before in prop::collection::vec(header(), 0..3),
        after in prop::collection::vec(header(), 0..3),
        (framing, body) in body(),
    ) -> Vec<u8> {
        let (before, after) = (before.concat(), after.concat());
        let head = format!("{method} {target} HTTP/1.1\r\n{before}{framing}{after}\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(&body);
        request
    }
}

fn pipeline() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(request(), 1..5)
}

fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn well_formed_pipelined_requests_pass_however_they_are_cut(
        requests in pipeline(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = requests.concat();
        let (seen, violation, heads) = scan(&bytes, &cut(&bytes, &cuts));
        prop_assert_eq!(violation, None);
        prop_assert_eq!(heads, requests.len() as u64);
        prop_assert_eq!(seen, bytes);
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_cuts(
        requests in pipeline(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), damage()), 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut bytes = requests.concat();
        for (place, replacement) in damage {
            let place = place.index(bytes.len());
            bytes.splice(place..=place, replacement);
        }
        let whole = scan(&bytes, &[]);
        let every_byte: Vec<usize> = (1..bytes.len()).collect();
        prop_assert_eq!(&scan(&bytes, &cut(&bytes, &cuts)), &whole);
        prop_assert_eq!(&scan(&bytes, &every_byte), &whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (seen, ..) = scan(&bytes, &[]);
        prop_assert!(bytes.starts_with(&seen));
    }
}

fn damage() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(&b"\r\n \t:;0a\x00/"[..]), 0..3),
        Just(b"\r\nContent-Length: 3\r\n".to_vec()),
        Just(b"\r\nTransfer-Encoding: chunked\r\n".to_vec()),
        Just(vec![b'a'; 1200]),
    ]
}
