//! The figures at the boxes: from the hops of the last minute, the status of the projections, and the head of
//! the log.
//!
//! The status of a projection is asked for from time to time; the hops of its lane tell what it has done
//! since. Where the servers only count the hops of an arrow, these tell nothing of the lane, and the status
//! alone holds.

use domain::{
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{Arrow, Hop, HopOutcome, ProjectionStatus},
};

use super::hop_log::{HopLog, end_of, later};
use crate::sorted::SortedMap;

/// The number of samples of a trend: one for each second of the last minute.
pub const SAMPLES: usize = 60;

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;

/// What one box shows. Figures that a box does not have, or that are not known, are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BoxFigures {
    /// Events that wait to be handled.
    pub queue: Option<u64>,
    /// Where it is.
    pub position: Option<ConsistencyToken>,
    /// The newest event of the log.
    pub head: Option<ConsistencyToken>,
    /// How many events it is behind.
    pub lag_events: Option<u64>,
    /// How long the oldest of these has waited; without any, how long the newest event took from the log.
    pub lag_ms: Option<u64>,
    /// `lag_events` in each second of the last minute, oldest first.
    pub trend: Vec<u64>,
    /// Look-ups that the cache could answer, in percent of the last minute's.
    pub hit_rate: Option<u64>,
    /// The views and consumers that receive events.
    pub subscribers: Option<u64>,
    /// Hops at this box in the last second.
    pub per_second: u64,
    /// Hops of the last minute that were refused or parked.
    pub failed: u64,
}

/// What one view shows between the log and its documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewFigures {
    /// The view.
    pub view: String,
    /// Where it is.
    pub as_of: ConsistencyToken,
    /// How many events it is behind.
    pub lag_events: u64,
    /// How long the oldest of these has waited; without any, how long the newest event took from the log.
    /// `None` if its append was not seen.
    pub lag_ms: Option<u64>,
    /// `lag_events` in each second of the last minute, oldest first.
    pub trend: Vec<u64>,
    /// Whether it is paused.
    pub paused: bool,
    /// The number of events that it could not apply.
    pub dead_letters: u64,
}

/// The hops of one arrow.
#[derive(Debug, Clone, Default)]
struct ArrowFigures {
    in_minute: u64,
    per_second: u64,
    failed: u64,
    /// Whether some of its hops were counted only.
    is_merged: bool,
    /// The lane of the newest hop.
    lane: Option<String>,
}

/// A view or a consumer, as its hops show it.
#[derive(Debug, Clone, Default)]
struct LaneFigures {
    reached: ConsistencyToken,
    /// How long its newest event took from the log, in milliseconds.
    took_ms: Option<u64>,
}

/// The times of appends, by partition and position.
type Appends = SortedMap<(u32, u64), Timestamp>;

/// The figures of a session.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    head: ConsistencyToken,
    arrows: SortedMap<Arrow, ArrowFigures>,
    lanes: SortedMap<String, LaneFigures>,
    views: Vec<ViewFigures>,
    /// The lag of the slowest view, and those of consumers.
    trend: Vec<u64>,
    consumer_trends: SortedMap<Arrow, Vec<u64>>,
}

impl Figures {
    /// Takes a sample, about once a second. `now` is the servers' time, `projections` the newest statuses,
    /// and `head` the newest event that is known.
    pub fn sample(
        &mut self,
        now: Timestamp,
        log: &HopLog,
        projections: &[ProjectionStatus],
        head: &ConsistencyToken,
    ) {
        for (partition, position) in head.iter() {
            self.head.advance(partition, position);
        }
        let mut appends = Appends::default();
        for hop in log.hops().filter(|hop| is_done(hop, Arrow::AppendEvents)) {
            if let Some((partition, position)) = place_of(hop) {
                self.head.advance(partition, position);
                appends.insert((partition, position), end_of(hop));
            }
        }
        self.count(now, log, &appends);
        let views = projections.iter().map(|status| self.view(now, status, &appends));
        self.views = views.collect();
        let slowest = self.slowest().map_or(0, |view| view.lag_events);
        push_sample(&mut self.trend, slowest);
        for arrow in CONSUMERS {
            if let Some(lag) = self.lag_of_consumer(arrow) {
                push_sample(self.consumer_trends.or_default(arrow), lag);
            }
        }
    }

