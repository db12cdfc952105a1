//! What the server tells a monitoring system, in the text of Prometheus; on a listener of its own, because whoever may
//! read how much an organisation does is not whoever may reach the API.
//! Never names an organisation, a person, or anything else that callers choose: every label is of a closed set.

use crate::app::Figures;
use crate::graphql::{Api, Operation, Watcher};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OperationLabels {
    kind: &'static str,
    field: String,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    path: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TransportLabels {
    transport: &'static str,
}

/// The code of an answer to what never became an operation, for those who count.
#[derive(Clone, Copy)]
pub(super) struct RefusedAs(pub(super) &'static str);

/// What is counted above the application.
#[derive(Debug)]
pub struct Metrics {
    operations: Family<OperationLabels, Counter>,
    durations: Family<KindLabels, Histogram>,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    open: Family<TransportLabels, Gauge>,
    subscriptions: Gauge,
    deliveries: Counter,
    /// How long a query or mutation may take before that is logged; zero: as long as it likes.
    slow: Duration,
}

/// A socket or stream that is open until this is dropped.
pub(super) struct Opened(Gauge);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// From half a millisecond to as long as a request may take.
fn durations() -> Histogram {
    Histogram::new([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Duration::ZERO)
    }
}

impl Metrics {
    /// Counts nothing yet; operations that take longer than `slow` are logged as such, none where it is zero.
    pub fn new(slow: Duration) -> Self {
        Self {
            operations: Family::default(),
            durations: Family::new_with_constructor(durations),
            requests: Family::default(),
            refusals: Family::default(),
            open: Family::default(),
            subscriptions: Gauge::default(),
            deliveries: Counter::default(),
            slow,
        }
    }

    /// Counts a socket or stream until what is answered is dropped.
    pub(super) fn opened(&self, transport: &'static str) -> Opened {
        let gauge = self.open.get_or_create_owned(&TransportLabels { transport });
        gauge.inc();
        Opened(gauge)
    }

    /// Counts what was refused before it became an operation.
    pub(super) fn refused(&self, code: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { code }).inc();
    }

    /// Everything as text, with the figures of the floors below.
    fn text(&self, figures: Figures) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let all = registry.sub_registry_with_prefix("countersign");
        all.register("operations", "Operations that are over, by root field and outcome", self.operations.clone());
        let help = "How long queries and mutations took";
        all.register_with_unit("operation_duration", help, Unit::Seconds, self.durations.clone());
        all.register("http_requests", "Answers by path and status", self.requests.clone());
        all.register("refused", "What was refused before it became an operation", self.refusals.clone());
        all.register("connections_open", "Sockets and streams that are open", self.open.clone());
        all.register("subscriptions_open", "Subscriptions that are open", self.subscriptions.clone());
        all.register("deliveries", "What subscriptions were told", self.deliveries.clone());
        all.register_collector(Box::new(Below(figures)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Watcher for Metrics {
    fn began(&self, operation: &Operation) {
        if operation.kind == "subscription" {
            self.subscriptions.inc();
        }
    }

    fn delivered(&self) {
        self.deliveries.inc();
    }

    fn ended(&self, operation: &Operation, took: Duration) {
        let Operation { request_id, transport, name, kind, field, viewer, address, code, answers, cost } = operation;
        let principal = viewer.as_ref().map(|viewer| format!("{:?}", viewer.principal()));
        let tenant = viewer.as_ref().map(|viewer| viewer.tenant().to_string());
        let (request_id, name, field): (&str, _, &str) = (request_id, name.as_deref(), field);
        let code: &str = code;
        // A field that does not exist is the caller's word: as a label it could be anything.
        let known = if code == "GRAPHQL_VALIDATION_FAILED" { "none" } else { field };
        let labels = OperationLabels { kind, field: known.to_owned(), code: code.to_owned() };
        self.operations.get_or_create(&labels).inc();
        let is_subscription = *kind == "subscription";
        if is_subscription {
            self.subscriptions.dec();
        } else {
            self.durations.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
        }
        let (address, milliseconds) = (address.map(tracing::field::display), took.as_secs_f64() * 1_000.0);
        let is_slow = !is_subscription && !self.slow.is_zero() && took >= self.slow;
        macro_rules! told {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    target: "countersign::operation", request_id, transport, kind, name, field, principal, tenant,
                    address, cost, code, answers, milliseconds, $message
                )
            };
        }
        if is_slow { told!(warn, "a slow operation") } else { told!(info, "an operation") }
    }
}

/// Counts every answer by the route that it came from.
pub(super) async fn counted(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let id = request.headers().get(super::forwarded::REQUEST_ID).cloned();
    let response = next.run(request).await;
    let labels = RequestLabels { path, status: response.status().as_u16() };
    metrics.requests.get_or_create(&labels).inc();
    if let Some(RefusedAs(code)) = response.extensions().get() {
        metrics.refused(code);
        let (request_id, path) = (id.as_ref().and_then(|id| id.to_str().ok()), labels.path.as_str());
        tracing::info!(target: "countersign::operation", request_id, path, code, status = labels.status, "refused");
    }
    response
}

/// Serves the figures of an API to whoever reaches this listener, until it is dropped.
///
/// # Errors
/// The listener's.
pub async fn serve_metrics(listener: TcpListener, api: Api, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let answer = async move || match metrics.text(api.figures()) {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let router = Router::new().route("/metrics", get(answer));
    axum::serve(listener, super::headers::secured(router, false)).await
}

/// Writes one figure.
fn put(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &(impl EncodeMetric + TypedMetric),
    kind: MetricType,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
}

/// The figures of the floors below.
#[derive(Debug)]
struct Below(Figures);

impl Collector for Below {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Figures { store, gate_passed, gate_refused } = self.0;
        let mut counter =
            |name, help, value| put(&mut encoder, name, help, &ConstCounter::new(value), MetricType::Counter);
        counter("commits", "Commits that are durable", store.commits)?;
        counter("journal_groups", "Groups that were appended and synced", store.groups)?;
        counter("journal_failures", "Appends that failed", store.failures)?;
        counter("gate_passed", "How often the gate let content onto an infrastructure", gate_passed)?;
        counter("gate_refused", "How often the gate refused content", gate_refused)?;
        let seconds = ConstCounter::new(store.append_microseconds as f64 / 1e6);
        put(
            &mut encoder,
            "journal_append_seconds",
            "How long appending and syncing groups took",
            &seconds,
            MetricType::Counter,
        )?;
        let mut gauge = |name, help, value: u64| {
            put(&mut encoder, name, help, &ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)), MetricType::Gauge)
        };
        gauge("journal_position", "The number of the newest group", store.journal_group)?;
        gauge("journal_stopped", "1 after a failed sync: restart the server", u64::from(store.is_stopped))?;
        gauge(
            "index_lag_commits",
            "Commits of loaded organisations that the index does not hold yet",
            store.index_lag,
        )?;
        gauge("organisations_loaded", "Organisations whose state is in memory", store.loaded)?;
        gauge("reviews_pending", "Sign-offs of loaded organisations that wait", store.reviews_waiting)?;
        if let Some(at) = store.backed_up_at {
            gauge("backup_timestamp_seconds", "When the last backup was taken, in seconds since 1970", at)?;
        }
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let info = prometheus_client::metrics::info::Info::new(version);
        put(&mut encoder, "build", "What runs", &info, MetricType::Info)
    }
}

/// What the operating system says of this process, under the names that monitoring systems know.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name, help, value: Option<i64>| match value {
            Some(value) => put(&mut encoder, name, help, &ConstGauge::new(value), MetricType::Gauge),
            None => Ok(()),
        };
        let resident = number("/proc/self/status", "VmRSS:", 0).and_then(|kilobytes| kilobytes.checked_mul(1024));
        gauge("process_resident_memory_bytes", "Memory that is used", resident)?;
        let open = std::fs::read_dir("/proc/self/fd").ok().and_then(|entries| i64::try_from(entries.count()).ok());
        gauge("process_open_fds", "Files and sockets that are open", open)?;
        gauge("process_max_fds", "Files and sockets that may be open", number("/proc/self/limits", "Max open files", 0))
    }
}

/// A number in the line of a file that begins so.
fn number(path: &str, begin: &str, which: usize) -> Option<i64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(begin))?;
    line.split_whitespace().nth(which)?.parse().ok()
}
