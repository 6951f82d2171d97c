//! Traces: each span is named like the box of the diagram that it stands for, and is exported over OTLP where an endpoint
//! is set.
//!
//! A command's trace goes on where its events go: an event carries the `traceparent` of the span that appended it, and
//! a box that handles the event later, on any server, begins a span below that. Without an endpoint the spans are those
//! of the log alone, and nothing here costs anything.

use std::sync::Arc;

use opentelemetry::{
    propagation::{Extractor, TextMapPropagator as _},
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider, Tracer},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

/// The header, and the field of an event's metadata.
pub const TRACEPARENT: &str = "traceparent";

/// Exports spans until it is [closed](Self::close).
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported to {endpoint}: {source}")]
pub struct ExportError {
    endpoint: String,
    source: opentelemetry_otlp::ExporterBuildError,
}

impl Exporter {
    /// An exporter to a collector, of so many of a hundred traces.
    pub fn new(endpoint: &Url, sample_percent: u8) -> Result<Self, ExportError> {
        let endpoint = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(&endpoint)
            .build()
            .map_err(|source| ExportError { endpoint, source })?;
        let ratio = f64::from(sample_percent) / 100.0;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            // a caller that has decided already says so
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(Resource::builder().with_service_name("foldline").build())
            .build();
        Ok(Self { provider })
    }

    /// What `tracing` gives its spans to.
    pub fn tracer(&self) -> Tracer {
        self.provider.tracer("foldline")
    }

    /// Sends what has not been sent. Waits for the endpoint, so not to be called on a thread of the runtime.
    pub fn close(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// A `traceparent` as a carrier of context.
struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// Makes the span go on from where `traceparent` comes from. A span that is not exported stays as it is.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent
        && !span.is_disabled()
    {
        let parent = TraceContextPropagator::new().extract(&Carrier(traceparent));
        // it fails where no span is exported, which is no failure
        let _ = span.set_parent(parent);
    }
}

/// What belongs to the trace that caused it.
pub trait Traced {
    /// The `traceparent` of the span that it comes from; none where no trace caused it.
    fn traceparent(&self) -> Option<&str>;
}

/// A span for each event that has a trace, as a part of it; they last as long as what is done about them together.
pub fn spans_of<E: Traced>(events: &[Arc<E>], span: impl Fn(&E) -> Span) -> Vec<Span> {
    let mut spans = Vec::new();
    for event in events {
        let Some(traceparent) = event.traceparent() else {
            continue;
        };
        let span = span(event);
        if span.is_disabled() {
            break;
        }
        continue_from(&span, Some(traceparent));
        spans.push(span);
    }
    spans
}

/// The `traceparent` of the span we are in; none where spans are not exported.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        )
    })
}
