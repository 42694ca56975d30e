//! Metrics on their way to a collector, over OTLP.
//!
//! Sends what `/metrics` shows, every so often. Keeps two invariants: one request is under way at a
//! time, and has a deadline, so that a collector that is away costs nothing but what it did not hear;
//! and what was counted last is sent when the process stops. Counters are sums since the start, so a
//! request that is lost loses nothing.

use std::time::Duration;

use meridian_clock::{Clock, SystemClock};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as model;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::metrics::Metrics;

/// The way of metrics to the collector.
#[derive(Debug)]
pub(super) struct Measure {
    client: MetricsServiceClient<Channel>,
    resource: Resource,
    every: Duration,
    timeout: Duration,
    began_nanos: u64,
}

/// Between which times something was counted.
#[derive(Clone, Copy)]
struct Times {
    began: u64,
    now: u64,
}

/// Between two times that metrics are sent, at least.
const SHORTEST: Duration = Duration::from_millis(10);

// === impl Measure ===

impl Measure {
    pub(super) fn new(
        channel: Channel,
        attributes: &[(&str, String)],
        every: Duration,
        timeout: Duration,
    ) -> Self {
        let attributes = attributes.iter().map(|(name, value)| pair(name, value));
        Self {
            client: MetricsServiceClient::new(channel),
            resource: Resource {
                attributes: attributes.collect(),
                ..Resource::default()
            },
            every: every.max(SHORTEST),
            timeout,
            began_nanos: now_nanos(),
        }
    }

    /// Sends `metrics` until `stop` is cancelled, and once more then.
    pub(super) async fn run(mut self, metrics: Metrics, stop: CancellationToken) {
        let mut is_failing = false;
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            let stops = stop.run_until_cancelled(ticks.tick()).await.is_none();
            let outcome = self.send(&metrics).await;
            let was_failing = std::mem::replace(&mut is_failing, outcome.is_err());
            match outcome {
                Err(error) if !was_failing => {
                    tracing::warn!(error, "metrics do not reach the collector");
                }
                Ok(()) if was_failing => tracing::info!("metrics reach the collector again"),
                _ => {}
            }
            if stops {
                return;
            }
        }
    }

    async fn send(&mut self, metrics: &Metrics) -> Result<(), String> {
        let times = Times {
            began: self.began_nanos,
            now: now_nanos(),
        };
        let families = metrics.families();
        let metrics = families.into_iter().map(|family| metric(family, times));
        let scope = ScopeMetrics {
            scope: Some(InstrumentationScope {
                name: "meridian".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            metrics: metrics.collect(),
            ..ScopeMetrics::default()
        };
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![scope],
                ..ResourceMetrics::default()
            }],
        };
        let sent = tokio::time::timeout(self.timeout, self.client.export(request)).await;
        match sent {
            Ok(Ok(_answer)) => Ok(()),
            Ok(Err(status)) => Err(meridian_error::chain(&status)),
            Err(_elapsed) => Err(format!("it does not answer within {:?}", self.timeout)),
        }
    }
}

fn now_nanos() -> u64 {
    SystemClock.now_millis().saturating_mul(1_000_000)
}

