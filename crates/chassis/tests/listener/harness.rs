//! A server on loopback, and a client that writes bytes rather than requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use meridian_chassis::http::{HttpConfig, HttpServer, Listener, Origin, RequestBody};
use meridian_chassis::tls::TlsConfig;
use meridian_chassis::{Supervisor, TaskFailed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Longer than any limit in these tests, shorter than anybody's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The header that a server here puts on its refusals.
pub(crate) const STAMP: &str = "x-stamp";

pub(crate) type TestBody = UnsyncBoxBody<Bytes, Infallible>;

/// What the service of a server saw and was told.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) requests: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    pub(crate) response_dropped: Notify,
    pub(crate) entered: Notify,
    pub(crate) release: Notify,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinSet<Result<(), TaskFailed>>,
}

/// Short limits, so that tests that wait for them are over soon.
pub(crate) fn hasty() -> HttpConfig {
    let mut config = HttpConfig {
        tls_handshake_timeout: Duration::from_millis(300),
        first_byte_timeout: Duration::from_millis(300),
        head_timeout: Duration::from_millis(300),
        rest_after: Duration::from_millis(10),
        keep_alive: Duration::from_millis(600),
        write_stall_timeout: Duration::from_millis(500),
        leave_timeout: Duration::from_millis(300),
        ..HttpConfig::default()
    };
    config.min_body_rate.per = Duration::from_millis(300);
    config
}

impl Server {
    pub(crate) fn start(config: HttpConfig) -> Self {
        Self::start_with(config, None, Vec::new())
    }

    pub(crate) fn start_with(
        config: HttpConfig,
        tls: Option<TlsConfig>,
        more: Vec<Listener>,
    ) -> Self {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.tcp_address().unwrap();
        let seen = Arc::new(Seen::default());
        let service = {
            let seen = Arc::clone(&seen);
            tower::service_fn(move |request| serve(Arc::clone(&seen), request))
        };
        let listeners = [listener].into_iter().chain(more);
        let server = HttpServer::new(listeners, config, tls, service).unwrap();
        let server = server.stamping(|headers| {
            headers.insert(STAMP, HeaderValue::from_static("ours"));
        });
        let supervisor = Supervisor::new();
        supervisor.spawn("http", server.run(supervisor.spawner()));
        let (stop, stopped) = oneshot::channel();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let stop = async move {
                let _ = stopped.await;
            };
            supervisor.run(stop, PATIENCE).await
        });
        Self {
            address,
            seen,
            stop: Some(stop),
            running,
        }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends bytes on a connection of their own and reads until the server closes it.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.read_to_close().await
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    pub(crate) async fn stopped(mut self) -> Result<(), TaskFailed> {
        self.begin_stop();
        let ended = tokio::time::timeout(PATIENCE * 2, self.running.join_next());
        ended.await.unwrap().unwrap().unwrap()
    }
}

pub(crate) struct Client<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Errors are the server's right: it may have closed already.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// Reads until what was read so far contains `text`.
    pub(crate) async fn read_until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while !String::from_utf8_lossy(&self.read).contains(text) {
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.read));
            let read = read.await.unwrap_or_else(|_late| panic!("no {text:?}"));
            let so_far = String::from_utf8_lossy(&self.read);
            assert!(read.unwrap() > 0, "closed before {text:?}: {so_far:?}");
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    pub(crate) async fn read_to_close(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.read)).await;
            match read.expect("still open") {
                Ok(1..) => {}
                Ok(0) | Err(_) => {
                    return String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned();
                }
            }
        }
    }

    /// Reads until `text` was read, which is true, or the server closes, which is false.
    pub(crate) async fn read_to_close_or(&mut self, text: &str) -> bool {
        while !String::from_utf8_lossy(&self.read).contains(text) {
            if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                return false;
            }
        }
        true
    }

    /// Sends `drip` again and again, and returns what came until the server closed, and when.
    pub(crate) async fn drip_until_closed(
        &mut self,
        drip: &[u8],
        every: Duration,
    ) -> (String, Duration) {
        let start = Instant::now();
        let mut ticks = tokio::time::interval(every);
        loop {
            assert!(start.elapsed() < PATIENCE, "still open");
            tokio::select! {
                read = self.stream.read_buf(&mut self.read) => match read {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                },
                _ = ticks.tick() => {
                    let _ = self.stream.write_all(drip).await;
                    let _ = self.stream.flush().await;
                }
            }
        }
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned();
        (text, start.elapsed())
    }
}

async fn serve(
    seen: Arc<Seen>,
    request: Request<RequestBody>,
) -> Result<Response<TestBody>, Infallible> {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    Ok(match request.uri().path() {
        "/sink" => sink(&seen, request.into_body()).await,
        "/early" => reply(StatusCode::UNAUTHORIZED, "who are you"),
        "/origin" => {
            let origin = request.extensions().get::<Origin>().unwrap();
            let names: Vec<_> = request
                .headers()
                .keys()
                .map(http::HeaderName::as_str)
                .collect();
            let authority = origin.authority.as_ref().unwrap();
            reply(
                StatusCode::OK,
                format!(
                    "{:?} {}://{authority} {names:?}",
                    origin.client, origin.scheme
                ),
            )
        }
        "/wait" => {
            seen.entered.notify_one();
            seen.release.notified().await;
            reply(StatusCode::OK, "waited")
        }
        "/flood" => Response::new(Flood { left: 4096, seen }.boxed_unsync()),
        "/more" => Response::new(Flood { left: 1, seen }.boxed_unsync()),
        _ => reply(StatusCode::OK, "hello"),
    })
}

async fn sink(seen: &Seen, mut body: RequestBody) -> Response<TestBody> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                assert!(!frame.is_trailers(), "trailers never come through");
                let read = frame.data_ref().map_or(0, Bytes::len);
                length += read;
                seen.bytes.fetch_add(read, Ordering::SeqCst);
            }
            Err(error) => return reply(StatusCode::IM_A_TEAPOT, error.to_string()),
        }
    }
    reply(StatusCode::OK, format!("{length} bytes"))
}

fn reply(status: StatusCode, text: impl Into<Bytes>) -> Response<TestBody> {
    let mut response = Response::new(Full::new(text.into()).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// 256 MiB in frames of 64 KiB.
struct Flood {
    left: usize,
    seen: Arc<Seen>,
}

impl Flood {
    const FRAME: &'static [u8] = &[b'x'; 65_536];
}

impl Body for Flood {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(Self::FRAME)))))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.seen.response_dropped.notify_one();
    }
}