    /// Counts the hops of the last minute.
    fn count(&mut self, now: Timestamp, log: &HopLog, appends: &Appends) {
        let (minute, second) = (later(now, -MINUTE_US), later(now, -SECOND_US));
        self.arrows.clear();
        for hop in log.since(minute) {
            let arrow = self.arrows.or_default(hop.arrow);
            arrow.in_minute += 1;
            arrow.per_second += u64::from(hop.started_at >= second);
            arrow.failed += u64::from(matches!(hop.outcome, HopOutcome::Refused | HopOutcome::Parked));
            arrow.lane.clone_from(&hop.lane);
            if let (Some(lane), Some((partition, position))) = (&hop.lane, place_of(hop))
                && is_of_lane(hop.arrow)
                && matches!(hop.outcome, HopOutcome::Done | HopOutcome::Duplicate)
            {
                let lane = self.lanes.or_default(lane.clone());
                lane.reached.advance(partition, position);
                if let Some(appended) = appends.get(&(partition, position)) {
                    lane.took_ms = Some(end_of(hop).millis_since(*appended));
                }
            }
        }
        for count in log.merged_since(minute) {
            let arrow = self.arrows.or_default(count.arrow);
            arrow.in_minute = arrow.in_minute.saturating_add(count.count);
            if count.from >= second {
                arrow.per_second = arrow.per_second.saturating_add(count.count);
            }
            arrow.is_merged = true;
        }
    }

    fn view(&self, now: Timestamp, status: &ProjectionStatus, appends: &Appends) -> ViewFigures {
        let lane = self.lanes.get(&status.view);
        let mut as_of = status.as_of.clone();
        let mut lag_events = status.behind;
        if !self.is_merged(Arrow::EventSubscription) {
            let reached = lane.map(|lane| lane.reached.iter()).into_iter().flatten();
            for (partition, position) in reached {
                as_of.advance(partition, position);
            }
            lag_events = as_of.behind(&self.head);
        }
        let lag_ms = if lag_events == 0 {
            lane.and_then(|lane| lane.took_ms)
        } else {
            // The first event of each partition that the view has not folded.
            let waiting = self.head.iter().filter_map(|(partition, _)| {
                let next = as_of.position(partition).saturating_add(1);
                appends.get(&(partition, next))
            });
            waiting.min().map(|oldest| now.millis_since(*oldest))
        };
        let before = self.views.iter().find(|view| view.view == status.view);
        let mut trend = before.map(|view| view.trend.clone()).unwrap_or_default();
        push_sample(&mut trend, lag_events);
        ViewFigures {
            view: status.view.clone(),
            as_of,
            lag_events,
            lag_ms,
            trend,
            paused: status.paused,
            dead_letters: status.dead_letters,
        }
    }

    /// The figures of a box, by the id that it has in the drawing's layouts (`event_store`,
    /// `search_indexer`).
    pub fn of_box(&self, box_id: &str) -> BoxFigures {
        let mut figures = BoxFigures::default();
        for arrow in arrows_of(box_id)
            .iter()
            .filter_map(|arrow| self.arrows.get(arrow))
        {
            figures.per_second = figures.per_second.saturating_add(arrow.per_second);
            figures.failed += arrow.failed;
        }
        match box_id {
            "event_store" => {
                figures.position = Some(self.head.clone());
                figures.head = Some(self.head.clone());
            }
            "message_broker" | "event_bus" => {
                figures.queue = self.slowest().map(|view| view.lag_events);
                figures.subscribers = Some(self.subscribers()).filter(|count| *count > 0);
            }
            "projection_worker" | "read_model_database" | "read_model" | "read_db" => {
                if let Some(view) = self.slowest() {
                    self.add_view(&mut figures, view);
                    figures.trend.clone_from(&self.trend);
                }
            }
            "inventory_consumer" | "inventory_db" => {
                if let Some(view) = self.views.iter().find(|view| view.view == "inventory") {
                    self.add_view(&mut figures, view);
                }
            }
            "notification_consumer" | "email_push" => {
                self.add_consumer(&mut figures, Arrow::NotificationConsumer);
            }
            "analytics_consumer" | "data_warehouse" => {
                self.add_consumer(&mut figures, Arrow::AnalyticsConsumer);
            }
            "search_indexer" | "search" => self.add_consumer(&mut figures, Arrow::SearchIndexer),
            "cache" => figures.hit_rate = self.hit_rate(),
            _ => {}
        }
        figures
    }

