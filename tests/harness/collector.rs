//! A collector of traces and metrics, as far as a test needs one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::metrics::v1 as otlp_metrics;
use opentelemetry_proto::tonic::collector::trace::v1 as otlp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp::trace_service_server::{TraceService, TraceServiceServer};
use otlp_metrics::metrics_service_server::{MetricsService, MetricsServiceServer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::authority::Leaf;

/// Takes spans and metrics in, as long as it is held.
pub struct Collector {
    address: SocketAddr,
    scheme: &'static str,
    spans: Spans,
    metrics: Metrics,
    serving: JoinSet<()>,
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

/// A metric, as far as tests look at it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenMetric {
    /// The process that sent it.
    pub service: String,
    /// What it is of.
    pub name: String,
    /// How many series it has.
    pub points: usize,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<SeenSpan>>>);

#[derive(Clone, Default)]
struct Metrics(Arc<Mutex<Vec<SeenMetric>>>);

// === impl Collector ===

impl Collector {
    /// One on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Spans::default();
        let metrics = Metrics::default();
        let traces = TraceServiceServer::new(spans.clone());
        let measures = MetricsServiceServer::new(metrics.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut server = tonic::transport::Server::builder();
            let server = server.add_service(traces).add_service(measures);
            let incoming = TcpListenerStream::new(listener);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            scheme: "http",
            spans,
            metrics,
            serving,
        }
    }

    /// One that is known as `localhost`, by that certificate.
    pub async fn start_secure(leaf: &Leaf) -> Self {
        let mut collector = Self::start().await;
        let certificate = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = std::mem::replace(&mut collector.address, listener.local_addr().unwrap());
        collector.scheme = "https";
        collector.serving.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                passing.spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut plain = TcpStream::connect(behind).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut plain).await
                });
            }
        });
        collector
    }

    /// Where it is, for `telemetry.otlp_endpoint`.
    pub fn endpoint(&self) -> String {
        match self.scheme {
            "https" => format!("https://localhost:{}", self.address.port()),
            scheme => format!("{scheme}://{}", self.address),
        }
    }

    /// What was counted by now, each time that it was sent.
    pub fn metrics(&self) -> Vec<SeenMetric> {
        let metrics = self.metrics.0.lock();
        metrics.unwrap_or_else(PoisonError::into_inner).clone()
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
            let service = service(process.resource);
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

/// The name of the process that has sent something.
fn service(resource: Option<Resource>) -> String {
    let attributes = resource.unwrap_or_default().attributes.into_iter();
    let mut names = attributes.filter_map(|attribute| {
        let value = attribute.value?.value?;
        match (attribute.key.as_str(), value) {
            ("service.name", Value::StringValue(name)) => Some(name),
            _ => None,
        }
    });
    names.next().unwrap_or_default()
}

#[tonic::async_trait]
impl MetricsService for Metrics {
    async fn export(
        &self,
        request: Request<otlp_metrics::ExportMetricsServiceRequest>,
    ) -> Result<Response<otlp_metrics::ExportMetricsServiceResponse>, Status> {
        for process in request.into_inner().resource_metrics {
            let service = service(process.resource);
            let metrics = process.scope_metrics.into_iter().flat_map(|it| it.metrics);
            let seen = metrics.map(|metric| SeenMetric {
                service: service.clone(),
                name: metric.name,
                points: match metric.data {
                    Some(Data::Sum(sum)) => sum.data_points.len(),
                    Some(Data::Gauge(gauge)) => gauge.data_points.len(),
                    Some(Data::Histogram(histogram)) => histogram.data_points.len(),
                    _ => 0,
                },
            });
            let all = self.0.lock();
            all.unwrap_or_else(PoisonError::into_inner).extend(seen);
        }
        Ok(Response::new(
            otlp_metrics::ExportMetricsServiceResponse::default(),
        ))
    }
}
