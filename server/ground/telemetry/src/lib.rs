//! Traces, the [hops] that are made of their spans, and the [security log](security).
//!
//! Each span is named after its box of the diagram, and is exported over OTLP if an endpoint is set.
//!
//! A command's trace continues with its events: an event carries the `traceparent` of the span that appended
//! it, and a box that handles the event later, on any server, begins a span below that. Without an endpoint,
//! spans appear only in the log.

pub mod hops;
pub mod security;

use std::{collections::HashMap, sync::Arc};

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::TracerProvider as _,
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

/// The name of the HTTP header and of the field in an event's metadata.
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
    /// An exporter to a collector, of `sample_percent` percent of the traces.
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
            // a caller's own sampling decision has priority
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(Resource::builder().with_service_name("foldline").build())
            .build();
        Ok(Self { provider })
    }

    /// The tracer that receives the spans of `tracing`.
    pub fn tracer(&self) -> Tracer {
        self.provider.tracer("foldline")
    }

    /// Sends the remaining spans. It blocks on the endpoint, so it must not be called on a thread of the
    /// runtime.
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

/// Makes the span a child of the span of `traceparent`. A span that is not exported stays unchanged.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent
        && !span.is_disabled()
    {
        let parent = TraceContextPropagator::new().extract(&Carrier(traceparent));
        // it fails if no span is exported, which is not an error
        let _ = span.set_parent(parent);
    }
}

/// A value that belongs to a trace.
pub trait Traced {
    /// The `traceparent` of the span that caused it; `None`: no trace did.
    fn traceparent(&self) -> Option<&str>;
}

/// A span for each event that has a trace, as a part of that trace, and of a watched workspace for every
/// event, each with its event. They last as long as the events are handled together.
pub fn spans_of<E: Traced>(
    events: &[Arc<E>],
    is_watched: bool,
    span: impl Fn(&E) -> Span,
) -> Vec<(&E, Span)> {
    let mut spans = Vec::new();
    for event in events {
        let traceparent = event.traceparent();
        if traceparent.is_none() && !is_watched {
            continue;
        }
        let span = span(event);
        if span.is_disabled() {
            break;
        }
        continue_from(&span, traceparent);
        spans.push((&**event, span));
    }
    spans
}

/// The `traceparent` of the current span; `None`: spans are not exported.
pub fn current_traceparent() -> Option<String> {
    traceparent_of(&Span::current().context())
}

/// A caller's `traceparent` as events carry it. An invalid one is ignored, as W3C Trace Context demands: a
/// trace must not fail a request.
pub fn accepted_traceparent(text: &str) -> Option<String> {
    traceparent_of(&TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(text)))
}

fn traceparent_of(context: &Context) -> Option<String> {
    let mut headers = HashMap::<String, String>::new();
    TraceContextPropagator::new().inject_context(context, &mut headers);
    headers.remove(TRACEPARENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_is_accepted() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(accepted_traceparent(valid).as_deref(), Some(valid));
        for text in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(accepted_traceparent(text), None, "{text}");
        }
    }
}
