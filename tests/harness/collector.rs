//! A collector of traces, as far as a test needs one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1 as otlp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use otlp::trace_service_server::{TraceService, TraceServiceServer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Takes spans in, as long as it is held.
pub struct Collector {
    address: SocketAddr,
    spans: Spans,
    _serving: JoinSet<()>,
}

/// A span, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSpan {
    /// The process that made it.
    pub service: String,
    /// What it is of.
    pub name: String,
    /// The trace that it belongs to, in hexadecimal digits.
    pub trace: String,
    /// Whether it has a parent.
    pub has_parent: bool,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<SeenSpan>>>);

// === impl Collector ===

impl Collector {
    /// One on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Spans::default();
        let service = TraceServiceServer::new(spans.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            let incoming = TcpListenerStream::new(listener);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            spans,
            _serving: serving,
        }
    }

    /// Where it is, for `telemetry.otlp_endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came by now.
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.spans.locked().clone()
    }
}

// === impl Spans ===

impl Spans {
    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<SeenSpan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<otlp::ExportTraceServiceRequest>,
    ) -> Result<Response<otlp::ExportTraceServiceResponse>, Status> {
        for process in request.into_inner().resource_spans {
            let resource = process.resource.unwrap_or_default();
            let name = resource.attributes.into_iter().find_map(|attribute| {
                let value = attribute.value?.value?;
                match (attribute.key.as_str(), value) {
                    ("service.name", Value::StringValue(name)) => Some(name),
                    _ => None,
                }
            });
            let service = name.unwrap_or_default();
            let spans = process.scope_spans.into_iter().flat_map(|it| it.spans);
            let seen = spans.map(|span| SeenSpan {
                service: service.clone(),
                name: span.name,
                trace: span
                    .trace_id
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
                has_parent: !span.parent_span_id.is_empty(),
            });
            self.locked().extend(seen);
        }
        Ok(Response::new(otlp::ExportTraceServiceResponse::default()))
    }
}