    fn add_view(&self, figures: &mut BoxFigures, view: &ViewFigures) {
        figures.position = Some(view.as_of.clone());
        figures.head = Some(self.head.clone());
        figures.lag_events = Some(view.lag_events);
        figures.lag_ms = view.lag_ms;
        figures.trend.clone_from(&view.trend);
    }

    /// A consumer has no status: what is known of it is what its hops have told.
    fn add_consumer(&self, figures: &mut BoxFigures, delivery: Arrow) {
        let Some(lane) = self.lane_of(delivery) else {
            return;
        };
        figures.position = Some(lane.reached.clone());
        figures.head = Some(self.head.clone());
        figures.lag_events = self.lag_of_consumer(delivery);
        figures.lag_ms = lane.took_ms;
        figures.trend = self.consumer_trends.get(&delivery).cloned().unwrap_or_default();
    }

    fn lane_of(&self, delivery: Arrow) -> Option<&LaneFigures> {
        self.lanes.get(self.arrows.get(&delivery)?.lane.as_ref()?)
    }

    /// How far a consumer is behind on the partitions of which it was seen to handle events.
    fn lag_of_consumer(&self, delivery: Arrow) -> Option<u64> {
        if self.is_merged(delivery) {
            return None;
        }
        let reached = self.lane_of(delivery)?.reached.iter();
        let lags =
            reached.map(|(partition, position)| self.head.position(partition).saturating_sub(position));
        Some(lags.fold(0, u64::saturating_add))
    }

    fn is_merged(&self, arrow: Arrow) -> bool {
        self.arrows.get(&arrow).is_some_and(|arrow| arrow.is_merged)
    }

    /// A look-up that finds nothing is followed by a set.
    fn hit_rate(&self) -> Option<u64> {
        let in_minute = |arrow| self.arrows.get(&arrow).map_or(0, |arrow| arrow.in_minute);
        let lookups = in_minute(Arrow::CacheLookup);
        let hits = lookups.saturating_sub(in_minute(Arrow::CacheSet));
        hits.saturating_mul(100).checked_div(lookups)
    }

    fn subscribers(&self) -> u64 {
        let is_view = |lane: &String| self.views.iter().any(|view| view.view == *lane);
        let consumers = self.lanes.keys().filter(|lane| !is_view(lane)).count();
        u64::try_from(self.views.len() + consumers).unwrap_or(u64::MAX)
    }

    fn slowest(&self) -> Option<&ViewFigures> {
        self.views
            .iter()
            .max_by_key(|view| (view.lag_events, view.lag_ms))
    }

    /// The figures of every view, in the order of the statuses.
    pub fn views(&self) -> Vec<ViewFigures> {
        self.views.clone()
    }

    /// The head of the log, as of the last sample.
    pub const fn head(&self) -> &ConsistencyToken {
        &self.head
    }
}

/// The arrows by which events come to the consumers that have no status.
const CONSUMERS: [Arrow; 3] = [
    Arrow::NotificationConsumer,
    Arrow::AnalyticsConsumer,
    Arrow::SearchIndexer,
];

/// Whether a hop of this arrow shows that its lane has handled the event.
const fn is_of_lane(arrow: Arrow) -> bool {
    matches!(
        arrow,
        Arrow::EventSubscription
            | Arrow::UpsertProjection
            | Arrow::InventoryConsumer
            | Arrow::InventoryDb
            | Arrow::NotificationConsumer
            | Arrow::EmailPush
            | Arrow::AnalyticsConsumer
            | Arrow::DataWarehouse
            | Arrow::SearchIndexer
            | Arrow::SearchIndex
    )
}

