//! The people of a run: customers who join its sandbox by its code, and what they do most.

use domain::{
    access::{Actor, Role},
    wire::{CommandAnswer, SessionInfo, WorkspaceAccess},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Stage, command};
use crate::{
    api::{Answer, Call, Sender},
    lesson::Failure,
};

/// A person who has joined the sandbox of a run: a customer who may also read its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The person, as the API knows them.
    pub actor: Actor,
}

impl Person {
    /// The id, which is the group of the listing `by_customer` of orders.
    pub fn id(&self) -> String {
        self.actor.id.to_string()
    }
}

impl Stage {
    /// The person of this name; joins the sandbox the first time.
    pub async fn person(&mut self, name: &str) -> Result<Person, Failure> {
        let remembered = format!("person:{name}");
        if let Ok(person) = self.recall(&remembered) {
            return Ok(person);
        }
        let body = json!({"code": self.sandbox().join_code, "display_name": name});
        let call = Call::post(Sender::Anonymous, "/api/v1/workspaces/join", body);
        let access: WorkspaceAccess = self.answered("joining the sandbox", call).await?;
        let call = Call::get(Sender::Token(access.token), "/api/v1/session");
        let session: SessionInfo = self.answered("the session", call).await?;
        let person = Person {
            actor: Actor {
                id: session.actor_id,
                role: Role::Student,
                name: session.display_name,
            },
        };
        self.remember(&remembered, &person);
        Ok(person)
    }

    /// A person as a sender of calls.
    pub fn sender(&self, person: &Person) -> Sender {
        Sender::Guest(self.sandbox().workspace, person.actor.clone())
    }

    /// Places an order of one product, paid by this method, as in `tok_ok`; it has to be accepted. The key of
    /// its document in `orders` is [`order_key`] of the answer's stream.
    pub async fn place_order(
        &self,
        person: &Person,
        sku: &str,
        quantity: u32,
        payment_method: &str,
    ) -> Result<CommandAnswer, Failure> {
        let stream = format!("order-{}", self.new_id());
        let data = order(sku, quantity, payment_method);
        self.send_as(person, "PlaceOrder", &stream, data).await
    }

    /// Places such an order, and gives the answer, a refusal as well.
    pub async fn try_order(
        &self,
        person: &Person,
        sku: &str,
        quantity: u32,
        payment_method: &str,
        key: Option<&str>,
    ) -> Answer {
        let stream = format!("order-{}", self.new_id());
        let command = command("PlaceOrder", &stream, order(sku, quantity, payment_method));
        self.try_send(self.sender(person), &command, key).await
    }
}

/// The key of the document of an order: its stream without the category.
pub fn order_key(stream: &str) -> &str {
    stream.strip_prefix("order-").unwrap_or(stream)
}

/// The data of an order of one product.
fn order(sku: &str, quantity: u32, payment_method: &str) -> Value {
    json!({
        "lines": [{"sku": sku, "quantity": quantity}],
        "payment_method": payment_method,
    })
}
