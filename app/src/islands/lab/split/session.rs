//! The browser's part: follows the log and the hops, and places orders.

use std::time::Duration;

use domain::{
    access::Actor,
    aggregate::order::{LineRequest, PlaceOrder},
    event::RecordedEvent,
    token::ConsistencyToken,
    view::products::ProductDocument,
    wire::{Arrow, LabTopic, ServerFrame},
};
use leptos::prelude::*;
use serde_json::Value;

use super::SplitSession;
use crate::{
    api::{self, LastWrite},
    commands::{Commands, NewCommand},
    components::predicted_problem,
    erased_effects::{effect, spawn},
    id::new_id,
    live::{prediction, store::follow_lab},
};

/// How often the log is read where no hop says that it has grown: the lab may be full, or a hop be lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many events of the log are shown.
const MOST_EVENTS: usize = 12;

/// How far the log is read, and whether it is being read.
#[derive(Clone)]
struct Reading {
    to: ConsistencyToken,
    is_running: bool,
    /// Whether the log may have grown since the running request.
    again: bool,
}

impl SplitSession {
    /// Follows the log and the hops while the page is open.
    pub(super) fn follow(self) {
        let newest = u64::try_from(MOST_EVENTS).unwrap_or(u64::MAX);
        let reading = StoredValue::new(Reading {
            to: self.head.with_untracked(|head| {
                head.iter()
                    .map(|(partition, position)| (partition, position.saturating_sub(newest)))
                    .collect()
            }),
            is_running: false,
            again: false,
        });
        let read = move || self.read(reading);
        follow_lab(LabTopic::Hops, move |frame| {
            let ServerFrame::Hops {
                data,
                merged,
                dropped,
                ..
            } = frame
            else {
                return;
            };
            self.staleness.update(|staleness| staleness.receive(&data));
            let has_grown = data.iter().any(|hop| hop.arrow == Arrow::AppendEvents);
            if has_grown || !merged.is_empty() || dropped > 0 {
                read();
            }
        });
        follow_lab(LabTopic::Dials, move |frame| {
            if let ServerFrame::Dials { data, .. } = frame {
                self.paused.set(paused_views(&data));
            }
        });
        // After hydration, and again when this tab has written: the log has it, also where a view has not.
        let written = use_context::<LastWrite>();
        effect(move || {
            if let Some(token) = written.and_then(|written| written.token.get()) {
                self.advance(&token);
            }
            read();
        });
        effect(move || {
            // It runs as long as the page is open.
            let _ = set_interval_with_handle(read, PATIENCE);
        });
    }

    /// A view was paused or resumed here.
    pub(super) fn set_paused(self, view: &str, is_paused: bool) {
        self.paused.update(|paused| {
            paused.retain(|paused| paused != view);
            if is_paused {
                paused.push(view.to_owned());
            }
        });
    }

    /// Reads the events that are not shown yet, one request at a time.
    fn read(self, reading: StoredValue<Reading>) {
        let is_running = reading.with_value(|reading| reading.is_running);
        reading.update_value(|reading| {
            reading.again = is_running;
            reading.is_running = true;
        });
        if is_running {
            return;
        }
        spawn(async move {
            loop {
                let after = reading.with_value(|reading| reading.to.clone());
                // What cannot be read now is read with the next attempt.
                let Ok(page) = api::lab::events_after(&after).await else {
                    break;
                };
                let has_more = page.next.is_some();
                let again = reading.with_value(|reading| reading.again);
                reading.update_value(|reading| {
                    reading.again = false;
                    for event in &page.data {
                        reading.to.advance(event.partition, event.position);
                    }
                });
                self.take(page.data);
                if !has_more && !again {
                    break;
                }
            }
            reading.update_value(|reading| reading.is_running = false);
        });
    }

    /// Shows events that the log has.
    fn take(self, mut read: Vec<RecordedEvent<Value>>) {
        let mut token = ConsistencyToken::default();
        for event in &read {
            token.advance(event.partition, event.position);
        }
        self.advance(&token);
        if read.is_empty() {
            return;
        }
        read.reverse();
        self.events.update(|events| {
            read.append(events);
            read.truncate(MOST_EVENTS);
            *events = read;
        });
    }

    /// The log has reached this token.
    fn advance(self, token: &ConsistencyToken) {
        if self.head.with_untracked(|head| head.covers(token)) {
            return;
        }
        self.head.update(|head| {
            for (partition, position) in token.iter() {
                head.advance(partition, position);
            }
        });
    }

    /// Places an order for one of a product, as the shop does: it shows at once, and is sent.
    pub(super) fn place_order(self, product: ProductDocument, commands: Commands, person: &Actor) {
        let order = PlaceOrder {
            lines: vec![LineRequest {
                sku: product.sku.clone(),
                quantity: 1,
            }],
            payment_method: "tok_ok".to_owned(),
        };
        let mut pending = commands.prepare(NewCommand {
            command: "PlaceOrder",
            stream: ["order-", &new_id().to_string()].concat(),
            data: serde_json::to_value(&order).unwrap_or_default(),
            ..NewCommand::default()
        });
        match prediction::predicted_order(order, &[product], &pending, person) {
            Err(rejection) => self.problem.set(Some(predicted_problem(rejection))),
            Ok(document) => {
                self.problem.set(None);
                pending.preview = document.and_then(|document| serde_json::to_value(document).ok());
                commands.enqueue(&pending);
            }
        }
    }
}

/// The views that the dials pause.
fn paused_views(answer: &Value) -> Vec<String> {
    let mut paused = Vec::new();
    if let Some(views) = answer["dials"]["projections"].as_object() {
        for (view, dials) in views {
            if dials["paused"] == true {
                paused.push(view.clone());
            }
        }
    }
    paused
}
