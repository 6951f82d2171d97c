use std::collections::BTreeMap;

use domain::{timestamp::Timestamp, view::FoldTarget};
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{
    testing::{received, shop},
    *,
};
use crate::lab::event_log::{MOST_CAUSES, MOST_EVENTS};

type Documents = BTreeMap<(&'static str, String), Value>;

/// Folds every event once, from the first one, as a lane does.
#[derive(Default)]
struct FromScratch(BTreeMap<(&'static str, String), Box<dyn FoldTarget>>);

impl FromScratch {
    fn fold(&mut self, event: &StoredEvent) {
        let event = event.decode().unwrap();
        for view in view::all() {
            for key in view.keys(&event) {
                let document = self
                    .0
                    .entry((view.name(), key.clone()))
                    .or_insert_with(|| view.load(&key, None).unwrap());
                document.fold(&event);
            }
        }
    }

    fn documents(&self) -> Documents {
        let value = |document: &dyn FoldTarget| json(document.document().unwrap().as_deref()?);
        let documents = self.0.iter();
        documents
            .filter_map(|(of, document)| Some((of.clone(), value(&**document)?)))
            .collect()
    }
}

fn documents_at(events: &TimeTravel, count: usize) -> Documents {
    let mut documents = Documents::new();
    for view in view::all() {
        for key in events.keys_at(view.name(), count) {
            if let Some(document) = events.document_at(view.name(), key, count) {
                documents.insert((view.name(), key.to_owned()), document);
            }
        }
    }
    documents
}

fn loaded(events: Vec<StoredEvent>) -> TimeTravel {
    let count = events.len();
    let mut loaded = TimeTravel::default();
    assert_eq!(loaded.extend(events).added, count);
    loaded
}

#[test]
fn ten_thousand_events_have_at_any_moment_the_documents_of_a_fold_from_scratch() {
    let events = shop(10_000, 1);
    let travel = loaded(events.clone());
    let mut scratch = FromScratch::default();
    let mut folded = 0;
    for count in [1, 31, 32, 33, 777, 4_999, 8_192, 10_000] {
        for event in &events[folded..count] {
            scratch.fold(event);
        }
        folded = count;
        assert_eq!(documents_at(&travel, count), scratch.documents(), "{count}");
    }
    assert_eq!(travel.unreadable(), 0);
}

#[test]
fn a_document_costs_few_folds_however_often_it_was_touched() {
    let travel = loaded(shop(3_000, 1));
    let inventory = index_of_view("inventory").unwrap();
    let history = travel.history(inventory, "mug-1").unwrap();
    assert!(history.touches.len() > 2 * SNAPSHOT_EVERY);
    for touches in 0..=history.touches.len() {
        let (_, from) = history.snapshot(touches);
        assert!(touches - from < SNAPSHOT_EVERY, "{touches} {from}");
    }
}

#[test]
fn pages_by_partition_fold_to_the_same_as_the_log_by_time() {
    let events = shop(1_500, 3);
    let whole = loaded(events.clone());
    let mut pages = TimeTravel::default();
    for partition in 0..3 {
        let own: Vec<_> = events
            .iter()
            .filter(|event| event.partition == partition)
            .cloned()
            .collect();
        for page in own.chunks(200) {
            assert_eq!(pages.extend(page.to_vec()).added, page.len());
        }
    }
    let ids = |travel: &TimeTravel| travel.events().map(|event| event.event_id).collect::<Vec<_>>();
    assert_eq!(ids(&pages), ids(&whole));
    assert_eq!(pages.token(), whole.token());
    for count in [10, 700, 1_500] {
        assert_eq!(
            documents_at(&pages, count),
            documents_at(&whole, count),
            "{count}"
        );
        assert_eq!(pages.count_covered(&pages.token_at(count)), count);
    }
    for (index, event) in pages.events().enumerate() {
        assert_eq!(pages.index_of(event.event_id), Some(index));
    }
}

#[test]
fn a_document_of_a_token_has_the_events_that_the_token_covers() {
    let events = shop(1_000, 3);
    let travel = loaded(events.clone());
    // A view that is far behind on one partition only.
    let mut token = travel.token_at(1_000);
    let behind = token.position(1) / 2;
    token = token
        .iter()
        .map(|(partition, position)| (partition, if partition == 1 { behind } else { position }))
        .collect();
    let mut scratch = FromScratch::default();
    for event in events.iter().filter(|event| covers(&token, event)) {
        scratch.fold(event);
    }
    let documents = scratch.documents();
    assert!(documents.len() > 500);
    for ((view, key), document) in documents {
        assert_eq!(
            travel.document_as_of(view, &key, &token),
            Some(document),
            "{view} {key}"
        );
    }
    assert!(travel.count_covered(&token) < 1_000);
}

#[test]
fn events_that_are_there_have_no_effect_and_a_gap_is_said() {
    let mut travel = TimeTravel::default();
    let event = |position: u64| received(u128::from(position), position, 10);
    travel.extend(vec![event(1), event(2)]);
    let again = travel.extend(vec![event(2), event(3), event(5)]);
    assert_eq!(
        again,
        Extension {
            added: 1,
            missing_before: 1,
            left_out: 0
        }
    );
    assert_eq!(travel.token(), &ConsistencyToken::at(0, 3));
    assert_eq!(travel.extend(vec![event(4), event(5)]).added, 2);
    let stock = travel.document_at("inventory", "mug-0", 5).unwrap();
    assert_eq!(stock["on_hand"], json!(5));
}

#[test]
fn events_beyond_the_limit_are_counted() {
    let events = (1..=20_003).map(|position| received(u128::from(position), position, 10));
    let mut travel = TimeTravel::default();
    let extension = travel.extend(events.collect());
    assert_eq!((extension.added, extension.left_out), (MOST_EVENTS, 3));
    assert_eq!(travel.extend(vec![received(9, 20_001, 10)]).left_out, 1);
}

#[test]
fn a_time_that_goes_back_does_not_change_the_order_of_a_partition() {
    let mut travel = TimeTravel::default();
    travel.extend(vec![received(1, 1, 100), received(2, 2, 50)]);
    travel.extend(vec![received(3, 3, 120)]);
    let positions: Vec<_> = travel.events().map(|event| event.position).collect();
    assert_eq!(positions, [1, 2, 3]);
    assert_eq!(travel.count_recorded_by(Timestamp::from_micros(100)), 2);
}

#[test]
fn a_step_shows_each_document_before_and_after() {
    let travel = loaded(vec![received(1, 1, 10), received(2, 2, 20)]);
    let views: Vec<_> = travel.touched(1).iter().map(|touch| touch.view).collect();
    assert_eq!(views, ["activity", "inventory", "products"]);
    let steps = travel.step(2);
    let stock = steps.iter().find(|step| step.view == "inventory").unwrap();
    let on_hand = |document: Option<&Value>| document.unwrap()["on_hand"].clone();
    assert_eq!(on_hand(stock.before.as_ref()), json!(1));
    assert_eq!(on_hand(stock.after.as_ref()), json!(2));
    assert_eq!(steps[0].before, None, "the feed has an entry more");
    assert!(travel.step(0).is_empty());
    assert_eq!(travel.document_at("inventory", "mug-0", 0), None);
    assert_eq!(travel.document_at("nothing", "mug-0", 2), None);
    let recent = travel.recent_keys("activity", 2, 1);
    assert_eq!(
        (recent.len(), &*recent[0]),
        (1, Uuid::from_u128(2).to_string().as_str())
    );
}

#[test]
fn causes_and_effects_form_a_tree() {
    let caused = |number: u128, position, cause: Option<u128>| {
        let mut event = received(number, position, 10);
        event.metadata.causation_id = cause.map(Uuid::from_u128);
        event
    };
    let travel = loaded(vec![
        caused(1, 1, None),
        caused(2, 2, Some(1)),
        caused(3, 3, Some(2)),
        caused(4, 4, Some(1)),
        caused(5, 5, None),
    ]);
    let numbers = |events: Vec<&StoredEvent>| -> Vec<u128> {
        events.iter().map(|event| event.event_id.as_u128()).collect()
    };
    assert_eq!(numbers(travel.causes_of(Uuid::from_u128(3))), [1, 2]);
    assert_eq!(numbers(travel.effects_of(Uuid::from_u128(1))), [2, 3, 4]);
    assert!(travel.causes_of(Uuid::from_u128(1)).is_empty());
    assert!(travel.effects_of(Uuid::from_u128(9)).is_empty());
    // A file may say that an event caused itself.
    let travel = loaded(vec![caused(1, 1, Some(1))]);
    assert_eq!(travel.causes_of(Uuid::from_u128(1)).len(), MOST_CAUSES);
    assert!(travel.effects_of(Uuid::from_u128(1)).is_empty());
}

#[test]
fn an_event_of_a_newer_server_folds_to_nothing() {
    let mut unknown = received(2, 2, 20);
    unknown.event_type = "StockCounted".to_owned();
    let travel = loaded(vec![received(1, 1, 10), unknown, received(3, 3, 30)]);
    assert_eq!((travel.len(), travel.unreadable()), (3, 1));
    assert_eq!(
        travel.document_at("inventory", "mug-0", 3).unwrap()["on_hand"],
        json!(2)
    );
    assert!(travel.touched(1).is_empty());
}

#[test]
fn a_recording_begins_in_the_middle_of_the_log() {
    let mut travel = TimeTravel::after(ConsistencyToken::at(0, 7));
    assert_eq!(
        travel.extend(vec![received(8, 8, 10), received(9, 9, 20)]).added,
        2
    );
    assert_eq!(travel.token_at(0), ConsistencyToken::at(0, 7));
    assert_eq!(travel.token_at(1), ConsistencyToken::at(0, 8));
    assert_eq!(
        travel.document_at("inventory", "mug-0", 2).unwrap()["on_hand"],
        json!(2)
    );
}
