//! The rights matrix: each operation of the OpenAPI description, each view with its listings, over HTTP and
//! over the live socket, each command and each page, tried by each kind of person on a running server.
//!
//! What exists is read from the product, and what is expected stands in tables. A new operation, listing,
//! command or page without a row fails by its name, and so does a row for one that is no more.

pub(crate) mod commands;
mod operations;
pub(crate) mod pages;
mod views;

use std::collections::BTreeSet;

use clock::{Clock as _, SystemClock};
use domain::{access::Role, aggregate::prediction::prediction_stream};
use reqwest::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, list_product, place_order},
    dead_letters::{get, receive},
};

/// A password that no list of common ones has.
pub(crate) const PASSWORD: &str = "wren kettle ampersand 41";

/// A text that only people of the first workspace may see.
const MARKER: &str = "Celadon teapot of the matrix";

/// A kind of person; a column of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Without a token.
    Visitor,
    /// A customer.
    Shopper,
    /// The customer to whom the order belongs that the tables are about.
    Owner,
    /// Staff of the shop.
    Staff,
    /// A student of the class.
    Student,
    /// The educator who opened the workspace.
    Educator,
    /// The educator of another workspace.
    Foreign,
}

const COLUMNS: [Column; 7] = [
    Column::Visitor,
    Column::Shopper,
    Column::Owner,
    Column::Staff,
    Column::Student,
    Column::Educator,
    Column::Foreign,
];

/// The expected status of each column, in the order of [`COLUMNS`].
type Row = [u16; 7];

/// One person of each column, in a shop where the owner has a confirmed order.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) educator: Person,
    foreign: Person,
    people: [Option<(Person, Uuid)>; 7],
    /// The id of the owner's order.
    order: Uuid,
    /// A question of the class that the owner has answered.
    question: Uuid,
}

impl World {
    pub(crate) async fn new() -> Self {
        let app = TestApp::start_with(&["--for-tests"]).await;
        let (educator, foreign) = (app.educator().await, app.educator().await);
        app.command(&educator, &list_product("mug-01")).await;
        receive(&app, &educator, "mug-01", 1_000).await;
        let mut marked = list_product("teapot-01");
        marked["data"]["name"] = json!(MARKER);
        app.command(&educator, &marked).await;
        let mut world = Self {
            app,
            educator,
            foreign,
            people: [const { None }; 7],
            order: Uuid::nil(),
            question: Uuid::nil(),
        };
        for (n, column) in COLUMNS.into_iter().enumerate() {
            let Some(person) = world.token(column) else {
                continue;
            };
            let session = get(&world.app, &person, "/api/v1/session").await;
            let id = session["actor_id"].as_str().unwrap().parse().unwrap();
            world.people[n] = Some((person, id));
        }
        world.question = world.asked().await;
        let (owner, id) = (world.person(Column::Owner).unwrap(), world.id(Column::Owner));
        let answer = prediction(world.question, id);
        world.app.command(owner, &answer).await;
        world.order = world.confirmed_order().await;
        world
    }

    /// A new person of a column; an educator's is the one that opened the workspace.
    fn token(&self, column: Column) -> Option<Person> {
        Some(match column {
            Column::Visitor => return None,
            Column::Educator => self.educator.clone(),
            Column::Foreign => self.foreign.clone(),
            Column::Shopper | Column::Owner => self.app.with_role(&self.educator, Role::Customer),
            Column::Staff => self.app.with_role(&self.educator, Role::Staff),
            Column::Student => self.app.with_role(&self.educator, Role::Student),
        })
    }

    /// A person whom no other row of a table has changed, with their id.
    async fn fresh(&self, column: Column) -> Option<(Person, Uuid)> {
        let person = match column {
            Column::Educator => self.app.with_role(&self.educator, Role::Educator),
            Column::Foreign => self.app.with_role(&self.foreign, Role::Educator),
            other => self.token(other)?,
        };
        let session = get(&self.app, &person, "/api/v1/session").await;
        let id = session["actor_id"].as_str().unwrap().parse().unwrap();
        Some((person, id))
    }

    pub(crate) fn person(&self, column: Column) -> Option<&Person> {
        let at = COLUMNS.iter().position(|one| *one == column)?;
        self.people[at].as_ref().map(|(person, _)| person)
    }

    /// The id of a column's person; a visitor has one that no person has.
    pub(crate) fn id(&self, column: Column) -> Uuid {
        let at = COLUMNS.iter().position(|one| *one == column).unwrap();
        self.people[at].as_ref().map_or(Uuid::nil(), |(_, id)| *id)
    }

    /// A new question of the class, with two choices.
    pub(crate) async fn asked(&self) -> Uuid {
        let question = SystemClock.new_id();
        let ask = json!({"type": "AskQuestion", "stream": format!("question-{question}"), "data": {
            "text": "How many?", "choices": 2,
        }});
        self.app.command(&self.educator, &ask).await;
        question
    }

    /// Another order of the owner's, confirmed.
    async fn confirmed_order(&self) -> Uuid {
        let order = SystemClock.new_id();
        let owner = self.person(Column::Owner).unwrap();
        self.app.command(owner, &place_order(order, "mug-01")).await;
        self.app.settled(&self.educator).await;
        order
    }
}

/// The command by which a person chooses the first answer of a question.
pub(crate) fn prediction(question: Uuid, person: Uuid) -> Value {
    let stream = prediction_stream(question, person).unwrap();
    json!({"type": "MakePrediction", "stream": stream, "data": {"question": question, "choice": 1}})
}

/// What a cell of a table got: its status, and its body.
async fn outcome(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Fails where what exists and what the table has are not the same, with the names.
fn same_names(
    what: &str,
    existing: impl IntoIterator<Item = String>,
    table: impl IntoIterator<Item = String>,
) {
    let existing: BTreeSet<_> = existing.into_iter().collect();
    let table: BTreeSet<_> = table.into_iter().collect();
    let without_rule: Vec<_> = existing.difference(&table).collect();
    assert!(
        without_rule.is_empty(),
        "each {what} needs a row in the rights matrix; without one: {without_rule:?}"
    );
    let unknown: Vec<_> = table.difference(&existing).collect();
    assert!(
        unknown.is_empty(),
        "the rights matrix has rows for no {what}: {unknown:?}"
    );
}

/// Collects the cells that differ from the tables, so that one run names all of them.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn check(&mut self, what: &str, column: Column, expected: u16, found: u16, body: &str) {
        if expected != found {
            let body: String = body.chars().take(200).collect();
            self.0.push(format!(
                "{what} by {column:?}: expected {expected}, found {found}: {body}"
            ));
        }
    }

    fn note(&mut self, what: String) {
        self.0.push(what);
    }

    fn finish(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// Whether a column must not see anything of the first workspace.
fn is_outside(column: Column) -> bool {
    matches!(column, Column::Visitor | Column::Foreign)
}

/// The rows of a listing's answer.
fn rows(body: &str) -> Vec<Value> {
    let answer: Value = serde_json::from_str(body).unwrap();
    answer["data"].as_array().unwrap().clone()
}