/// The arrows that lead to a box, or, at the ends of the drawing, away from it.
fn arrows_of(box_id: &str) -> &'static [Arrow] {
    match box_id {
        "web_client" => &[Arrow::JsonResponse200],
        "api_gateway" => &[Arrow::HttpsJwtCommandRequest],
        "command_service" | "write_model" => &[Arrow::RestJsonCommand],
        "aggregate" => &[Arrow::ValidateCommand],
        "event_store" => &[Arrow::AppendEvents],
        "message_broker" | "event_bus" => &[Arrow::PublishedDomainEvents],
        "projection_worker" | "read_model" => &[Arrow::EventSubscription, Arrow::HistoricalEvents],
        "read_model_database" | "read_db" => &[Arrow::UpsertProjection, Arrow::QueryProjection],
        "cache" => &[Arrow::CacheLookup, Arrow::CacheSet],
        "query_api" => &[Arrow::HttpsReadRequest],
        "monitoring" => &[Arrow::ReplayStream],
        "order_service" => &[Arrow::OrderCreated],
        "user_service" => &[Arrow::UserRegistered],
        "payment_service" => &[Arrow::PaymentProcessed],
        "inventory_consumer" => &[Arrow::InventoryConsumer],
        "inventory_db" => &[Arrow::InventoryDb],
        "notification_consumer" => &[Arrow::NotificationConsumer],
        "email_push" => &[Arrow::EmailPush],
        "analytics_consumer" => &[Arrow::AnalyticsConsumer],
        "data_warehouse" => &[Arrow::DataWarehouse],
        "search_indexer" => &[Arrow::SearchIndexer],
        "search" => &[Arrow::SearchIndex],
        _ => &[],
    }
}

fn is_done(hop: &Hop, arrow: Arrow) -> bool {
    hop.arrow == arrow && hop.outcome == HopOutcome::Done
}

fn place_of(hop: &Hop) -> Option<(u32, u64)> {
    hop.partition.zip(hop.position)
}

