use domain::{
    access::Role,
    timestamp::Timestamp,
    view::inventory::InventoryDocument,
    wire::{ChangeCause, Problem, ServerFrame},
};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::{
    document::DocumentFold,
    outbox::{Action, Answer, Outbox},
    protocol::Link,
};
use super::*;

const STREAM: &str = "inventory-mug-01";

fn actor() -> Actor {
    Actor {
        id: Uuid::nil(),
        role: Role::Staff,
        name: "Ada".into(),
    }
}

fn receive(number: u128, quantity: u64) -> Pending {
    Pending {
        key: Uuid::from_u128(number),
        command: "ReceiveStock".into(),
        stream: STREAM.into(),
        data: json!({ "quantity": quantity }),
        expected: None,
        made_at: Timestamp::from_micros(0),
        preview: None,
        was_sent: false,
        stage: Stage::Waiting,
    }
}

fn stock(on_hand: u32) -> InventoryDocument {
    InventoryDocument {
        sku: "mug-01".into(),
        on_hand,
        reserved: 0,
        available: on_hand,
    }
}

fn lost() -> Answer {
    Answer::Problem(Problem {
        kind: String::new(),
        title: String::new(),
        status: 0,
        detail: String::new(),
        violations: Vec::new(),
        current_version: None,
        rule: None,
        waiting_for: Vec::new(),
    })
}

/// A server, a browser and the wires between them.
#[derive(Default)]
struct World {
    outbox: Outbox,
    document: Option<DocumentFold>,
    overlay: Overlay<InventoryDocument>,
    /// The quantities that the server has stored, with the keys that they came under.
    log: Vec<(Option<Uuid>, u32)>,
    /// How many of them the browser has been told.
    told: usize,
    /// The command on its way there.
    sending: Option<Pending>,
    /// Its answer on the way back.
    answer: Option<(Uuid, ConsistencyToken)>,
    made: u128,
    now: u64,
}

impl World {
    fn on_hand(&self, events: usize) -> u32 {
        self.log[..events].iter().map(|(_, quantity)| quantity).sum()
    }

    fn has_stored(&self, key: Uuid) -> bool {
        self.log.iter().any(|(stored, _)| *stored == Some(key))
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Send(pending) = action {
                assert!(
                    self.sending.is_none() && self.answer.is_none(),
                    "one after the other"
                );
                self.sending = Some(pending);
            }
        }
    }

    /// The request reaches the server, which stores it unless it has done so already.
    fn arrive(&mut self) {
        let Some(pending) = self.sending.take() else {
            return;
        };
        if !self.has_stored(pending.key) {
            let quantity = pending.data["quantity"].as_u64().unwrap();
            self.log
                .push((Some(pending.key), u32::try_from(quantity).unwrap()));
        }
        let stored = self
            .log
            .iter()
            .position(|(key, _)| *key == Some(pending.key))
            .unwrap();
        self.answer = Some((pending.key, ConsistencyToken::at(0, stored as u64 + 1)));
    }

    fn hear_answer(&mut self) {
        if let Some((key, token)) = self.answer.take() {
            let actions = self.outbox.answered(key, Answer::Accepted(token), self.now, 0.0);
            self.act(actions);
        }
    }

    /// The connection breaks: a request or its answer is lost.
    fn lose(&mut self) {
        let key = self.answer.take().map(|(key, _)| key);
        let key = key.or_else(|| self.sending.take().map(|pending| pending.key));
        if let Some(key) = key {
            let actions = self.outbox.answered(key, lost(), self.now, 0.0);
            self.act(actions);
        }
    }

    fn hear_change(&mut self) {
        if self.told == self.log.len() {
            return;
        }
        self.told += 1;
        let frame = ServerFrame::Change {
            id: 1,
            as_of: ConsistencyToken::at(0, self.told as u64),
            key: "mug-01".into(),
            data: Some(serde_json::to_value(stock(self.on_hand(self.told))).unwrap()),
            sort: None,
            event: ChangeCause {
                id: Uuid::from_u128(self.told as u128),
                event_type: "StockReceived".into(),
                partition: 0,
                position: self.told as u64,
            },
        };
        self.document().apply(frame, 0);
    }

    fn document(&mut self) -> &mut DocumentFold {
        self.document.get_or_insert_with(|| {
            let data: Value = serde_json::to_value(stock(0)).unwrap();
            DocumentFold::new(Some(data), ConsistencyToken::default(), 1, 0)
        })
    }

    fn shown(&mut self) -> u32 {
        let fold = self.document().clone();
        let server: InventoryDocument = serde_json::from_value(fold.data.unwrap()).unwrap();
        let actor = actor();
        let shown = self.overlay.show(
            Some(&server),
            fold.progress.as_of(),
            self.outbox.of(STREAM),
            Some(&actor),
            |_| None,
        );
        shown.unwrap().on_hand
    }

    fn step(&mut self, step: u8) {
        self.now += 100;
        let actions = match step % 9 {
            0 => {
                self.made += 1;
                self.outbox.put(receive(self.made, u64::from(step) + 1))
            }
            1 => {
                self.log.push((None, u32::from(step) + 1));
                Vec::new()
            }
            2 => self.outbox.tick(self.now),
            3 => self.outbox.link(Link::Offline),
            4 => self.outbox.link(Link::Live),
            5 => {
                self.arrive();
                Vec::new()
            }
            6 => {
                self.hear_answer();
                Vec::new()
            }
            7 => {
                self.lose();
                Vec::new()
            }
            _ => {
                self.hear_change();
                Vec::new()
            }
        };
        self.act(actions);
    }

    /// Whatever has happened so far: from now on nothing is lost.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let actions = self.outbox.link(Link::Live);
            self.act(actions);
            self.arrive();
            self.hear_answer();
            self.hear_change();
            let is_open = |pending: &Pending| matches!(pending.stage, Stage::Waiting | Stage::Sending);
            if self.told == self.log.len() && !self.outbox.all().iter().any(is_open) {
                return;
            }
        }
        panic!("commands or changes never come to an end");
    }

    fn check(&mut self) {
        let shown = self.shown();
        let stored = self.on_hand(self.log.len());
        let to_come: u64 = self
            .outbox
            .all()
            .iter()
            .filter(|pending| !self.has_stored(pending.key))
            .map(|pending| pending.data["quantity"].as_u64().unwrap())
            .sum();
        assert!(
            u64::from(shown) <= u64::from(stored) + to_come,
            "{shown} is shown where at most {stored} and {to_come} can be: something is counted twice"
        );
    }
}

