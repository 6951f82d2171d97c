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
    command_queue::{Action, Answer, CommandQueue},
    document::DocumentFold,
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
        workspace: None,
    })
}

/// A simulated server, a browser, and the network between them.
#[derive(Default)]
struct Simulation {
    queue: CommandQueue,
    document: Option<DocumentFold>,
    overlay: Overlay<InventoryDocument>,
    /// The quantities that the server has stored, with the keys of their commands.
    log: Vec<(Option<Uuid>, u32)>,
    /// The number of them that the browser has received.
    delivered: usize,
    /// The command on its way to the server.
    sending: Option<Pending>,
    /// Its answer on the way to the browser.
    answer: Option<(Uuid, ConsistencyToken)>,
    created: u128,
    now: u64,
}

impl Simulation {
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
                    "commands are sent one at a time"
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

    fn receive_answer(&mut self) {
        if let Some((key, token)) = self.answer.take() {
            let actions = self.queue.answered(key, Answer::Accepted(token), self.now, 0.0);
            self.act(actions);
        }
    }

    /// The connection breaks: a request or its answer is lost.
    fn lose(&mut self) {
        let key = self.answer.take().map(|(key, _)| key);
        let key = key.or_else(|| self.sending.take().map(|pending| pending.key));
        if let Some(key) = key {
            let actions = self.queue.answered(key, lost(), self.now, 0.0);
            self.act(actions);
        }
    }

    fn receive_change(&mut self) {
        if self.delivered == self.log.len() {
            return;
        }
        self.delivered += 1;
        let frame = ServerFrame::Change {
            id: 1,
            as_of: ConsistencyToken::at(0, self.delivered as u64),
            key: "mug-01".into(),
            data: Some(serde_json::to_value(stock(self.on_hand(self.delivered))).unwrap()),
            sort: None,
            event: ChangeCause {
                id: Uuid::from_u128(self.delivered as u128),
                event_type: "StockReceived".into(),
                partition: 0,
                position: self.delivered as u64,
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
            self.queue.of(STREAM),
            Some(&actor),
            |_| None,
        );
        shown.unwrap().on_hand
    }

    fn step(&mut self, step: u8) {
        self.now += 100;
        let actions = match step % 9 {
            0 => {
                self.created += 1;
                self.queue.enqueue(receive(self.created, u64::from(step) + 1))
            }
            1 => {
                self.log.push((None, u32::from(step) + 1));
                Vec::new()
            }
            2 => self.queue.tick(self.now),
            3 => self.queue.link(Link::Offline),
            4 => self.queue.link(Link::Live),
            5 => {
                self.arrive();
                Vec::new()
            }
            6 => {
                self.receive_answer();
                Vec::new()
            }
            7 => {
                self.lose();
                Vec::new()
            }
            _ => {
                self.receive_change();
                Vec::new()
            }
        };
        self.act(actions);
    }

    /// Delivers everything from now on, until nothing is pending.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let actions = self.queue.link(Link::Live);
            self.act(actions);
            self.arrive();
            self.receive_answer();
            self.receive_change();
            let is_open = |pending: &Pending| matches!(pending.stage, Stage::Waiting | Stage::Sending);
            if self.delivered == self.log.len() && !self.queue.all().iter().any(is_open) {
                return;
            }
        }
        panic!("commands or changes never come to an end");
    }

    fn check(&mut self) {
        let shown = self.shown();
        let stored = self.on_hand(self.log.len());
        let to_come: u64 = self
            .queue
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

/// Asserts that every order of answers, changes and losses ends with the server's document.
fn converges(steps: &[u8]) {
    let mut simulation = Simulation::default();
    simulation.shown();
    for step in steps {
        simulation.step(*step);
        simulation.check();
    }
    simulation.settle();
    assert_eq!(
        simulation.shown(),
        simulation.on_hand(simulation.log.len()),
        "what is shown is the server's"
    );
    assert!(!simulation.overlay.is_pending());
    let own: Vec<Uuid> = simulation.log.iter().filter_map(|(key, _)| *key).collect();
    let created: Vec<Uuid> = (1..=simulation.created).map(Uuid::from_u128).collect();
    assert_eq!(
        own, created,
        "each command was stored once, in the order of creation"
    );
}

#[test]
fn the_shown_document_converges_to_the_servers_in_every_order_of_messages() {
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
fn an_optimistic_update_shows_at_once_and_is_rolled_back_on_refusal() {
    let mut simulation = Simulation::default();
    simulation.log.push((None, 5));
    simulation.receive_change();
    assert_eq!(simulation.shown(), 5);
    let actions = simulation.queue.enqueue(receive(1, 3));
    simulation.act(actions);
    assert_eq!((simulation.shown(), simulation.overlay.is_pending()), (8, true));
    let Answer::Problem(mut refusal) = lost() else {
        unreachable!()
    };
    refusal.status = 422;
    simulation
        .queue
        .answered(Uuid::from_u128(1), Answer::Problem(refusal), 0, 0.0);
    assert_eq!((simulation.shown(), simulation.overlay.is_pending()), (5, false));
}

#[test]
fn a_change_that_comes_before_its_answer_is_not_counted_twice() {
    let mut simulation = Simulation::default();
    let actions = simulation.queue.enqueue(receive(1, 3));
    simulation.act(actions);
    assert_eq!(simulation.shown(), 3);
    simulation.arrive();
    simulation.receive_change();
    assert_eq!(simulation.shown(), 3);
    simulation.receive_answer();
    assert_eq!((simulation.shown(), simulation.overlay.is_pending()), (3, false));
}
