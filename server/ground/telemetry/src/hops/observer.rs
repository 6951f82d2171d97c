//! The observer: turns spans that close into hops.

use std::{
    fmt,
    sync::{
        Once,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use clock::{Clock as _, SystemClock};
use domain::{
    id::WorkspaceId,
    timestamp::Timestamp,
    wire::hops::{Arrow, Hop, HopOutcome},
};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, Filter, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};
use uuid::Uuid;

use super::{field, watch};

/// A layer that hands the hops of watched workspaces to their sinks. Install it by [`Observer::layer`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Observer;

/// Enables the spans that can be hops, while a workspace is watched; at any other time, none.
#[derive(Debug, Clone, Copy, Default)]
pub struct WatchedSpans;

impl Observer {
    /// The observer with its filter. It sees the spans that it needs whatever other layers log or export.
    pub fn layer<S>() -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        Layer::<S>::with_filter(Self, WatchedSpans)
    }
}

/// Makes hops in this process, for tests that run a server in theirs. A process that has another subscriber
/// already keeps it.
pub fn install_for_tests() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = tracing_subscriber::registry().with(Observer::layer()).try_init();
    });
}

fn can_be_hop(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.fields().field(field::ARROW).is_some()
}

impl<S> Filter<S> for WatchedSpans {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        watch::is_any_watched() && can_be_hop(metadata)
    }

    /// Cached for each callsite. What can be a hop is asked each time, which is one load of an atomic number:
    /// a callsite that is met for the first time in the moment in which a watch begins would stay off.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if can_be_hop(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
}

impl<S> Layer<S> for Observer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut draft = Draft::begin();
        attributes.record(&mut draft);
        span.extensions_mut().insert(draft);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(draft) = span.extensions_mut().get_mut::<Draft>() {
            values.record(draft);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let draft = span.extensions_mut().remove::<Draft>();
        if let Some((workspace, hop)) = draft.and_then(Draft::end) {
            watch::record(workspace, &hop);
        }
    }
}

/// What is known of a hop while its span is open.
#[derive(Debug)]
struct Draft {
    begun: Instant,
    started_at: Timestamp,
    workspace: Option<WorkspaceId>,
    arrow: Option<Arrow>,
    outcome: HopOutcome,
    took_us: Option<u64>,
    event_id: Option<Uuid>,
    event_type: Option<String>,
    stream: Option<String>,
    partition: Option<u32>,
    position: Option<u64>,
    correlation_id: Option<Uuid>,
    lane: Option<String>,
}

impl Draft {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            started_at: next_start(),
            workspace: None,
            arrow: None,
            outcome: HopOutcome::Done,
            took_us: None,
            event_id: None,
            event_type: None,
            stream: None,
            partition: None,
            position: None,
            correlation_id: None,
            lane: None,
        }
    }

    /// The hop, if the span has become one.
    fn end(self) -> Option<(WorkspaceId, Hop)> {
        let open_us = || u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let duration_us = self.took_us.unwrap_or_else(open_us);
        let hop = Hop {
            arrow: self.arrow?,
            event_id: self.event_id,
            event_type: self.event_type,
            stream: self.stream,
            partition: self.partition,
            position: self.position,
            correlation_id: self.correlation_id,
            lane: self.lane,
            started_at: self.started_at,
            duration_us,
            outcome: self.outcome,
        };
        Some((self.workspace?, hop))
    }

    fn note(&mut self, name: &str, text: &str) {
        match name {
            field::ARROW => self.arrow = Arrow::named(text),
            field::WORKSPACE => self.workspace = text.parse().ok(),
            field::OUTCOME => self.outcome = HopOutcome::named(text).unwrap_or_default(),
            field::EVENT_ID => self.event_id = text.parse().ok(),
            field::EVENT_TYPE => self.event_type = Some(text.to_owned()),
            field::STREAM => self.stream = Some(text.to_owned()),
            field::CORRELATION_ID => self.correlation_id = text.parse().ok(),
            field::LANE => self.lane = Some(text.to_owned()),
            _ => {}
        }
    }
}

impl Visit for Draft {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            field::PARTITION => self.partition = u32::try_from(value).ok(),
            field::POSITION => self.position = Some(value),
            field::TOOK => self.took_us = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Only these are displayed; the text of another field would be made for nothing.
        if matches!(
            field.name(),
            field::WORKSPACE | field::EVENT_ID | field::CORRELATION_ID | field::STREAM
        ) {
            self.note(field.name(), &format!("{value:?}"));
        }
    }
}

