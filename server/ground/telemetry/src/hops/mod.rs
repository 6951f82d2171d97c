//! Hops: what the live map of the lab shows, made of the same spans that are exported.
//!
//! A box declares a span that may become a hop with [`hop_span!`](crate::hop_span), and fills its fields by
//! [`HopSpan`]. When the span closes, the [`Observer`] turns it into a
//! [`Hop`](domain::wire::hops::Hop) if it was given an arrow, and hands it to what [`watch()`]es its
//! workspace.
//!
//! Without a watch, spans are as before: the observer is interested in none of them, and a box that would
//! make a span for each event of a batch asks [`is_watched`] once for the batch.

mod observer;
mod watch;

use std::time::Duration;

use domain::{
    id::WorkspaceId,
    wire::hops::{Arrow, HopOutcome},
};
use tracing::{Span, field::display};
use uuid::Uuid;

pub use observer::{Observer, WatchedSpans, install_for_tests};
pub use watch::{HopSink, Watch, is_watched, watch};

/// The names of the fields that make a hop.
mod field {
    pub(super) const ARROW: &str = "hop.arrow";
    pub(super) const WORKSPACE: &str = "hop.workspace";
    pub(super) const OUTCOME: &str = "hop.outcome";
    pub(super) const TOOK: &str = "hop.took_us";
    pub(super) const EVENT_ID: &str = "event.id";
    pub(super) const EVENT_TYPE: &str = "event.type";
    pub(super) const STREAM: &str = "event.stream";
    pub(super) const PARTITION: &str = "event.partition";
    pub(super) const POSITION: &str = "event.position";
    pub(super) const CORRELATION_ID: &str = "correlation.id";
    pub(super) const LANE: &str = "lane";
}

/// A span of a box that may become a hop: `hop_span!(Level::DEBUG, "Cache")`, with fields of its own after
/// the name, and with `parent: …,` before the level where it has another parent than the current span. The
/// fields of a hop are empty until they are [recorded](HopSpan).
#[macro_export]
macro_rules! hop_span {
    (parent: $parent:expr, $level:expr, $name:expr $(, $($fields:tt)+)?) => {
        ::tracing::span!(
            parent: $parent,
            $level,
            $name,
            hop.arrow = ::tracing::field::Empty,
            hop.workspace = ::tracing::field::Empty,
            hop.outcome = ::tracing::field::Empty,
            hop.took_us = ::tracing::field::Empty,
            event.id = ::tracing::field::Empty,
            event.r#type = ::tracing::field::Empty,
            event.stream = ::tracing::field::Empty,
            event.partition = ::tracing::field::Empty,
            event.position = ::tracing::field::Empty,
            correlation.id = ::tracing::field::Empty,
            lane = ::tracing::field::Empty
            $(, $($fields)+)?
        )
    };
    ($level:expr, $name:expr $(, $($fields:tt)+)?) => {
        ::tracing::span!(
            $level,
            $name,
            hop.arrow = ::tracing::field::Empty,
            hop.workspace = ::tracing::field::Empty,
            hop.outcome = ::tracing::field::Empty,
            hop.took_us = ::tracing::field::Empty,
            event.id = ::tracing::field::Empty,
            event.r#type = ::tracing::field::Empty,
            event.stream = ::tracing::field::Empty,
            event.partition = ::tracing::field::Empty,
            event.position = ::tracing::field::Empty,
            correlation.id = ::tracing::field::Empty,
            lane = ::tracing::field::Empty
            $(, $($fields)+)?
        )
    };
}

/// What a hop says of the event that crosses its arrow. What is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HopEvent<'a> {
    /// Its id.
    pub event_id: Option<Uuid>,
    /// Its type.
    pub event_type: Option<&'a str>,
    /// Its stream.
    pub stream: Option<&'a str>,
    /// Its partition.
    pub partition: Option<u32>,
    /// Its position in the partition.
    pub position: Option<u64>,
    /// Its correlation id.
    pub correlation_id: Option<Uuid>,
}

/// Fills the fields of a span of [`hop_span!`](crate::hop_span). A span of another kind, or one that nothing
/// is interested in, ignores it.
pub trait HopSpan {
    /// Makes the span a hop over an arrow, when it closes, if the workspace is watched. Without this, or
    /// before it, the span is none; its beginning is the beginning of the hop all the same.
    fn hop(&self, workspace: WorkspaceId, arrow: Arrow) -> &Self;

    /// Notes the event that crosses the arrow; later values replace earlier ones.
    fn event(&self, event: &HopEvent<'_>) -> &Self;

    /// Notes the view, consumer or policy that handles the event, or the view of a query.
    fn lane(&self, name: &str) -> &Self;

    /// Notes how the crossing ends: [`HopOutcome::Done`] where nothing is noted.
    fn outcome(&self, outcome: HopOutcome) -> &Self;

    /// Notes how long the crossing took, where the span covers less of it: events that are read together are
    /// known only when all of them are there.
    fn took(&self, duration: Duration) -> &Self;
}

impl HopSpan for Span {
    fn hop(&self, workspace: WorkspaceId, arrow: Arrow) -> &Self {
        if !self.is_disabled() && is_watched(workspace) {
            self.record(field::WORKSPACE, display(workspace));
            self.record(field::ARROW, arrow.as_str());
        }
        self
    }

    fn event(&self, event: &HopEvent<'_>) -> &Self {
        if self.is_disabled() {
            return self;
        }
        if let Some(id) = event.event_id {
            self.record(field::EVENT_ID, display(id));
        }
        if let Some(event_type) = event.event_type {
            self.record(field::EVENT_TYPE, event_type);
        }
        if let Some(stream) = event.stream {
            self.record(field::STREAM, stream);
        }
        if let Some(partition) = event.partition {
            self.record(field::PARTITION, partition);
        }
        if let Some(position) = event.position {
            self.record(field::POSITION, position);
        }
        if let Some(correlation_id) = event.correlation_id {
            self.record(field::CORRELATION_ID, display(correlation_id));
        }
        self
    }

    fn lane(&self, name: &str) -> &Self {
        self.record(field::LANE, name);
        self
    }

    fn outcome(&self, outcome: HopOutcome) -> &Self {
        self.record(field::OUTCOME, outcome.as_str());
        self
    }

    fn took(&self, duration: Duration) -> &Self {
        self.record(
            field::TOOK,
            u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        );
        self
    }
}
