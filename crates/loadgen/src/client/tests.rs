//! The client against a server that speaks raw HTTP over a socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// Accepts one connection per script, reads a request for each of its answers, then closes.
async fn server(scripts: Vec<Vec<&'static str>>) -> (SocketAddr, JoinSet<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut seen = Vec::new();
        for script in scripts {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in script {
                let mut request = vec![0; 64 << 10];
                let length = stream.read(&mut request).await.unwrap();
                request.truncate(length);
                seen.push(String::from_utf8(request).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        seen
    });
    (address, task)
}

fn get() -> Request<Payload> {
    Request::get("/v2/")
        .header("host", "x")
        .body(Payload::Empty)
        .unwrap()
}

#[tokio::test]
async fn two_calls_share_a_connection() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (address, mut task) = server(vec![vec![ok, ok]]).await;
    let mut connection = Connection::open(address).await.unwrap();
    for _ in 0..2 {
        let answer = connection.call(get()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(connection.read(answer.into_body(), 10).await.unwrap(), "{}");
    }
    assert_eq!(task.join_next().await.unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_opened_again() {
    let close = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (address, mut task) = server(vec![vec![close], vec![close]]).await;
    let mut connection = Connection::open(address).await.unwrap();
    for _ in 0..2 {
        let answer = connection.call(get()).await.unwrap();
        assert_eq!(connection.discard(answer.into_body()).await.unwrap(), 0);
    }
    assert_eq!(task.join_next().await.unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let (address, _task) =
        server(vec![vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"]]).await;
    let mut connection = Connection::open(address).await.unwrap();
    let answer = connection.call(get()).await.unwrap();
    assert!(connection.discard(answer.into_body()).await.is_err());
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused() {
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789";
    let (address, _task) = server(vec![vec![long]]).await;
    let mut connection = Connection::open(address).await.unwrap();
    let answer = connection.call(get()).await.unwrap();
    let read = connection.read(answer.into_body(), 8).await;
    assert!(matches!(read, Err(CallError::TooLong { limit: 8 })));
}