/// The time of a hop's beginning: now, but later than that of every hop before it. Two hops within a
/// microsecond, or around a correction of the machine's clock, keep their order.
fn next_start() -> Timestamp {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = SystemClock.now().as_micros();
    let mut last = LAST.load(Ordering::Relaxed);
    loop {
        let next = now.max(last + 1);
        match LAST.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Timestamp::from_micros(next),
            Err(newer) => last = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing::{Level, Span};

    use super::*;
    use crate::{
        hop_span,
        hops::{HopEvent, HopSink, HopSpan as _, is_watched, watch},
    };

    #[derive(Debug, Default)]
    struct Hops(Mutex<Vec<Hop>>);

    impl Hops {
        fn take(&self) -> Vec<Hop> {
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl HopSink for Hops {
        fn record(&self, hop: Hop) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hop);
        }
    }

    fn workspace(number: u128) -> WorkspaceId {
        install_for_tests();
        WorkspaceId(Uuid::from_u128(number))
    }

    fn span() -> Span {
        hop_span!(Level::DEBUG, "Event Store", other = 3, another = %"text")
    }

    #[test]
    fn a_span_of_a_watched_workspace_becomes_a_hop_when_it_closes() {
        let watched = workspace(1);
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        let id = Uuid::from_u128(9);
        let span = span();
        span.event(&HopEvent {
            event_id: Some(id),
            event_type: Some("OrderCreated"),
            stream: Some("order-1"),
            correlation_id: Some(id),
            ..HopEvent::default()
        });
        // What is known late is recorded late.
        span.event(&HopEvent {
            partition: Some(3),
            position: Some(128),
            ..HopEvent::default()
        });
        span.hop(watched, Arrow::AppendEvents)
            .lane("orders")
            .outcome(HopOutcome::Retried);
        assert_eq!(hops.take(), []);
        drop(span);
        let [hop]: [Hop; 1] = hops.take().try_into().unwrap();
        assert_eq!(
            hop,
            Hop {
                arrow: Arrow::AppendEvents,
                event_id: Some(id),
                event_type: Some("OrderCreated".to_owned()),
                stream: Some("order-1".to_owned()),
                partition: Some(3),
                position: Some(128),
                correlation_id: Some(id),
                lane: Some("orders".to_owned()),
                started_at: hop.started_at,
                duration_us: hop.duration_us,
                outcome: HopOutcome::Retried,
            }
        );
    }

    #[test]
    fn a_hop_of_which_little_is_known_is_done_and_has_no_event() {
        let watched = workspace(2);
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        span().hop(watched, Arrow::CacheLookup);
        let [hop]: [Hop; 1] = hops.take().try_into().unwrap();
        assert_eq!((hop.event_id, hop.lane, hop.position), (None, None, None));
        assert_eq!(hop.outcome, HopOutcome::Done);
    }

    #[test]
    fn a_crossing_can_have_taken_longer_than_its_span() {
        let watched = workspace(7);
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        span()
            .hop(watched, Arrow::HistoricalEvents)
            .took(std::time::Duration::from_mins(1));
        let [hop]: [Hop; 1] = hops.take().try_into().unwrap();
        assert_eq!(hop.duration_us, 60_000_000);
    }

    #[test]
    fn a_span_without_an_arrow_and_a_span_of_another_workspace_are_no_hops() {
        let (watched, other) = (workspace(3), workspace(4));
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        assert!(is_watched(watched) && !is_watched(other));
        drop(span());
        span().hop(other, Arrow::CacheLookup);
        tracing::info_span!("Cache", hop.workspace = %watched).in_scope(|| {});
        assert_eq!(hops.take(), []);
    }

    #[test]
    fn every_watch_of_a_workspace_gets_each_hop_until_it_ends() {
        let watched = workspace(5);
        let (first, second) = (Arc::<Hops>::default(), Arc::<Hops>::default());
        let (one, two) = (watch(watched, first.clone()), watch(watched, second.clone()));
        span().hop(watched, Arrow::CacheSet);
        assert_eq!((first.take().len(), second.take().len()), (1, 1));
        drop(one);
        span().hop(watched, Arrow::CacheSet);
        assert_eq!((first.take().len(), second.take().len()), (0, 1));
        drop(two);
        assert!(!is_watched(watched));
        span().hop(watched, Arrow::CacheSet);
        assert_eq!((first.take().len(), second.take().len()), (0, 0));
    }

    #[test]
    fn hops_have_the_order_in_which_they_began_and_an_enclosing_one_ends_last() {
        let watched = workspace(6);
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        let outer = span();
        outer.hop(watched, Arrow::RestJsonCommand);
        for _ in 0..100 {
            outer.in_scope(|| {
                span().hop(watched, Arrow::ValidateCommand);
            });
        }
        drop(outer);
        let mut hops = hops.take();
        assert_eq!(hops.len(), 101);
        assert_eq!(hops.pop().map(|hop| hop.arrow), Some(Arrow::RestJsonCommand));
        assert!(hops.iter().all(|hop| hop.arrow == Arrow::ValidateCommand));
        assert!(hops.is_sorted_by(|one, other| one.started_at < other.started_at));
    }
}