fn push_sample(trend: &mut Vec<u64>, sample: u64) {
    trend.push(sample);
    if trend.len() > SAMPLES {
        trend.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::MergedHops;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{
        super::hop_log::testing::{hop, hop_of},
        *,
    };

    const MILLI: i64 = 1_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * MILLI)
    }

    fn placed(hop: Hop, position: u64) -> Hop {
        Hop {
            position: Some(position),
            ..hop
        }
    }

    fn status(view: &str, position: u64, behind: u64) -> ProjectionStatus {
        ProjectionStatus {
            view: view.to_owned(),
            generation: 1,
            as_of: ConsistencyToken::at(0, position),
            behind,
            dead_letters: 0,
            waiting: 0,
            failing: Vec::new(),
            paused: behind > 0,
            slow_ms: 0,
            fails_by_dial: false,
            poison: None,
            panics: 0,
            rebuild: None,
        }
    }

    fn log(hops: Vec<Hop>) -> HopLog {
        let mut log = HopLog::default();
        log.receive(hops, vec![], 0);
        log
    }

    #[test]
    fn a_view_is_behind_by_the_events_that_its_lane_has_not_applied_and_by_the_time_of_the_oldest() {
        let log = log(vec![
            placed(hop(Arrow::AppendEvents, 1, 100 * MILLI), 8),
            placed(hop_of(Arrow::EventSubscription, 1, 130 * MILLI, "orders"), 8),
            placed(hop(Arrow::AppendEvents, 2, 200 * MILLI), 9),
            placed(hop(Arrow::AppendEvents, 3, 500 * MILLI), 10),
            placed(hop_of(Arrow::EventSubscription, 2, 230 * MILLI, "orders"), 9),
            placed(hop_of(Arrow::EventSubscription, 3, 540 * MILLI, "orders"), 10),
        ]);
        let statuses = [status("orders", 7, 0), status("sales", 8, 1)];
        let mut figures = Figures::default();
        figures.sample(at(940), &log, &statuses, &ConsistencyToken::at(0, 9));
        assert_eq!(figures.head(), &ConsistencyToken::at(0, 10));
        let [orders, sales] = figures.views().try_into().unwrap();
        assert_eq!(
            (orders.as_of, orders.lag_events),
            (ConsistencyToken::at(0, 10), 0)
        );
        assert_eq!(orders.lag_ms, Some(40), "its newest event took so long");
        assert_eq!(
            (sales.lag_events, sales.lag_ms, sales.paused),
            (2, Some(739), true)
        );

        let worker = figures.of_box("projection_worker");
        assert_eq!((worker.lag_events, worker.lag_ms), (Some(2), Some(739)));
        assert_eq!(
            (worker.position, worker.trend),
            (Some(ConsistencyToken::at(0, 8)), vec![2])
        );
        assert_eq!(worker.per_second, 3);
        let broker = figures.of_box("message_broker");
        assert_eq!((broker.queue, broker.subscribers), (Some(2), Some(2)));
        let store = figures.of_box("event_store");
        assert_eq!(
            (store.head, store.per_second),
            (Some(ConsistencyToken::at(0, 10)), 3)
        );
    }

    #[test]
    fn where_hops_are_only_counted_the_status_holds() {
        let mut log = log(vec![placed(hop(Arrow::AppendEvents, 1, 100 * MILLI), 90)]);
        let counted = MergedHops {
            arrow: Arrow::EventSubscription,
            from: at(100),
            to: at(200),
            count: 640,
        };
        log.receive(vec![], vec![counted], 0);
        let mut figures = Figures::default();
        figures.sample(
            at(300),
            &log,
            &[status("orders", 7, 3)],
            &ConsistencyToken::default(),
        );
        assert_eq!(figures.views()[0].lag_events, 3);
        assert_eq!(figures.of_box("projection_worker").per_second, 640);
    }

    #[test]
    fn a_trend_has_the_lag_of_the_last_minute() {
        let mut figures = Figures::default();
        let head = ConsistencyToken::at(0, 100);
        for second in 0..100 {
            let statuses = [status("orders", u64::try_from(second).unwrap(), 0)];
            figures.sample(at(second * 1_000), &HopLog::default(), &statuses, &head);
        }
        let trend = &figures.views()[0].trend;
        assert_eq!((trend.len(), trend[0], trend[SAMPLES - 1]), (SAMPLES, 60, 1));
        assert_eq!(&figures.of_box("read_db").trend, trend);
    }

    #[test]
    fn a_consumer_is_where_its_hops_are() {
        let log = log(vec![
            placed(hop(Arrow::AppendEvents, 1, 100 * MILLI), 8),
            placed(hop(Arrow::AppendEvents, 2, 200 * MILLI), 9),
            placed(hop_of(Arrow::SearchIndexer, 1, 110 * MILLI, "search"), 8),
            placed(hop_of(Arrow::SearchIndex, 1, 120 * MILLI, "search"), 8),
        ]);
        let mut figures = Figures::default();
        figures.sample(at(300), &log, &[], &ConsistencyToken::default());
        let search = figures.of_box("search");
        assert_eq!(search.position, Some(ConsistencyToken::at(0, 8)));
        assert_eq!((search.lag_events, search.lag_ms), (Some(1), Some(20)));
        assert_eq!(figures.of_box("email_push"), BoxFigures::default());
        assert_eq!(figures.of_box("event_bus").subscribers, Some(1));
    }

    #[test]
    fn the_hit_rate_is_that_of_the_last_minute() {
        let query = |arrow, millis| Hop {
            event_id: None,
            ..hop(arrow, 0, millis * MILLI)
        };
        let log = log(vec![
            query(Arrow::CacheLookup, 1),
            query(Arrow::CacheSet, 2),
            query(Arrow::CacheLookup, 70_000),
            query(Arrow::CacheLookup, 70_001),
            query(Arrow::CacheLookup, 70_002),
            query(Arrow::CacheSet, 70_003),
        ]);
        let mut figures = Figures::default();
        figures.sample(at(80_000), &log, &[], &ConsistencyToken::default());
        assert_eq!(figures.of_box("cache").hit_rate, Some(66));
        figures.sample(at(900_000), &log, &[], &ConsistencyToken::default());
        assert_eq!(figures.of_box("cache").hit_rate, None);
    }

    #[test]
    fn refused_and_parked_hops_are_counted_at_their_box() {
        let refused = Hop {
            outcome: HopOutcome::Refused,
            ..hop(Arrow::ValidateCommand, 1, 100 * MILLI)
        };
        let log = log(vec![refused, hop(Arrow::ValidateCommand, 2, 200 * MILLI)]);
        let mut figures = Figures::default();
        figures.sample(at(300), &log, &[], &ConsistencyToken::default());
        let aggregate = figures.of_box("aggregate");
        assert_eq!((aggregate.per_second, aggregate.failed), (2, 1));
        assert_eq!(figures.of_box("another"), BoxFigures::default());
    }

    /// The boxes of both sheets, by the names that [`Figures::of_box`] knows: a new one needs its arrows
    /// here.
    #[test]
    #[cfg(not(target_arch = "wasm32"))]
    fn every_box_of_the_layouts_has_arrows() {
        for sheet in ["pattern", "business"] {
            let path = format!(
                "{}/../drawing/layouts/{sheet}.wide.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let layout: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            for shape in layout["boxes"].as_array().unwrap() {
                let id = shape["id"].as_str().unwrap();
                assert!(!arrows_of(id).is_empty(), "{sheet}: {id}");
            }
        }
    }
}
