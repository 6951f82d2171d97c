//! The browser's part: follows the log and the hops, and places orders.

use domain::{
    access::Actor,
    aggregate::order::{LineRequest, PlaceOrder},
    event::RecordedEvent,
    token::ConsistencyToken,
    view::products::ProductDocument,
    wire::{LabTopic, ServerFrame},
};
use leptos::prelude::*;
use serde_json::Value;

use super::SplitSession;
use crate::{
    api::{self, LastWrite},
    commands::{Commands, NewCommand},
    components::predicted_problem,
    erased_effects::effect,
    id::new_id,
    islands::lab::{
        log::{has_grown, now_and_then},
        log_reader::LogReader,
    },
    live::{prediction, store::follow_lab},
};

/// How many events of the log are shown.
const MOST_EVENTS: usize = 12;

impl SplitSession {
    /// Follows the log and the hops while the page is open.
    pub(super) fn follow(self) {
        let newest = u64::try_from(MOST_EVENTS).unwrap_or(u64::MAX);
        let before = |(partition, position): (u32, u64)| (partition, position.saturating_sub(newest));
        let reader = LogReader::after(self.head.with_untracked(|head| head.iter().map(before).collect()));
        let fetch = |after: ConsistencyToken| async move { api::lab::events_after(&after).await };
        let read = move || reader.read(fetch, move |events| self.take(events));
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
            if has_grown(&data, &merged, dropped) {
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
        now_and_then(read);
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