/// Whatever order answers, changes and losses come in.
fn converges(steps: &[u8]) {
    let mut world = World::default();
    world.shown();
    for step in steps {
        world.step(*step);
        world.check();
    }
    world.settle();
    assert_eq!(
        world.shown(),
        world.on_hand(world.log.len()),
        "what is shown is the server's"
    );
    assert!(!world.overlay.is_pending());
    let own: Vec<Uuid> = world.log.iter().filter_map(|(key, _)| *key).collect();
    let made: Vec<Uuid> = (1..=world.made).map(Uuid::from_u128).collect();
    assert_eq!(
        own, made,
        "each command was carried out once, in the order in which it was made"
    );
}

#[test]
fn what_is_shown_becomes_the_servers_whatever_comes_in_which_order() {
    // A generator of Knuth's (MMIX): the same steps natively and in a browser.
    let mut state: u64 = 1;
    for _ in 0..50 {
        let steps: Vec<u8> = (0..120)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        converges(&steps);
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest::proptest! {
    #[test]
    fn no_order_of_answers_changes_and_losses_counts_twice(
        steps in proptest::collection::vec(proptest::num::u8::ANY, 0..200)
    ) {
        converges(&steps);
    }
}

#[test]
fn an_action_shows_at_once_and_is_taken_back_when_it_is_refused() {
    let mut world = World::default();
    world.log.push((None, 5));
    world.hear_change();
    assert_eq!(world.shown(), 5);
    let actions = world.outbox.put(receive(1, 3));
    world.act(actions);
    assert_eq!((world.shown(), world.overlay.is_pending()), (8, true));
    let Answer::Problem(mut refusal) = lost() else {
        unreachable!()
    };
    refusal.status = 422;
    world
        .outbox
        .answered(Uuid::from_u128(1), Answer::Problem(refusal), 0, 0.0);
    assert_eq!((world.shown(), world.overlay.is_pending()), (5, false));
}

#[test]
fn a_change_that_comes_before_its_answer_is_not_counted_twice() {
    let mut world = World::default();
    let actions = world.outbox.put(receive(1, 3));
    world.act(actions);
    assert_eq!(world.shown(), 3);
    world.arrive();
    world.hear_change();
    assert_eq!(world.shown(), 3);
    world.hear_answer();
    assert_eq!((world.shown(), world.overlay.is_pending()), (3, false));
}
