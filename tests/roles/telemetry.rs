//! What a region of processes tells of itself: probes, metrics, traces.

use std::net::TcpListener;
use std::time::Duration;

use harness::{Client, Collector, Content, Dev, SeenSpan, eventually, seed};
use meridian_event::{Event, SHARDS, TraceContext};
use meridian_eventlog::{DiskConfig, DiskEventLog, EventLog, ReadLimits};
use meridian_proto::decode_envelope;
use reqwest::Method;

use crate::mutual::{MutualRegion, SERVICES, name};
use crate::region::{Region, SOON};
use crate::registry::{pull, push};

/// The admin port of a process, from its log.
fn admin(process: &Dev) -> Client {
    let line = process.log_line("serving probes");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    Client::new(format!("http://{}", line["address"].as_str().unwrap()))
}

async fn text(client: &Client, path: &str, status: u16) -> String {
    let answer = client.get(path).await.unwrap().expect(status);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_has_probes_and_counts_what_it_does() {
    let region = MutualRegion::start_with(|process| {
        process.env("MERIDIAN_ADMIN__LISTEN", "[\"127.0.0.1:0\"]")
    });
    let admins = SERVICES.map(|role| admin(region.process(role)));
    let image = Content::new(seed(130)).image(&[100, 40_000]);
    push(&region.client(), "team/app", "1", &image).await;
    pull(&region.client(), "team/app", "1", &image).await;
    region
        .client()
        .get("/v2/none/such/manifests/1")
        .await
        .unwrap();
    for admin in &admins {
        assert_eq!(text(admin, "/livez", 200).await, "ok\n");
        assert!(text(admin, "/readyz", 200).await.contains("[+] process"));
        text(admin, "/startupz", 200).await;
        text(admin, "/nothing", 404).await;
        let put = admin.send(Method::PUT, "/livez", &[], bytes::Bytes::new());
        put.await.unwrap().expect(405);
    }
    let [metadata, blob, frontend] = &admins;
    for (admin, words) in [
        (
            metadata,
            &[
                "meridian_build_info{version=",
                "meridian_identity_certificate_not_after_seconds ",
                "meridian_metadata_grpc_connections ",
                "meridian_metadata_grpc_calls_total{method=\"/meridian.metadata.v1.Metadata/PutManifest\",code=\"ok\"} 1",
                "meridian_metadata_log_syncs ",
                "meridian_metadata_raft_term 1",
                "meridian_metadata_raft_is_leader 1",
                "meridian_metadata_raft_last_log_index ",
                "meridian_metadata_raft_applied_lag_entries 0",
                "meridian_metadata_raft_snapshot_index ",
                "meridian_metadata_raft_leader_changes_total ",
                "meridian_metadata_log_bytes ",
                "meridian_metadata_proposals_in_flight 0",
                "meridian_metadata_commit_duration_seconds_bucket{le=",
                "meridian_metadata_log_sync_duration_seconds_bucket{le=",
                "meridian_metadata_outbox_rows ",
                "meridian_metadata_outbox_bytes ",
                "meridian_metadata_outbox_oldest_age_seconds ",
                "meridian_metadata_publish_duration_seconds_count ",
                "meridian_metadata_publish_failures_total 0",
                "meridian_metadata_events_published_total ",
            ][..],
        ),
        (
            blob,
            &[
                "meridian_blob_grpc_calls_total{method=\"/meridian.blob.v1.Blob/",
                "meridian_blob_grpc_call_duration_seconds_bucket{le=",
                "meridian_blob_uploads_open ",
                "meridian_blob_bytes_total{direction=\"in\"} ",
                "meridian_blob_bytes_total{direction=\"out\"} ",
                "meridian_blob_store_operations_total{operation=\"commit\"} ",
                "meridian_blob_collected_bytes_total 0",
            ],
        ),
        (
            frontend,
            &[
                "meridian_frontend_http_requests_total{route=\"manifest\",status=\"201\"} 1",
                "meridian_frontend_http_requests_total{route=\"manifest\",status=\"404\"} 1",
                "meridian_frontend_http_request_duration_seconds_count{route=\"manifest\",class=\"2xx\"}",
                "meridian_frontend_http_connections ",
            ],
        ),
    ] {
        let metrics = text(admin, "/metrics", 200).await;
        for word in words {
            assert!(metrics.contains(word), "`{word}` is not in:\n{metrics}");
        }
        assert!(metrics.ends_with("# EOF\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_the_others_lives_and_is_not_ready() {
    let region = Region::empty();
    let waiting = region
        .builder("blob")
        .env("MERIDIAN_ADMIN__LISTEN", "[\"127.0.0.1:0\"]")
        .launch();
    let line = waiting.log_line("serving probes");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let admin = Client::new(format!("http://{}", line["address"].as_str().unwrap()));
    text(&admin, "/livez", 200).await;
    text(&admin, "/startupz", 503).await;
    // Before it waits for anything, it is merely starting.
    eventually("it says what it waits for", SOON, || async {
        let report = text(&admin, "/readyz", 503).await;
        report.contains("metadata service").then_some(())
    })
    .await;
    assert!(waiting.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_goes_to_a_collector_that_is_who_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (harness::Authority::default(), harness::Authority::default());
    let collector = Collector::start_secure(&authority.issue_for_host("localhost")).await;
    let start = |authority: &harness::Authority| {
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, authority.certificate()).unwrap();
        let data = tempfile::tempdir_in(folder.path()).unwrap().keep();
        harness::DevBuilder::new(data)
            .env("MERIDIAN_TELEMETRY__OTLP_ENDPOINT", collector.endpoint())
            .env(
                "MERIDIAN_TELEMETRY__OTLP_CA_FILE",
                ca_file.to_str().unwrap(),
            )
            .env("MERIDIAN_TELEMETRY__METRICS", "true")
            .env("MERIDIAN_TELEMETRY__METRICS_EVERY", "1h")
            .env("MERIDIAN_TELEMETRY__TIMEOUT", "2s")
            .start()
    };
    let dev = start(&other);
    let image = Content::new(seed(133)).image(&[100]);
    push(&dev.client(), "team/app", "1", &image).await;
    tokio::task::spawn_blocking(|| dev.stop()).await.unwrap();
    assert_eq!(
        collector.metrics(),
        [],
        "it is certified by nobody who is trusted"
    );
    assert_eq!(collector.spans(), []);

    let dev = start(&authority);
    push(&dev.client(), "team/app", "1", &image).await;
    // What was counted last is sent when the process stops.
    let stopped = tokio::task::spawn_blocking(|| dev.stop()).await.unwrap();
    assert!(stopped.success());
    let metrics = collector.metrics();
    for name in [
        "meridian_build_info",
        "meridian_frontend_http_requests_total",
        "meridian_frontend_http_request_duration_seconds",
        "meridian_metadata_raft_term",
        "meridian_metadata_commit_duration_seconds",
        "meridian_blob_bytes_total",
    ] {
        let seen = metrics.iter().filter(|metric| metric.name == name);
        let seen: Vec<_> = seen.collect();
        assert_eq!(seen.len(), 1, "{name}: {metrics:?}");
        assert!(seen[0].points > 0, "{seen:?}");
        assert_eq!(seen[0].service, "frontend+blob+metadata+webhooks");
    }
    assert!(!collector.spans().is_empty());
}

/// The traces of the pushes that the event log of a region tells of, by what they pushed.
async fn told(data_dir: &std::path::Path) -> Vec<(meridian_oci::Digest, Option<String>)> {
    let clock = std::sync::Arc::new(meridian_clock::SystemClock);
    let log = DiskEventLog::open(data_dir.join("events"), DiskConfig::default(), clock).await;
    let log = log.unwrap();
    let topic = "meridian.eu.events.v1".parse().unwrap();
    let limits = ReadLimits {
        records: usize::MAX,
        bytes: usize::MAX,
        wait: Duration::ZERO,
    };
    let mut told = Vec::new();
    for shard in 0..SHARDS {
        for stored in log.read(&topic, shard, 0, limits).await.unwrap() {
            let event = decode_envelope(&stored.record.payload).unwrap().event;
            let digest = match event {
                Event::ManifestPut { manifest, .. } => manifest.digest,
                Event::BlobPut { blob, .. } => blob.digest,
                _ => continue,
            };
            let headers = stored.record.headers.into_iter();
            let mut traces = headers.filter(|(name, _)| &**name == "traceparent");
            let trace = traces.next().map(|(_, value)| {
                let text = std::str::from_utf8(&value).unwrap();
                text.parse::<TraceContext>().unwrap().trace_id()
            });
            assert_eq!(traces.next(), None);
            told.push((digest, trace));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_one_trace_into_the_event_log() {
    for collected in [true, false] {
        let collector = Collector::start().await;
        let region = MutualRegion::start_with(|process| match collected {
            true => process.env("MERIDIAN_TELEMETRY__OTLP_ENDPOINT", collector.endpoint()),
            false => process,
        });
        let image = Content::new(seed(134)).image(&[40_000]);
        push(&region.client(), "team/app", "1", &image).await;
        let data_dir = region.data_dir("metadata");
        let folder = region.stop().await;
        let told = told(&data_dir).await;
        drop(folder);
        let spans = collector.spans();
        for (service, word, what) in [
            ("metadata", "PutManifest", image.digest()),
            ("metadata", "PutBlob", harness::digest(&image.blobs[1])),
        ] {
            let (_, in_log) = told.iter().find(|(digest, _)| *digest == what).unwrap();
            let Some(in_log) = in_log else {
                assert!(!collected, "{word} is part of no trace in the event log");
                continue;
            };
            assert!(collected);
            let of_it: Vec<_> = spans.iter().filter(|span| span.trace == *in_log).collect();
            let has = |service: &str, word: &str| {
                let mut of_it = of_it.iter();
                of_it.any(|span| span.service == service && span.name.contains(word))
            };
            assert!(has(service, word), "{of_it:?}");
            assert!(has("frontend", "request"), "{of_it:?}");
            assert!(word != "PutBlob" || has("blob", ""), "{of_it:?}");
        }
    }
}

/// The spans of the trace that some span of `service` belongs to whose name has `word`.
fn trace(spans: &[SeenSpan], service: &str, word: &str) -> Option<Vec<SeenSpan>> {
    let named = |span: &&SeenSpan| span.service == service && span.name.contains(word);
    let one = spans.iter().find(named)?;
    let of_it = spans.iter().filter(|span| span.trace == one.trace);
    Some(of_it.cloned().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_one_trace_over_all_services() {
    let collector = Collector::start().await;
    let region = MutualRegion::start_with(|process| {
        process.env("MERIDIAN_TELEMETRY__OTLP_ENDPOINT", collector.endpoint())
    });
    let client = region.client();
    let image = Content::new(seed(131)).image(&[100, 40_000]);
    push(&client, "team/app", "1", &image).await;
    // Nobody was told to believe it.
    let named = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("traceparent", named)];
    let path = "/v2/team/app/manifests/1";
    let stranger = client.send(Method::GET, path, &headers, bytes::Bytes::new());
    stranger.await.unwrap().expect(200);

    for (service, word, others) in [
        ("metadata", "PutManifest", &["frontend"][..]),
        ("metadata", "PutBlob", &["blob", "frontend"]),
        ("metadata", "GetManifest", &["frontend"]),
    ] {
        let spans = eventually("the spans are collected", SOON, || async {
            let spans = trace(&collector.spans(), service, word)?;
            let has = |service: &str| spans.iter().any(|span| span.service == service);
            others.iter().all(|service| has(service)).then_some(spans)
        })
        .await;
        for span in &spans {
            assert_eq!(span.has_parent, span.service != "frontend", "{span:?}");
            assert_ne!(span.trace, "0af7651916cd43dd8448eb211c80319c");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_a_trusted_client_is_gone_on_with_to_the_last_span() {
    let collector = Collector::start().await;
    let region = MutualRegion::start_with(|process| {
        process
            .env("MERIDIAN_TELEMETRY__OTLP_ENDPOINT", collector.endpoint())
            .env("MERIDIAN_FRONTEND__TRUST_TRACES", "true")
            .env("MERIDIAN_LOG__ACCESS_LOG", "true")
    });
    let named = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("traceparent", named)];
    let path = "/v2/team/app/tags/list";
    let client = region.client();
    let asked = client.send(Method::GET, path, &headers, bytes::Bytes::new());
    asked.await.unwrap().expect(404);
    let line = tokio::task::block_in_place(|| region.frontend.log_line("request answered"));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        line["span"]["trace.id"], "0af7651916cd43dd8448eb211c80319c",
        "{line}"
    );
    assert_eq!(line["span"]["request.id"], line["request.id"], "{line}");
    // What was not sent yet is sent when the process stops.
    let MutualRegion {
        frontend, metadata, ..
    } = region;
    for process in [frontend, metadata] {
        let stopped = tokio::task::spawn_blocking(|| process.stop());
        assert!(stopped.await.unwrap().success());
    }
    let spans = collector.spans();
    for (service, word) in [("frontend", "request"), ("metadata", "ListTags")] {
        let trace = trace(&spans, service, word).unwrap();
        assert_eq!(trace[0].trace, "0af7651916cd43dd8448eb211c80319c");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nobody_up() {
    let away = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", away.local_addr().unwrap());
    let region = MutualRegion::start_with(|process| {
        process
            .env("MERIDIAN_TELEMETRY__OTLP_ENDPOINT", &endpoint)
            .env("MERIDIAN_TELEMETRY__TIMEOUT", "500ms")
    });
    let image = Content::new(seed(132)).image(&[100]);
    for tag in 0..20 {
        push(&region.client(), "team/app", &tag.to_string(), &image).await;
    }
    tokio::task::block_in_place(|| region.frontend.log_line("do not reach the collector"));
    let frontend = region.frontend;
    let stopped = tokio::task::spawn_blocking(|| frontend.stop());
    assert!(stopped.await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_describe_themselves_to_an_operator_if_they_are_told_to() {
    use reflection::server_reflection_client::ServerReflectionClient;
    use reflection::server_reflection_request::MessageRequest;
    use reflection::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1 as reflection;

    for allowed in [false, true] {
        let region = MutualRegion::start_with(|process| {
            process.env("MERIDIAN_GRPC__REFLECTION", allowed.to_string())
        });
        let leaf = region.authority.issue(&[&name("operator")]);
        let channel = crate::intruder::intrude(&region.blob, Some(&leaf));
        let request = reflection::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel);
        let asked = client.server_reflection_info(futures::stream::iter([request]));
        match asked.await {
            Err(status) => {
                assert!(!allowed);
                assert_eq!(status.code(), tonic::Code::Unimplemented);
            }
            Ok(answer) => {
                assert!(allowed);
                let answer = answer.into_inner().message().await.unwrap().unwrap();
                let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response
                else {
                    panic!("{answer:?}");
                };
                let names: Vec<_> = list.service.iter().map(|it| it.name.as_str()).collect();
                assert!(names.contains(&"meridian.blob.v1.Blob"), "{names:?}");
            }
        }
    }
}
