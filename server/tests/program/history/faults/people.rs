//! People who register and order at one server after they have touched another, and are erased.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    aggregate::payment::METHODS,
    id::WorkspaceId,
    wire::{SessionInfo, WorkspaceAccess},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::history::{
    clients::{Access, Outcome, any_sku},
    record::{History, unique},
};

const PASSWORD: &str = "correct horse battery";
/// How long a look at another server may take, which has no consequence.
const LOOK: Duration = Duration::from_secs(2);

/// A person with an account.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) id: Uuid,
    /// A word that occurs nowhere else.
    pub(super) name: String,
    pub(super) email: String,
    pub(super) access: Access,
    /// Whether the erasure was requested.
    pub(super) erased: bool,
}

/// All people of a run.
#[derive(Clone, Default)]
pub(super) struct People(Arc<Mutex<Vec<Person>>>);

impl People {
    pub(super) fn all(&self) -> Vec<Person> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A person who is not erased yet, who is erased from now on.
    fn chosen(&self, number: u32) -> Option<Person> {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left: Vec<&mut Person> = people.iter_mut().filter(|person| !person.erased).collect();
        let count = u32::try_from(left.len()).ok().filter(|count| *count > 0)?;
        let person = left.swap_remove((number % count) as usize);
        person.erased = true;
        Some(person.clone())
    }

    /// A guest looks at one server, registers at another at once, and orders at the first.
    pub(super) async fn register(self, visitor: Access, join_code: String, history: Arc<History>) {
        let (here, there) = (visitor.current(), visitor.current() + 1);
        let id = unique().simple().to_string();
        let name = format!("Q{}", &id[id.len() - 16..]);
        let join = json!({"code": join_code, "display_name": name});
        let joined: WorkspaceAccess = visitor.at(there).post("/api/v1/workspaces/join", &join).await;
        let access = visitor.with_token(&joined.token);
        let session: SessionInfo = access.at(there).get("/api/v1/session").await;
        let person = Person {
            id: session.actor_id,
            email: format!("{}@history.test", name.to_lowercase()),
            name,
            access,
            erased: false,
        };
        let Person {
            id,
            name,
            email,
            access,
            ..
        } = &person;
        // There is no such customer yet, which this server must not remember.
        let look = access.at(there);
        let _ = look
            .request_once((look.current(), LOOK), |client, url| {
                client.get(format!("{url}/api/v1/views/customers/{id}"))
            })
            .await;
        let register = json!({"type": "RegisterUser", "stream": format!("user-{id}"), "data": {
            "email": email, "display_name": name, "password": PASSWORD}});
        let registered = access.at(here).command(&history, &register).await;
        history.require(
            matches!(registered, Outcome::Accepted(_)),
            &id.to_string(),
            || format!("{email} was not registered"),
        );
        let method = METHODS[rand::random_range(0..METHODS.len())];
        let order = json!({"type": "PlaceOrder", "stream": format!("order-{}", unique()), "data": {
            "lines": [{"sku": any_sku(), "quantity": 1}], "payment_method": method}});
        access.at(there).command(&history, &order).await;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(person);
    }

    /// An educator erases a person at one server. Then the command comes to another server with an old
    /// expected version, as a client repeats it: it is refused or changes nothing, and takes back nothing.
    pub(super) async fn erase(self, educator: Access, number: u32, history: Arc<History>) {
        let Some(person) = self.chosen(number) else {
            return;
        };
        let stream = format!("user-{}", person.id);
        let mut erase = json!({"type": "EraseUser", "stream": stream, "data": {}});
        let about = person.id.to_string();
        let erased = educator.command(&history, &erase).await;
        history.require(matches!(erased, Outcome::Accepted(_)), &about, || {
            format!("{stream} was not erased")
        });
        erase["expected_version"] = json!(1);
        let again = educator
            .at(educator.current() + 1)
            .command(&history, &erase)
            .await;
        if let Outcome::Accepted(answer) = again {
            history.require(answer.events.is_empty(), &about, || {
                format!("{stream} was erased twice: {answer:?}")
            });
        }
    }
}

/// At every server, an erased person's name and address are shown nowhere, and their token and password open
/// nothing; the name of the others is shown.
pub(super) async fn check(people: &[Person], educator: &Access, workspace: WorkspaceId, history: &History) {
    let head = educator.head().await;
    for server in 0..educator.servers.count() {
        let educator = educator.at(server);
        let customers = educator.listing("customers", "all", &head).await;
        let orders = educator.listing("orders", "all", &head).await;
        let shown = json!([customers, orders]).to_string();
        for person in people {
            let about = person.id.to_string();
            let row = customers.data.iter().find(|row| row.key == about);
            let name = row.map(|row| &row.data["display_name"]);
            let expected: &str = if person.erased { "erased" } else { &person.name };
            history.require(name == Some(&json!(expected)), &about, || {
                format!("server {server} shows {name:?} as the name of {about}, and not {expected}")
            });
            if !person.erased {
                continue;
            }
            let path = format!("/api/v1/search?q={}&after={head}&timeout_ms=30000", person.name);
            let found: Value = educator.get(&path).await;
            let found = found["hits"].to_string();
            for text in [&person.name, &person.email] {
                history.require(!shown.contains(text) && !found.contains(text), &about, || {
                    format!("server {server} shows the erased text {text}")
                });
            }
            let session = status(&person.access.at(server), "/api/v1/session", None).await;
            let credentials = json!({"workspace": workspace, "email": person.email, "password": PASSWORD});
            let visitor = person.access.at(server).with_token("");
            let signed_in = status(&visitor, "/api/v1/sessions", Some(&credentials)).await;
            for (what, status) in [("the token", session), ("the password", signed_in)] {
                history.require(status == StatusCode::UNAUTHORIZED, &about, || {
                    format!("server {server} answers {status} to {what} of an erased person")
                });
            }
        }
    }
}

/// The status of an answer.
async fn status(access: &Access, path: &str, body: Option<&Value>) -> StatusCode {
    let what = format!("the answer to {path}");
    let answer =
        access.request_until_answered(&what, crate::running::TEST_TIMEOUT, |client, url| match body {
            Some(body) => client.post(format!("{url}{path}")).json(body),
            None => client.get(format!("{url}{path}")),
        });
    answer.await.status
}