fn pair(name: &str, value: &str) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue {
            value: Some(Any::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn pairs(labels: &[model::LabelPair]) -> Vec<KeyValue> {
    let labels = labels.iter();
    labels
        .map(|label| pair(&label.name, &label.value))
        .collect()
}

fn metric(family: model::MetricFamily, times: Times) -> Metric {
    let metrics = family.metric.iter();
    let data = match family.r#type() {
        model::MetricType::Histogram => Data::Histogram(Histogram {
            data_points: metrics.filter_map(|it| histogram(it, times)).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        }),
        model::MetricType::Counter => Data::Sum(Sum {
            data_points: metrics.filter_map(|it| number(it, times)).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        _ => Data::Gauge(Gauge {
            data_points: metrics.filter_map(|it| number(it, times)).collect(),
        }),
    };
    Metric {
        unit: unit(&family.name).to_owned(),
        name: family.name,
        description: family.help,
        data: Some(data),
        ..Metric::default()
    }
}

/// The unit, as UCUM writes it. Our names end with it.
fn unit(name: &str) -> &'static str {
    match name.trim_end_matches("_total").rsplit('_').next() {
        Some("seconds") => "s",
        Some("milliseconds") => "ms",
        Some("bytes") => "By",
        _ => "",
    }
}

fn number(metric: &model::Metric, times: Times) -> Option<NumberDataPoint> {
    let counter = metric.counter.as_ref().map(|counter| counter.value);
    let gauge = metric.gauge.as_ref().map(|gauge| gauge.value);
    let value = counter.or(gauge)?;
    Some(NumberDataPoint {
        attributes: pairs(&metric.label),
        start_time_unix_nano: times.began,
        time_unix_nano: times.now,
        value: Some(Value::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

fn histogram(metric: &model::Metric, times: Times) -> Option<HistogramDataPoint> {
    let histogram = metric.histogram.as_ref()?;
    let buckets = &histogram.bucket;
    let mut below = 0;
    let counts = buckets.iter().map(|bucket| {
        let up_to = bucket.cumulative_count;
        up_to.saturating_sub(std::mem::replace(&mut below, up_to))
    });
    // The last bucket is what is above all bounds.
    let bounds = buckets.iter().take(buckets.len().saturating_sub(1));
    Some(HistogramDataPoint {
        attributes: pairs(&metric.label),
        start_time_unix_nano: times.began,
        time_unix_nano: times.now,
        count: histogram.sample_count,
        sum: Some(histogram.sample_sum),
        bucket_counts: counts.collect(),
        explicit_bounds: bounds.map(|bucket| bucket.upper_bound).collect(),
        ..HistogramDataPoint::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{self, Counter, Grid};

    fn sent(metrics: &Metrics) -> Vec<Metric> {
        let times = Times { began: 1, now: 2 };
        let families = metrics.families().into_iter();
        families.map(|family| metric(family, times)).collect()
    }

    #[test]
    fn every_kind_of_metric_is_what_it_was() {
        let metrics = Metrics::default();
        let calls: Grid = Grid::new(["call", "code"], &["read"], &["ok", "late"]);
        calls.at(0, 1).inc_by(3);
        metrics.register("test_calls", "Calls.", calls.family());
        let times = metrics::Histogram::default();
        times.observe(Duration::from_millis(3));
        times.observe(Duration::from_secs(3600));
        metrics.register("test_duration_seconds", "Times.", times);
        metrics.read("test_depth_bytes", "Depth.", || Some(-7));
        metrics.register("test_nothing", "Nothing.", <Counter>::default());
        let all = sent(&metrics);
        let of = |name: &str| all.iter().find(|metric| metric.name == name).unwrap();
        let Some(Data::Sum(sum)) = &of("meridian_test_calls_total").data else {
            panic!("{all:?}");
        };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(Value::AsDouble(3.0)));
        let labels = [pair("call", "read"), pair("code", "late")];
        assert_eq!(sum.data_points[0].attributes, labels);
        let seconds = of("meridian_test_duration_seconds");
        assert_eq!(seconds.unit, "s");
        let Some(Data::Histogram(histogram)) = &seconds.data else {
            panic!("{all:?}");
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.count, 2);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), 2);
        assert_eq!(point.bucket_counts.last(), Some(&1));
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert!(point.explicit_bounds.is_sorted());
        let Some(Data::Gauge(gauge)) = &of("meridian_test_depth_bytes").data else {
            panic!("{all:?}");
        };
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(-7.0)));
        assert_eq!(of("meridian_test_depth_bytes").unit, "By");
        let Some(Data::Gauge(build)) = &of("meridian_build_info").data else {
            panic!("{all:?}");
        };
        assert_eq!(build.data_points[0].value, Some(Value::AsDouble(1.0)));
    }
}
