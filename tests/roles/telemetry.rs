//! What a region of processes tells of itself: probes, metrics, traces.

use std::net::TcpListener;

use harness::{Client, Collector, Content, Dev, SeenSpan, eventually, seed};
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
            ][..],
        ),
        (
            blob,
            &[
                "meridian_blob_grpc_calls_total{method=\"/meridian.blob.v1.Blob/",
                "meridian_blob_grpc_call_duration_seconds_bucket{le=",
                "meridian_blob_uploads_open ",
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
    let report = text(&admin, "/readyz", 503).await;
    assert!(report.contains("metadata service"), "{report}");
    assert!(waiting.stop().success());
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
